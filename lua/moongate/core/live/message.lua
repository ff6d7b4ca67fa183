--- What scripts send over a WebSocket, of either side: checked, and as bytes.
local native = require("moongate.native")
local check = require("moongate.core.check")
local text = require("moongate.core.text")
local tools = require("moongate.tools")
local Future = require("moongate.future")

local M = {}

local KINDS = { text = false, binary = true }
local REASON_MAX, PING_MAX = 123, 125 -- bytes: RFC 6455 section 5.5
local PROTOCOLS_MAX = 32 -- as C reads them
local MOST_BYTES = 2 ^ 30 -- of a message: http/ws_frame.h
local UNSENT = { [1004] = true, [1005] = true, [1006] = true }

--- The option max_message.
---@return integer bytes
function M.size(name, value)
  local bytes = check.size(name, value)
  if bytes < 1 or bytes > MOST_BYTES then
    check.fail(name .. ": from 1 byte to 1G, not " .. check.describe(value))
  end
  return bytes
end

--- What goes out, and whether it is binary. A table becomes JSON. Whether text is UTF-8 is not
--- looked at.
---@param name string of the call, for messages
---@param data string|number|table
---@param kind "text"|"binary"|nil
---@return string bytes, boolean binary
function M.bytes(name, data, kind)
  local binary = KINDS[kind or "text"]
  if binary == nil then
    check.one_of(name .. ": the kind", kind, KINDS)
  end
  if type(data) == "string" then
    return data, binary
  elseif type(data) == "table" and not binary and getmetatable(data) ~= Future then
    local ok, encoded = pcall(native.json.encode, data)
    return ok and encoded or check.fail(name .. ": " .. encoded), false
  end
  local bytes, wrong = text.of(data)
  return bytes or check.fail(name .. ": " .. wrong), binary
end

--- It was to be text.
function M.refuse_bytes(name)
  check.fail(name .. ': text is UTF-8, and this is not: send bytes as (data, "binary")')
end

--- The same, and text is UTF-8.
---@return string bytes, boolean binary
function M.payload(name, data, kind)
  local bytes, binary = M.bytes(name, data, kind)
  if not binary and not tools.is_utf8(bytes) then
    M.refuse_bytes(name)
  end
  return bytes, binary
end

--- What a close frame may say.
---@return integer code, string reason
function M.farewell(name, code, reason)
  code = code == nil and 1000 or code
  local good = type(code) == "number" and code % 1 == 0 and not UNSENT[code]
    and (code >= 1000 and code <= 1014 or code >= 3000 and code <= 4999)
  if not good then
    check.fail(name .. ": the code is 1000 to 1014 (but for 1004 to 1006) or 3000 to 4999, not "
      .. check.describe(code))
  end
  reason = reason == nil and "" or check.string(name .. ": the reason", reason)
  if #reason > REASON_MAX or not tools.is_utf8(reason) then
    check.fail(name .. ": a reason is UTF-8 of at most " .. REASON_MAX .. " bytes")
  end
  return code, reason
end

--- What a ping may carry.
---@return string
function M.ping(name, data)
  data = data == nil and "" or check.string(name .. ": the data", data)
  if #data > PING_MAX then
    check.fail(name .. ": at most " .. PING_MAX .. " bytes")
  end
  return data
end

--- A list of subprotocols, each a token, none twice.
---@return string[]?
function M.protocols(name, value)
  local seen = {}
  if not check.is_list(check.type(name, value, "table")) then
    check.fail(name .. ': a list such as { "chat.v1" } is wanted, without a hole')
  end
  for i, protocol in ipairs(value) do
    if type(protocol) ~= "string" or not protocol:find("^[%w!#$%%&'*+.^_`|~-]+$") then
      check.fail(('%s[%d]: a token such as "chat.v1" is wanted, not %s'):format(name, i,
        check.describe(protocol)))
    elseif seen[protocol] then
      check.fail(('%s[%d]: "%s" is there already'):format(name, i, protocol))
    end
    seen[protocol] = true
  end
  if #value > PROTOCOLS_MAX then
    check.fail(name .. ": at most " .. PROTOCOLS_MAX .. " subprotocols")
  end
  return #value > 0 and value or nil
end

return M
