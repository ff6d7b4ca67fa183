--- HTTP/2 by hand: frames go out exactly as given, and come back one by one. Field sections are
--- written as literals without a table, and are not decoded but for the status of an answer.
local bit = require("bit")
local wire = require("support.wire")
local M = {}

M.PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
M.TYPES = {
  DATA = 0, HEADERS = 1, PRIORITY = 2, RST_STREAM = 3, SETTINGS = 4, PUSH_PROMISE = 5, PING = 6,
  GOAWAY = 7, WINDOW_UPDATE = 8, CONTINUATION = 9, PRIORITY_UPDATE = 16,
}
M.CODES = {
  [0] = "NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT",
  "STREAM_CLOSED", "FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR",
  "CONNECT_ERROR", "ENHANCE_YOUR_CALM", "INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED",
}
local NAMES = {}
for name, number in pairs(M.TYPES) do
  NAMES[number] = name
end

-- --- writing ---

function M.u16(n)
  return string.char(math.floor(n / 256) % 256, n % 256)
end

function M.u32(n)
  return M.u16(math.floor(n / 65536)) .. M.u16(n % 65536)
end

--- A frame of any type, as a name or a number.
function M.frame(kind, flags, id, payload)
  payload = payload or ""
  local n = #payload
  return string.char(math.floor(n / 65536), math.floor(n / 256) % 256, n % 256,
    M.TYPES[kind] or kind, flags) .. M.u32(id) .. payload
end

function M.settings(...)
  local out = {}
  for i = 1, select("#", ...), 2 do
    out[#out + 1] = M.u16((select(i, ...))) .. M.u32((select(i + 1, ...)))
  end
  return M.frame("SETTINGS", 0, 0, table.concat(out))
end

-- RFC 7541 section 5.1, behind a prefix of 7 bits.
local function length(n)
  if n < 127 then
    return string.char(n)
  end
  local out = "\127"
  n = n - 127
  while n >= 128 do
    out = out .. string.char(n % 128 + 128)
    n = math.floor(n / 128)
  end
  return out .. string.char(n)
end

--- A field section: pairs of name and value, one behind the other.
function M.block(...)
  local out = {}
  for i = 1, select("#", ...), 2 do
    local name, value = select(i, ...), (select(i + 1, ...))
    out[#out + 1] = "\0" .. length(#name) .. name .. length(#value) .. value
  end
  return table.concat(out)
end

--- A GET or another method, with more fields behind.
function M.request(method, path, ...)
  return M.block(":method", method, ":scheme", "http", ":path", path, ":authority", "h", ...)
end

--- HEADERS that are whole; `ends`: the stream too.
function M.headers(id, block, ends)
  return M.frame("HEADERS", ends and 5 or 4, id, block)
end

-- --- reading ---

local Conn = {}
Conn.__index = Conn

local function number(text)
  local n = 0
  for i = 1, #text do
    n = n * 256 + text:byte(i)
  end
  return n
end

--- The next frame: kind, flags, id, payload, and `code` where it has one. nil: the server closed.
function Conn:read()
  local ok, head = pcall(self.wire.take, self.wire, 9)
  if not ok then
    assert(head:find("closed$"), head)
    return nil
  end
  local frame = {
    kind = NAMES[head:byte(4)] or head:byte(4),
    flags = head:byte(5),
    id = number(head:sub(6, 9)),
    payload = self.wire:take(number(head:sub(1, 3))),
  }
  if frame.kind == "RST_STREAM" then
    frame.code = M.CODES[number(frame.payload)]
  elseif frame.kind == "GOAWAY" then
    frame.code = M.CODES[number(frame.payload:sub(5, 8))]
    frame.last = number(frame.payload:sub(1, 4))
  end
  frame.ends = (frame.kind == "DATA" or frame.kind == "HEADERS") and bit.band(frame.flags, 1) == 1
  return frame
end

function Conn:send(bytes)
  return self.wire:send(bytes)
end

function Conn:close()
  self.wire:close()
end

--- Reads until the frame that `wanted(frame)` is true for, which comes back, with all before it.
--- nil: the server closed first.
function Conn:read_until(wanted)
  local before = {}
  for frame in function() return self:read() end do
    if wanted(frame) then
      return frame, before
    end
    before[#before + 1] = frame
  end
  return nil, before
end

--- What the server makes of all that was sent: the frames up to the answer to a PING, or up to the
--- end of the connection.
function Conn:settle()
  self:send(M.frame("PING", 0, 0, "settled?"))
  local pong, frames = self:read_until(function(frame)
    return frame.kind == "PING" and frame.payload == "settled?"
  end)
  return frames, pong ~= nil
end

--- A connection without a greeting.
function M.open(port)
  return setmetatable({ wire = wire.connect("127.0.0.1", port) }, Conn)
end

--- A connection with prior knowledge, greeted and acknowledged on both sides.
---@param settings string|nil the client's SETTINGS frame
function M.connect(port, settings)
  local conn = M.open(port)
  conn:send(M.PREFACE .. (settings or M.settings()))
  conn:read_until(function(frame)
    return frame.kind == "SETTINGS" and frame.flags == 1
  end)
  conn:send(M.frame("SETTINGS", 1, 0))
  return conn
end

return M
