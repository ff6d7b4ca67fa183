--- app:websocket in specs: a client's end of a WebSocket over a connection in memory.
---
--- It does what a well-behaved client does by itself whenever the clock turns: takes what has come,
--- answers pings, and the other end's close.
local check = require("moongate.core.check")
local wire = require("moongate.test.wire")
local bit = require("bit")

local M = {}

local CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
local KEY = "dGhlIHNhbXBsZSBub25jZQ=="
local MASK = "\0\0\0\0" -- content is sent as it is

local open = {} -- clients whose connection is open

---@class moongate.test.WebSocket
local Client = {}
Client.__index = Client

-- --- frames ---

local function bytes_of(value, count)
  local bytes = {}
  for i = count, 1, -1 do
    bytes[i] = string.char(value % 256)
    value = math.floor(value / 256)
  end
  return table.concat(bytes)
end

local function frame(opcode, content, final)
  local n = #content
  local length = n < 126 and string.char(128 + n)
    or n < 65536 and string.char(254) .. bytes_of(n, 2)
    or string.char(255) .. bytes_of(n, 8)
  return string.char((final == false and 0 or 128) + opcode) .. length .. MASK .. content
end

-- One frame at the front of `text`: opcode, content, whether it is the last of its message, and
-- its length; nil while it is incomplete.
local function parse(text)
  local first, second, a, b = text:byte(1, 4)
  if not second then
    return nil
  end
  local n, at = second, 3
  if n == 126 then
    if not b then
      return nil
    end
    n, at = a * 256 + b, 5
  elseif n == 127 then
    if #text < 10 then
      return nil
    end
    n, at = 0, 11
    for i = 3, 10 do
      n = n * 256 + text:byte(i)
    end
  end
  if #text < at + n - 1 then
    return nil
  end
  return bit.band(first, 15), text:sub(at, at + n - 1), first >= 128, at + n - 1
end

-- --- what comes ---

local function transmit(client, bytes)
  return client.peer:send(bytes)
end

local function forget(client)
  open[client] = nil
  client.flight:done()
end

local function on_close(client, content)
  local high, low = content:byte(1, 2)
  client.code = low and high * 256 + low or 1005
  client.reason = content:sub(3)
  if not client.closing then
    client.closing = true
    transmit(client, frame(CLOSE, content:sub(1, 2)))
  end
end

local function take(client, opcode, content, final)
  if opcode == CLOSE then
    on_close(client, content)
  elseif opcode == PING then
    client.pings = client.pings + 1
    if client.answers then
      transmit(client, frame(PONG, content))
    end
  elseif opcode == PONG then
    client.pongs[#client.pongs + 1] = content
  else
    if opcode ~= CONTINUATION then
      client.kind, client.pieces = opcode == TEXT and "text" or "binary", {}
    end
    table.insert(client.pieces, content)
    if final then
      table.insert(client.inbox, { table.concat(client.pieces), client.kind })
    end
  end
end

local function look(client)
  local bytes, ended = client.peer:received()
  local moved = false
  local opcode, content, final, used = parse(bytes)
  while opcode do
    client.peer:take(used)
    take(client, opcode, content, final)
    moved = true
    opcode, content, final, used = parse((client.peer:received()))
  end
  if ended then
    client.code = client.code or 1006
    forget(client)
    moved = true
  end
  return moved
end

--- Lets all clients look at what has come. True: something had.
function M.poll()
  local moved = false
  for client in pairs(open) do
    moved = look(client) or moved
  end
  return moved
end

-- --- opening ---

local OPTIONS = {
  headers = function(name, value)
    return check.type(name, value, "table")
  end,
  protocols = function(name, value)
    return check.type(name, value, "table")
  end,
  answers_pings = function(name, value)
    return check.type(name, value, "boolean")
  end,
}

local function handshake(options)
  local headers = {
    Upgrade = "websocket", Connection = "Upgrade", ["Sec-WebSocket-Version"] = "13",
    ["Sec-WebSocket-Key"] = KEY,
  }
  if options.protocols then
    headers["Sec-WebSocket-Protocol"] = table.concat(options.protocols, ", ")
  end
  for name, value in pairs(options.headers or {}) do
    headers[name] = value
  end
  return headers
end

-- The head of a 101, without taking what stands behind it.
local function head_of_switch(flight)
  local bytes = flight.peer:received()
  local head = bytes:match("^HTTP/1%.1 101 .-\r\n\r\n")
  return head
end

--- Opens one. nil and the answer if that is no 101.
---@param app moongate.test.App
---@param path string
---@param options table? headers, protocols, answers_pings
---@return moongate.test.WebSocket?
---@return moongate.test.Response?
function M.open(app, path, options)
  options = options == nil and {} or check.options("websocket", options, OPTIONS)
  local flight = wire.start(app, "GET", path, { headers = handshake(options) })
  local head
  app.clock:until_true(function()
    head = head_of_switch(flight)
    local bytes, ended = flight.peer:received()
    return head or ended or bytes:find("^HTTP/1%.1 [2-5]")
  end, "the WebSocket's request")
  if not head then
    return nil, flight:response()
  end
  flight.peer:take(#head)
  local client = setmetatable({
    app = app, flight = flight, peer = flight.peer, inbox = {}, pongs = {}, pings = 0,
    protocol = head:match("\r\n[Ss]ec%-[Ww]eb[Ss]ocket%-[Pp]rotocol: ([^\r]+)"),
    answers = options.answers_pings ~= false,
  }, Client)
  open[client] = true
  look(client)
  return client
end

-- --- driving it ---

--- Sends a message.
---@param kind "text"|"binary"|nil
function Client:send(data, kind)
  transmit(self, frame(kind == "binary" and BINARY or TEXT, data))
  return self
end

--- Sends one frame of a message.
---@param final boolean false: others follow
---@param first boolean false: others came before
function Client:send_piece(data, first, final)
  transmit(self, frame(first == false and CONTINUATION or TEXT, data, final))
  return self
end

--- The next message and its kind; virtual time passes as it must. nil, code and reason once the
--- socket is closed.
---@return string?, string|integer, string?
function Client:receive()
  self.app.clock:until_true(function()
    return self.inbox[1] or self.code
  end, "ws:receive()")
  local message = table.remove(self.inbox, 1)
  if message then
    return message[1], message[2]
  end
  return nil, self.code, self.reason
end

--- All messages that have come until nothing more happens at this moment of virtual time.
---@return string[]
function Client:received()
  self.app.clock:settle()
  local list = {}
  for i, message in ipairs(self.inbox) do
    list[i] = message[1]
  end
  self.inbox = {}
  return list
end

function Client:ping(data)
  transmit(self, frame(PING, data or ""))
  return self
end

--- Closes, and waits for the other end to do so. Returns its code and reason.
---@param code integer? 1000 unless given
function Client:close(code, reason)
  if not self.closing then
    self.closing = true
    transmit(self, frame(CLOSE, bytes_of(code or 1000, 2) .. (reason or "")))
  end
  self.app.clock:until_true(function()
    return self.code
  end, "ws:close()")
  self.app.clock:settle()
  return self.code, self.reason
end

--- Leaves without a word.
function Client:disconnect()
  open[self] = nil
  self.code = self.code or 1006
  self.flight:disconnect()
end

--- Does not read for a while, like a slow client.
function Client:pause(paused)
  self.peer:pause(paused ~= false)
  return self
end

return M
