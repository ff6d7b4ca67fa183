--- Templates as Lua: text between `<% %>` becomes a function whose lines are those of the template,
--- so that Lua's own messages name them.
local M = {}

-- Where the code from `at` on ends: "%>" outside of a quoted string. Nil: nowhere.
local function end_of_code(text, at)
  local quote
  while at <= #text do
    local char = text:sub(at, at)
    if quote then
      if char == "\\" then
        at = at + 1
      elseif char == quote or char == "\n" then -- a string that is left open is Lua's to tell
        quote = nil
      end
    elseif char == '"' or char == "'" then
      quote = char
    elseif char == "%" and text:sub(at + 1, at + 1) == ">" then
      return at
    end
    at = at + 1
  end
end

local function line_of(text, at)
  local _, lines = text:sub(1, at - 1):gsub("\n", "")
  return lines + 1
end

-- As much of Lua as there are lines of text, so that what follows stands on its own line.
local function put_text(out, text)
  if text ~= "" then
    local _, lines = text:gsub("\n", "")
    local quoted = ("%q"):format(text):gsub("\\\n", "\\n"):gsub("\r", "\\r")
    out[#out + 1] = "_put(" .. quoted .. ") " .. ("\n"):rep(lines)
  end
end

local KINDS = {
  ["="] = function(code) return "_escape(" .. code .. ") " end,
  ["-"] = function(code) return "_raw(" .. code .. ") " end,
}

local function source_of(text, name)
  local out, at = {}, 1
  while true do
    local open = text:find("<%", at, true)
    put_text(out, text:sub(at, (open or 0) - 1))
    if not open then
      return table.concat(out)
    end
    local kind = KINDS[text:sub(open + 2, open + 2)]
    local first = open + (kind and 3 or 2)
    local close = end_of_code(text, first)
    if not close then
      error(("%s:%d: <%% has no %%> behind it"):format(name, line_of(text, open)), 0)
    end
    local code = text:sub(first, close - 1)
    at = close + 2
    local trims = code:sub(-1) == "-"
    code = trims and code:sub(1, -2) or code
    out[#out + 1] = kind and kind(code) or code .. " "
    if trims and text:find("^\r?\n", at) then
      local _, last = text:find("^\r?\n", at)
      out[#out + 1] = "\n" -- its line counts all the same
      at = last + 1
    end
  end
end

--- What makes a function (put, escape, raw) of a template, in the environment that it has then:
--- each rendering has its own, since it may await. Raises "name:line: what" if it is malformed.
---@param text string
---@param name string in messages: its file
---@return function
function M.compile(text, name)
  local source = "return function(_put, _escape, _raw) " .. source_of(text, name) .. " end"
  local chunk, wrong = loadstring(source, "@" .. name)
  return chunk or error(wrong, 0)
end

--- The names that a template includes or is laid out by, where they stand in quotes.
---@return string[]
function M.names(text)
  local names = {}
  for name in text:gmatch("%f[%w_]include%s*%(%s*[\"']([^\"'\n]+)[\"']") do
    names[#names + 1] = name
  end
  for name in text:gmatch("%f[%w_]layout%s*%(%s*[\"']([^\"'\n]+)[\"']") do
    names[#names + 1] = name
  end
  return names
end

return M
