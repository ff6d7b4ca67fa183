--- Reads a file of declarations (lua/moongate/api): blocks of `---` comments, each with the line of
--- code below it. The same files tell LuaLS of the surface, so their tags are LuaLS's.
local M = {}

---@class moongate.docs.Item one declaration
---@field kind "class"|"function"|"field"|"alias"
---@field name string "ctx:json", "ctx.path", "moongate.RouteOptions"
---@field owner string? the variable in front of the dot or colon
---@field doc string Markdown
---@field params table[] { name, optional, type, doc } of a function; of a class its fields
---@field returns table[] { type, doc }
---@field overloads string[]
---@field generics string? of a class: "<T>"
---@field typescript string[] how TypeScript is told of it instead
---@field type string? of a field or an alias
---@field parent string? of a class
---@field file string
---@field line integer

local CLOSING = { ["("] = ")", ["<"] = ">", ["{"] = "}", ["["] = "]" }

-- Whether a type goes on behind white space: after a comma, a bar, the colon of a function's
-- result, or `async`.
local function goes_on(before)
  return before:find("[,|:]$") or before:find("%f[%w]async$")
end

-- Where the type that begins `text` ends: at white space outside of all brackets.
local function end_of_type(text)
  local open = 0
  for i = 1, #text do
    local c = text:sub(i, i)
    if CLOSING[c] then
      open = open + 1
    elseif c:find("[%)>}%]]") then
      open = open - 1
    elseif c == " " and open == 0 and not goes_on(text:sub(1, i - 1)) then
      return i - 1
    end
  end
  return #text
end

--- Parts "type prose" into both.
---@param text string
---@return string, string
function M.split_type(text)
  local stop = end_of_type(text)
  return text:sub(1, stop), (text:sub(stop + 1):gsub("^%s+", ""))
end

local function take_named(list, rest)
  local name, optional, tail = rest:match("^([%w_.]+)(%??)%s+(.*)$")
  if not name then
    return "a name and a type are wanted"
  end
  local type, doc = M.split_type(tail)
  list[#list + 1] = { name = name, optional = optional == "?", type = type, doc = doc }
end

local TAGS = {}

function TAGS.param(item, rest)
  return take_named(item.params, rest)
end

TAGS.field = TAGS.param

TAGS["return"] = function(item, rest)
  local type, doc = M.split_type(rest)
  item.returns[#item.returns + 1] = { type = type, doc = doc }
end

function TAGS.type(item, rest)
  item.type = (M.split_type(rest))
end

function TAGS.overload(item, rest)
  item.overloads[#item.overloads + 1] = rest
end

function TAGS.class(item, rest)
  item.kind = "class"
  item.generics = rest:match("^[%w_.]+(%b<>)")
  local name, tail = rest:gsub("%b<>", "", 1):match("^([%w_.]+)%s*(.*)$")
  item.name = name
  local parent, doc = tail:match("^:%s*([%w_.%[%]]+)%s*(.*)$")
  item.parent = parent
  doc = doc or tail
  if doc ~= "" then
    item.doc[#item.doc + 1] = doc:sub(1, 1):upper() .. doc:sub(2) .. "."
  end
end

function TAGS.alias(item, rest)
  if item.name then
    return "one block declares one name"
  end
  item.kind = "alias"
  item.name = rest:match("^[%w_.]+")
  item.type = (M.split_type((rest:gsub("^[%w_.]+%s*", ""))))
end

-- How TypeScript is told of it, where that knows better than LuaLS's types say: a member, or of an
-- alias what stands behind "type". Several are overloads.
function TAGS.typescript(item, rest)
  item.typescript[#item.typescript + 1] = rest
end

-- What only LuaLS reads.
for _, name in ipairs({ "meta", "nodiscard", "async", "vararg", "generic", "private" }) do
  TAGS[name] = function(item)
    item.tags[name] = true
  end
end

local function new_item(file, line)
  return {
    file = file, line = line, doc = {}, params = {}, returns = {}, overloads = {}, tags = {},
    typescript = {},
  }
end

local function fault(item, line, what)
  error(("%s:%d: %s"):format(item.file, line, what), 0)
end

local function take_comment(item, text, line)
  local tag, rest = text:match("^@(%w+)%s*(.*)$")
  if not tag then
    -- One space behind the dashes belongs to them.
    item.doc[#item.doc + 1] = (text:gsub("^ ", ""))
    return
  end
  local take = TAGS[tag] or fault(item, line, "@" .. tag .. ": there is no such tag")
  local wrong = take(item, rest)
  if wrong then
    fault(item, line, "@" .. tag .. ": " .. wrong)
  end
end

-- What the line of code below a comment declares.
local function take_code(item, code)
  local name, args = code:match("^function%s+([%w_.:]+)%s*(%b())%s*end$")
  if name then
    item.kind, item.name, item.args = "function", name, args
    item.owner = name:match("^([%w_.]+)[.:][%w_]+$")
    return
  end
  name = code:match("^([%w_.]+)%s*=")
  if name and item.kind == nil then
    item.kind, item.name = "field", name
    item.owner = name:match("^([%w_.]+)%.[%w_]+$")
    return
  end
  name = code:match("^local%s+([%w_]+)%s*=")
  if name then
    item.variable = name
    item.kind = item.kind or "local"
  end
end

--- The declarations of a file, in order. Raises "file:line: what" of what cannot be understood.
---@param text string
---@param file string for the faults
---@return moongate.docs.Item[]
function M.parse(text, file)
  local items, item, number = {}, nil, 0
  local function done(code)
    if not item then
      return
    end
    if code then
      take_code(item, code)
    end
    item.doc = table.concat(item.doc, "\n"):gsub("^\n+", ""):gsub("%s+$", "")
    items[#items + 1] = item
    item = nil
  end
  for line in (text .. "\n"):gmatch("(.-)\n") do
    number = number + 1
    local comment = line:match("^%-%-%-(.*)$")
    if comment then
      item = item or new_item(file, number)
      take_comment(item, comment, number)
    else
      done(line ~= "" and line or nil)
    end
  end
  done()
  return items
end

return M
