--- What scripts give as text. A number has one text wherever it goes, exact to its last digit:
--- tostring(1700000000123456) is "1.7000000001235e+15", and that of an int64 ends in "LL".
local number_text = require("moongate.native").tools.number_text

local create, resume, status = coroutine.create, coroutine.resume, coroutine.status
local getmetatable, tostring = debug.getmetatable, tostring

local M = {}

local trusted = {} -- metatables

--- A string as it is, the text of a number or 64-bit integer; for anything else nil and what is
--- wrong.
---@return string?, string?
function M.of(value)
  if type(value) == "string" then
    return value
  end
  return number_text(value)
end

local ESCAPES = {
  ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;", ["'"] = "&#39;",
}

--- A string as it may stand in HTML, in an attribute's quotes too.
---@param s string
---@return string
function M.html(s)
  return (s:gsub("[&<>\"']", ESCAPES))
end

-- In a coroutine of its own: a script's __tostring may raise, wait, or never end.
local function tostring_of(value)
  local co = create(tostring)
  local ok, said = resume(co, value)
  if ok and type(said) == "string" and status(co) == "dead" then
    return said
  end
  return "a " .. type(value) .. " whose __tostring failed"
    .. (not ok and type(said) == "string" and (": " .. said) or "")
end

--- The text for people's eyes, which anything has. Never fails.
---@return string
function M.shown(value)
  local kind = type(value)
  if kind == "string" then
    return value
  elseif kind == "number" or kind == "cdata" then
    return number_text(value) or tostring_of(value)
  end
  local meta = getmetatable(value)
  return meta and not trusted[meta] and tostring_of(value) or tostring(value)
end

--- The __tostring of values of this metatable is the framework's: it neither fails nor waits, and
--- looks at the stack of whoever asks.
---@param meta table
function M.trust(meta)
  trusted[meta] = true
end

return M
