--- What scripts give as text. A number has one text wherever it goes, exact to its last digit:
--- tostring(1700000000123456) is "1.7000000001235e+15", and that of an int64 ends in "LL".
local number_text = require("moongate.native").tools.number_text

local M = {}

--- A string as it is, the text of a number or 64-bit integer; for anything else nil and what is
--- wrong.
---@return string?, string?
function M.of(value)
  if type(value) == "string" then
    return value
  end
  return number_text(value)
end

--- The text for people's eyes, which anything has.
---@return string
function M.shown(value)
  local kind = type(value)
  if kind == "number" or kind == "cdata" then
    return number_text(value) or tostring(value)
  end
  return kind == "string" and value or tostring(value)
end

return M
