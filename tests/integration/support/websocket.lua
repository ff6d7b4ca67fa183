--- A WebSocket's client over a real socket: frames as they are, for tests.
local bit = require("bit")

local M = {}

local Client = {}
Client.__index = Client

local HEAD = "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
  .. "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
local OPCODES = { text = 1, binary = 2, close = 8, ping = 9, pong = 10 }
local MASK = "\1\2\3\4"

local function masked(data)
  local out = {}
  for i = 1, #data do
    out[i] = string.char(bit.bxor(data:byte(i), (i - 1) % 4 + 1))
  end
  return table.concat(out)
end

--- The bytes of a client's frame. `options`: opcode (a name or a number), final (false: more
--- follow).
function M.frame(data, options)
  options = options or {}
  local opcode = options.opcode or "text"
  opcode = OPCODES[opcode] or opcode
  local first = string.char((options.final == false and 0 or 128) + opcode)
  local n = #data
  local length = n < 126 and string.char(128 + n)
    or n < 65536 and string.char(254, math.floor(n / 256), n % 256)
    or string.char(255, 0, 0, 0, 0, math.floor(n / 2 ^ 24), math.floor(n / 65536) % 256,
      math.floor(n / 256) % 256, n % 256)
  return first .. length .. MASK .. masked(data)
end

--- The bytes of a request for one.
---@param fields string[]? further lines of the head
function M.request(path, fields, host)
  local lines = {}
  for i, field in ipairs(fields or {}) do
    lines[i] = field .. "\r\n"
  end
  return HEAD:format(path, host or "h") .. table.concat(lines) .. "\r\n"
end

--- The answer to a request for one that was sent: the client; nil, the status line and fields if it
--- is refused.
function M.opened(conn)
  local status, got = conn:take_line(), {}
  for line in function() return conn:take_line() end do
    if line == "" then
      break
    end
    local name, value = line:match("^([^:]+): (.*)$")
    got[name:lower()] = value
  end
  if not status:find(" 101 ", 1, true) then
    return nil, status, got
  end
  return setmetatable({ conn = conn, fields = got }, Client)
end

--- Opens one on a connection of support.wire, and returns what M.opened does.
function M.open(conn, path, fields)
  conn:send(M.request(path, fields))
  return M.opened(conn)
end

function Client:send(data, options)
  self.conn:send(M.frame(data, options))
  return self
end

--- The next frame: opcode's number, content, whether it is final; nil at the end.
function Client:frame()
  local ok, head = pcall(self.conn.take, self.conn, 2)
  if not ok then
    return nil
  end
  local first, n = head:byte(1, 2)
  if n == 126 then
    local a, b = self.conn:take(2):byte(1, 2)
    n = a * 256 + b
  elseif n == 127 then
    local bytes = { self.conn:take(8):byte(1, 8) }
    n = bytes[5] * 2 ^ 24 + bytes[6] * 65536 + bytes[7] * 256 + bytes[8]
  end
  return bit.band(first, 15), n > 0 and self.conn:take(n) or "", first >= 128
end

--- The next message; pings are answered on the way. nil, code and reason once a close has come
--- (which is answered), or 1006.
function Client:receive()
  while true do
    local opcode, content = self:frame()
    if not opcode then
      return nil, 1006, ""
    elseif opcode == OPCODES.close then
      pcall(self.send, self, content:sub(1, 2), { opcode = "close" })
      local high, low = content:byte(1, 2)
      return nil, low and high * 256 + low or 1005, content:sub(3)
    elseif opcode == OPCODES.ping then
      self:send(content, { opcode = "pong" })
    elseif opcode ~= OPCODES.pong then
      return content, opcode == 2 and "binary" or "text"
    end
  end
end

--- Sends, and receives the answer.
function Client:ask(data)
  return self:send(data):receive()
end

--- Closes, and returns the code that comes back.
function Client:close(code)
  code = code or 1000
  self:send(string.char(math.floor(code / 256), code % 256), { opcode = "close" })
  local _, got = self:receive()
  self.conn:close()
  return got
end

return M
