--- Servers of WebSockets in specs, which moongate.websocket.connect finds: over the streams of
--- test/streams.lua, with frames as RFC 6455 has them. It trusts its client, which is ours.
local bit = require("bit")
local answers = require("moongate.test.answers")
local check = require("moongate.core.check")
local errors = require("moongate.core.errors")
local message = require("moongate.core.live.message")
local tools = require("moongate.tools")
local Future = require("moongate.future")
local time = require("moongate.time")

local M = {}

local GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
local TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
local NO_CODE, ABNORMAL = 1005, 1006
local HEAD_MAX = 65536
local PORTS = { ws = 80, wss = 443 }

-- --- frames ---

local function big_endian(n, bytes)
  local out = {}
  for i = bytes, 1, -1 do
    out[i] = string.char(n % 256)
    n = math.floor(n / 256)
  end
  return table.concat(out)
end

local function number_of(bytes)
  local n = 0
  for i = 1, #bytes do
    n = n * 256 + bytes:byte(i)
  end
  return n
end

local function unmask(data, mask)
  local out = {}
  for i = 1, #data do
    out[i] = string.char(bit.bxor(data:byte(i), mask:byte((i - 1) % 4 + 1)))
  end
  return table.concat(out)
end

local function write_frame(stream, opcode, data)
  local n = #data
  local length = n < 126 and string.char(n) or n < 65536 and "\126" .. big_endian(n, 2)
    or "\127" .. big_endian(n, 8)
  stream:write(string.char(128 + opcode) .. length .. data)
end

-- Exactly `n` bytes, or nil: the client is gone.
local function read(stream, n)
  local data = n == 0 and "" or stream:read(n):await()
  return data and #data == n and data or nil
end

-- Opcode and content; nil: the client is gone.
local function read_frame(stream)
  local head = read(stream, 2)
  if not head then
    return nil
  end
  local n = head:byte(2) - 128
  if n >= 126 then
    n = number_of(read(stream, n == 126 and 2 or 8) or "")
  end
  local mask = read(stream, 4)
  local data = mask and read(stream, n)
  return data and head:byte(1) % 16, data and unmask(data, mask)
end

-- --- the server's end ---

---@class moongate.test.ServerWebSocket
local Server = {}
Server.__index = Server

--- Sends a message.
function Server:send(data, kind)
  local bytes, binary = message.payload("ws:send", data, kind)
  if self.ended then
    Future._raise(errors.new("closed", "the client has closed the socket"))
  end
  write_frame(self.stream, binary and BINARY or TEXT, bytes)
  return self
end

local function finish(self, code, reason)
  self.ended, self.code, self.reason = true, code, reason
end

-- The client's close is answered, unless it answers ours.
local function on_close(self, data)
  if not self.closing then
    write_frame(self.stream, CLOSE, data:sub(1, 2))
  end
  finish(self, #data >= 2 and number_of(data:sub(1, 2)) or NO_CODE, data:sub(3))
  self.stream:shutdown()
end

local function receive(self)
  while not self.ended do
    local opcode, data = read_frame(self.stream)
    if not opcode then
      finish(self, ABNORMAL, "")
    elseif opcode == CLOSE then
      on_close(self, data)
    elseif opcode == PING then
      write_frame(self.stream, PONG, data)
    elseif opcode == TEXT or opcode == BINARY then
      return data, opcode == TEXT and "text" or "binary"
    end
  end
  return nil, self.code, self.reason
end

--- The next message and its kind; nil, code and reason once the client has closed.
---@return moongate.Future
function Server:receive()
  return (Future._named("receive", time.spawn_in(Future._current_scope(), 2, receive, self)))
end

---@return fun(): string?, string?
function Server:messages()
  return function()
    return receive(self)
  end
end

--- Closes, and waits for the client's half.
function Server:close(code, reason)
  code, reason = message.farewell("ws:close", code, reason)
  if not self.ended then
    self.closing = true
    write_frame(self.stream, CLOSE, big_endian(code, 2) .. reason)
    repeat
      local data = receive(self)
    until not data
  end
end

--- The connection fails: no close frame is sent.
function Server:drop()
  finish(self, ABNORMAL, "")
  self.stream:close()
end

-- --- opening ---

local function read_request(stream)
  local text = stream:read_until("\r\n\r\n", HEAD_MAX):await() or ""
  local headers = {}
  for name, value in text:gmatch("\r\n([^:]+): ([^\r]*)") do
    headers[name:lower()] = value
  end
  return text:match("^GET (%S+) HTTP/1.1") or "", headers
end

local function refuse(stream, status)
  stream:write(("HTTP/1.1 %d Refused\r\nContent-Length: 0\r\n\r\n"):format(status))
end

-- Of the protocols that the client offers the first.
local function accept(stream, headers)
  local protocol = (headers["sec-websocket-protocol"] or ""):match("[^, ]+")
  local key = tools.sha1(headers["sec-websocket-key"] .. GUID)
  stream:write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    .. "Sec-WebSocket-Accept: " .. tools.base64_encode(key)
    .. (protocol and "\r\nSec-WebSocket-Protocol: " .. protocol or "") .. "\r\n\r\n")
  return protocol
end

local function serve(sockets, stream)
  local path, headers = read_request(stream)
  local answer = sockets[path]
  if type(answer) ~= "function" then
    return refuse(stream, answer or 404)
  end
  local ws = setmetatable({
    stream = stream, path = path, headers = headers, protocol = accept(stream, headers),
    ended = false, closing = false,
  }, Server)
  answer(ws)
  ws:close()
end

local function parse(url)
  check.string("stub_websocket: the URL", url)
  local scheme, host, path = url:match("^(wss?)://([^/?]+)(.*)$")
  if not scheme then
    check.fail('stub_websocket: a URL as "wss://host/path" is wanted, not "' .. url .. '"')
  end
  path = path:sub(1, 1) == "/" and path or "/" .. path
  return host:find(":%d+$") and host or host .. ":" .. PORTS[scheme], path
end

--- For app:stub_websocket.
---@param answer function|integer|any fn(ws); the status of a refusal; test.fail("connect")
function M.stub(app, url, answer)
  local address, path = parse(url)
  if answers.take_refusal(answer) then
    return app:stub_tcp(address, answer)
  end
  local refusal = type(answer) == "number" and answer % 1 == 0 and answer >= 200 and answer < 600
  if type(answer) ~= "function" and not refusal then
    check.fail("stub_websocket: a function(ws), the status of an answer, or a failure such as "
      .. "test.fail(\"connect\") is wanted")
  end
  local all = app.websockets[address]
  if not all then
    all = {}
    app.websockets[address] = all
    app:stub_tcp(address, function(stream)
      serve(all, stream)
    end)
  end
  all[path] = answer
end

return M
