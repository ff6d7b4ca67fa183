--- Content-Disposition of a download (RFC 6266).
local native = require("moongate.native")

local json = native.json

local M = {}

-- One underscore for each character beyond ASCII, or byte that belongs to none.
local function ascii_of(name)
  return (name:gsub("[\194-\244][\128-\191]+", "_"):gsub("[\128-\255]", "_"))
end

--- The field's value. Old clients read `filename`, an approximation if need be; all others prefer
--- `filename*` (RFC 8187), which is there if the name holds more than what is plain in a string.
---@param name string without control characters
---@return string
function M.attachment(name)
  local value = 'attachment; filename="' .. ascii_of(name):gsub('[\\"]', "\\%0") .. '"'
  if name:find('[\128-\255%%"\\]') then
    local utf8 = json.decode(json.encode(name)) -- with U+FFFD for what is none
    value = value .. "; filename*=UTF-8''" .. native.tools.url_encode(utf8)
  end
  return value
end

return M
