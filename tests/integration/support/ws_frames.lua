--- A WebSocket's client end in bytes: frames go out exactly as given, those that come are judged.
local bit = require("bit")
local wire = require("support.wire")
local M = {}

local KEY, ACCEPT = "dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
local MASK = { 0x37, 0xfa, 0x21, 0x3d }

M.CONTINUATION, M.TEXT, M.BINARY, M.CLOSE, M.PING, M.PONG = 0, 1, 2, 8, 9, 10
local NAMES = { [0] = "continuation", "text", "binary", [8] = "close", [9] = "ping", [10] = "pong" }

local function mask(data)
  local out = {}
  for i = 1, #data do
    out[i] = string.char(bit.bxor(data:byte(i), MASK[(i - 1) % 4 + 1]))
  end
  return table.concat(out)
end

local function big_endian(n, bytes)
  local out = ""
  for _ = 1, bytes do
    out = string.char(n % 256) .. out
    n = math.floor(n / 256)
  end
  return out
end
M.big_endian = big_endian

--- A client's frame. Options: more (it is not final), rsv (0 to 7), unmasked, form (7, 16 or 64
--- bits of length, if not the shortest), announced (a length, if not that of the data).
function M.frame(opcode, data, options)
  options = options or {}
  local n = options.announced or #data
  local form = options.form or (n < 126 and 7 or n < 65536 and 16 or 64)
  local flag = options.unmasked and 0 or 0x80
  local first = (options.more and 0 or 0x80) + (options.rsv or 0) * 16 + opcode
  local length = form == 7 and string.char(flag + n)
    or form == 16 and string.char(flag + 126) .. big_endian(n, 2)
    or string.char(flag + 127) .. big_endian(n, 8)
  if options.unmasked then
    return string.char(first) .. length .. data
  end
  return string.char(first) .. length .. string.char(unpack(MASK)) .. mask(data)
end

function M.text(data, options)
  return M.frame(M.TEXT, data, options)
end

function M.binary(data, options)
  return M.frame(M.BINARY, data, options)
end

--- The next piece of a message.
function M.more(data, options)
  return M.frame(M.CONTINUATION, data, options)
end

function M.ping(data, options)
  return M.frame(M.PING, data or "", options)
end

function M.pong(data, options)
  return M.frame(M.PONG, data or "", options)
end

--- Without a code: empty.
function M.close(code, reason, options)
  return M.frame(M.CLOSE, code and big_endian(code, 2) .. (reason or "") or "", options)
end

-- --- the client end ---

local Client = {}
Client.__index = Client

--- The request, without its last empty line; further arguments are fields.
function M.request(target, ...)
  return wire.get(target, "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: " .. KEY, ...)
end

--- Opens a WebSocket on a connection of support.wire.
function M.open(conn, target, ...)
  conn:send(M.request(target, ...))
  local status = conn:take_line()
  assert(status:find("^HTTP/1.1 101 "), status)
  local fields = {}
  for line in function() return conn:take_line() end do
    if line == "" then
      break
    end
    local name, value = line:match("^([^:]+): (.*)$")
    fields[name:lower()] = value
  end
  assert(fields["sec-websocket-accept"] == ACCEPT, "a wrong Sec-WebSocket-Accept")
  return setmetatable({ conn = conn, fields = fields }, Client)
end

function Client:send(bytes)
  return self.conn:send(bytes)
end

--- The next frame: final, opcode, rsv and data. nil: the connection has ended.
function Client:take_frame()
  local ok, head = pcall(self.conn.take, self.conn, 2)
  if not ok then
    assert(tostring(head):find("closed"), head)
    return nil
  end
  local first, second = head:byte(1, 2)
  assert(second < 128, "a server's frame with a mask")
  local n = second
  if second >= 126 then
    n = 0
    for _, byte in ipairs({ self.conn:take(second == 126 and 2 or 8):byte(1, -1) }) do
      n = n * 256 + byte
    end
    assert(n > (second == 126 and 125 or 65535), "a length in a longer form")
  end
  return {
    final = first >= 128, rsv = math.floor(first / 16) % 8, opcode = first % 16,
    data = n > 0 and self.conn:take(n) or "",
  }
end

--- A frame in words: "text:hello", "close:1000 bye".
function M.shown(frame)
  local data = frame.data
  if frame.opcode == M.CLOSE then
    local a, b = data:byte(1, 2)
    data = a and ("%d %s"):format(a * 256 + b, data:sub(3)) or ""
  end
  local more = frame.final and "" or "more "
  local reserved = frame.rsv > 0 and "rsv" .. frame.rsv .. " " or ""
  return more .. reserved .. (NAMES[frame.opcode] or frame.opcode) .. ":" .. data
end

--- All frames up to the end of the connection, in words.
function Client:take_all()
  local all = {}
  for frame in function() return self:take_frame() end do
    all[#all + 1] = M.shown(frame)
  end
  return all
end

return M
