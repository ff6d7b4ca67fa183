--- moongate.template: text with holes, in etlua's syntax: `<%= value %>` is written with
--- `& < > " '` escaped, `<%- html %>` as it is, `<% code %>` is Lua; `-%>` swallows the end of the
--- line behind it.
---
--- Files are read while the script loads, with all that they include, from the same snapshot as the
--- scripts: a reload takes new ones, and nothing is read while requests wait.
local check = require("moongate.core.check")
local sched = require("moongate.core.sched")
local compile = require("moongate.core.template.compile")
local missing = require("moongate.core.future.missing")
local suggest = require("moongate.core.suggest")
local texts = require("moongate.core.text")
local files = require("moongate.files")

---@class moongate.template
local M = {}

local DEPTH_MOST = 20

---@class moongate.Template
local Template = {}
Template.__index = Template

-- --- reading ---

-- Text of a path of the project, and its name in messages.
local function read_disk(path)
  local file = io.open(files.resolve(path), "r")
  if file then
    local text = file:read("*a")
    file:close()
    return text, path
  end
end

local project = { read = read_disk, known = {} } -- templates by path

--- Another project's scripts are loaded: its files are read by `read(path)`.
function M._begin(read)
  project = { read = read or read_disk, known = {} }
end

local function folder_of(path)
  return path:match("^(.*/)[^/]*$") or ""
end

-- "views/../a/./b" -> "a/b"; nil if it leaves the project.
local function joined(folder, path)
  local parts = {}
  for part in (folder .. path):gmatch("[^/]+") do
    if part == ".." then
      if not table.remove(parts) then
        return nil
      end
    elseif part ~= "." then
      parts[#parts + 1] = part
    end
  end
  return table.concat(parts, "/")
end

local function new(text, name, folder)
  return setmetatable({ name = name, _folder = folder, _make = compile.compile(text, name) },
    Template)
end

local function load(path, from)
  local known = project.known[path]
  if known then
    return known
  end
  local text, name = project.read(path)
  if not text then
    if not from then
      check.fail("template.file: " .. path .. ": the file cannot be read")
    end
    error(from .. ": includes " .. path .. ": the file cannot be read", 0)
  end
  local template = new(text, name or path, folder_of(path))
  project.known[path] = template -- before what it includes, which may be itself
  for _, other in ipairs(compile.names(text)) do
    local place = joined(template._folder, other)
    if place then
      load(place, template.name)
    end
  end
  return template
end

-- --- rendering ---

--- Text as it may stand in HTML, in an attribute's quotes too.
---@param text string|number
---@return string
function M.escape(text)
  local given, wrong = texts.of(text)
  if not given then
    check.fail("template.escape: " .. wrong)
  end
  return texts.html(given)
end

-- What code of templates may use besides what it is given: nothing that reaches beyond it.
local LIBRARY = {
  pairs = missing.refusing(pairs), ipairs = missing.refusing(ipairs), next = next, select = select,
  tostring = tostring, tonumber = tonumber, type = type, unpack = unpack, error = error,
  string = string, table = table, math = math, escape = M.escape,
}

local render

local function child_of(template, state, name)
  local path = type(name) == "string" and joined(template._folder, name)
  local child = path and project.known[path]
  if not child then
    error(("there is no template '%s' here: a name in quotes, or template.file(...) of it while "
      .. "the script loads, makes it known"):format(tostring(name)), 3)
  elseif state.depth >= DEPTH_MOST then
    error(("templates include each other %d deep: %s"):format(DEPTH_MOST, path), 3)
  end
  return child
end

-- What `given` has not, `data` may have.
local function over(data, given)
  return given and setmetatable({}, {
    __index = function(_, key)
      local value = given[key]
      if value == nil then
        value = data[key]
      end
      return value
    end,
  }) or data
end

local function text_or_fail(value)
  local text, wrong = texts.of(value)
  if not text then
    error("a template writes text and numbers: " .. (value == nil and "this is nil" or wrong), 3)
  end
  return text
end

-- What writes into `out`: text of the template, values escaped, values as they are.
local function writers(out)
  local function put(text)
    out[#out + 1] = text
  end
  local function escape(value)
    out[#out + 1] = texts.html(text_or_fail(value))
  end
  local function raw(value)
    out[#out + 1] = text_or_fail(value)
  end
  return put, escape, raw
end

local function helpers(template, data, state)
  return {
    include = function(name, given)
      return render(child_of(template, state, name), over(data, given), state)
    end,
    layout = function(name, given)
      state.layout = { child_of(template, state, name), over(data, given) }
    end,
  }
end

function render(template, data, above)
  local out, state = {}, { depth = (above and above.depth or 0) + 1 }
  local own = helpers(template, data, state)
  local env = setmetatable({}, {
    __index = function(_, key)
      local value = own[key]
      if value == nil then
        value = data[key]
      end
      return value == nil and LIBRARY[key] or value
    end,
    __newindex = function(_, key)
      error("'" .. tostring(key) .. "' is no local: write local " .. tostring(key) .. " = ...", 2)
    end,
  })
  setfenv(template._make, env)()(writers(out))
  local content = table.concat(out)
  if state.layout then
    local outer, given = unpack(state.layout)
    return render(outer, over(given, { content = content }), state)
  end
  return content
end

--- The text with what `data` has: its names are variables of the template.
---@param data table?
---@return string
function Template:render(data)
  if getmetatable(self) ~= Template then
    check.fail("call it with a colon: template:render{ ... }")
  end
  return render(self, data == nil and {} or check.type("render", data, "table"))
end

-- --- making ---

--- A template of a file of the project, such as "views/page.etlua", with all that it includes or is
--- laid out by: `<%- include("head.etlua", { title = "x" }) %>`, `<% layout("page.etlua") %>`,
--- whose names are beside it. The same file gives the same template. Only while the script loads.
---@param path string
---@return moongate.Template
function M.file(path)
  check.string("template.file", path)
  if sched.current then
    check.fail("template.file reads from the disk: call it while the script loads, outside of "
      .. "handlers")
  end
  local place = joined("", path)
  if not place or place == "" or path:sub(1, 1) == "/" then
    check.fail("template.file: a path below the project's folder is wanted, not \"" .. path .. '"')
  end
  local template = load(place)
  return template -- no tail call: the caller's line would be lost
end

--- A template of a text. Raises "name:line: what" if it is malformed.
---@param text string
---@param name string? in messages, "template" unless told
---@return moongate.Template
function M.compile(text, name)
  check.string("template.compile", text)
  local named = name ~= nil -- as a file is, whose lines are the author's own
  name = named and check.string("template.compile: name", name) or "template"
  local ok, made = pcall(new, text, name, "")
  return ok and made or (named and error or check.fail)(made, 0)
end

suggest.close(Template, "a template")

return suggest.close(M, "moongate.template")
