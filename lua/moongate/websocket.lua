--- WebSockets to other servers: moongate.websocket. Pair of src/lua/bind_websocket_client.c.
---
--- A socket ends with the coroutine that has asked for it, and with that one's scope, unless it is
--- detached: then it is the scripts'. One that is to be connected again whenever its connection
--- fails has a coroutine for that (core/live/again.lua).
local native = require("moongate.native")
local again = require("moongate.core.live.again")
local check = require("moongate.core.check")
local connecting = require("moongate.core.connecting")
local errors = require("moongate.core.errors")
local message = require("moongate.core.live.message")
local sched = require("moongate.core.sched")
local Future = require("moongate.future")
local time = require("moongate.time")

local M = {}

---@class moongate.ClientWebSocket
local WebSocket = {}
WebSocket.__index = WebSocket

-- --- what is asked for ---

local DEFAULTS = {
  max_message = 1024 * 1024, ping = 30, idle = 90, close_timeout = 5, deflate = false,
}

-- false: never.
local function seconds_or_never(name, value)
  return value == false and 0 or check.seconds(name, value)
end

local function headers(name, value)
  for field in pairs(check.type(name, value, "table")) do
    if type(field) == "string" and field:lower():find("^sec%-websocket%-") then
      check.fail(name .. ": " .. field .. " is the client's own to send"
        .. (field:lower() == "sec-websocket-protocol" and ": set the option protocols" or ""))
    end
  end
  return value
end

local OPTIONS = {
  headers = headers, protocols = message.protocols, timeout = check.seconds,
  connect_timeout = check.seconds, max_message = message.size, ping = seconds_or_never,
  idle = seconds_or_never, close_timeout = check.seconds, deflate = connecting.boolean,
  ca = connecting.path, insecure = connecting.boolean, server_name = connecting.text,
  unix = connecting.path, deny = connecting.rules, allow = connecting.rules,
  reconnect = again.option,
}

local SCHEMES = { ws = "http", wss = "https" }

-- The URL as that of the request which asks for the socket.
local function http_url(url)
  check.string("websocket.connect: the URL", url)
  local scheme, rest = url:match("^(%a+)(://.*)$")
  local http = scheme and SCHEMES[scheme:lower()]
  if not http then
    check.fail('websocket.connect: a URL as "wss://host/path" is wanted, not "' .. url .. '"')
  elseif rest:find("#", 1, true) then
    check.fail("websocket.connect: the URL of a WebSocket has no fragment: " .. url)
  end
  return http .. rest
end

local function read(url, given)
  local options = check.options("websocket.connect: options", given or {}, OPTIONS)
  for key, value in pairs(DEFAULTS) do
    if options[key] == nil then
      options[key] = value
    end
  end
  options.decompress = false -- an answer without content asks for none
  return { shown = url, url = http_url(url), options = options }
end

-- --- connecting ---

local function dial(request)
  local options = request.options
  return native.websocket_connect("GET", request.url, options.headers, nil, options)
end

-- A new connection is its last one; what came over those before is received first.
local function adopt(socket, opened)
  socket.handle, socket.protocol, socket.headers = opened.handle, opened.protocol, opened.headers
  socket.handles[#socket.handles + 1] = opened.handle
end

-- Nothing is left of it. Calls nothing that can fail.
local function release(socket)
  for _, handle in ipairs(socket.handles) do
    native.websocket_release(handle)
  end
  again.stop(socket)
end

local KIND = { what = "websocket.connect", release = release }

function KIND.make(request, opened)
  local socket = setmetatable({
    url = request.shown, request = request, handles = {}, closing = false, guard = false,
    held = false, keeper = false, again = false,
  }, WebSocket)
  adopt(socket, opened)
  return socket
end

function KIND.drop(opened)
  native.websocket_release(opened.handle)
end

-- With a keeper if it is to be connected again.
function KIND.begin(socket, scope)
  if socket.request.options.reconnect then
    again.keep(socket, scope, dial, adopt)
  end
end

--- Opens a WebSocket. Options: headers, protocols (a list of subprotocols, one of which the server
--- has to choose), timeout (30 s, until it is open), connect_timeout (5 s of these, for name, dial
--- and handshake), max_message ("1M", of what comes), ping (30 s without a byte from the server;
--- false: never), idle (90 s likewise, after which it is closed; false: never), close_timeout (5 s
--- for the server's half of the closing handshake), deflate (false; true: permessage-deflate is
--- offered), ca, insecure, server_name, unix (a socket's path), deny and allow (as of
--- moongate.http, besides http.deny and http.allow), reconnect (true, or a table of wait, most,
--- tries, opened). Errors: dns denied connect tls timeout closed protocol limit cancelled;
--- err.answered is the status of an answer that made no WebSocket.
---@param url string "ws://..." or "wss://..."
---@param given table?
---@return moongate.Future of a moongate.ClientWebSocket
function M.connect(url, given)
  Future._refuse_loading("websocket.connect", 2)
  local request = read(url, given)
  local handle, wrong = dial(request)
  if not handle then
    check.fail("websocket.connect: " .. wrong)
  end
  return (connecting.begin(KIND, handle, request))
end

-- --- receiving ---

-- true and a message; false, code and reason: it has ended for ever; nil and a Future, after which
-- it is to be looked again.
local function look(socket)
  local handles = socket.handles
  local result, a, b = native.websocket_receive(handles[1])
  if result == true then
    return true, a, b
  elseif result then
    return nil, time.operation(result, Future._current_scope(), 4)
  elseif result == nil and a == "busy" then
    Future._raise(errors.new("protocol", "somebody else is receiving", {
      where = sched.user_line(3),
    }))
  end
  if result == false then
    socket.code, socket.reason = a, b
  end
  if handles[2] then
    native.websocket_release(table.remove(handles, 1))
    return look(socket)
  elseif socket.again and not socket.closing then
    return nil, socket.again
  end
  return false, socket.code, socket.reason
end

local function receive(socket)
  local found, a, b = look(socket)
  while found == nil do
    a:await()
    found, a, b = look(socket)
  end
  if found then
    return a, b
  end
  return nil, a, b
end

--- The next message and its kind; once the socket has ended nil, the code and the reason of its
--- end (1006: the connection failed).
---@return moongate.Future of a string and "text" or "binary", or of nil, an integer and a string
function WebSocket:receive()
  local found, a, b = look(self)
  if found == nil then
    return (Future._named("receive", a:and_then(function()
      return receive(self)
    end)))
  end
  local future = Future._named("receive", Future._new(Future._current_scope(), 2))
  if found then
    Future._settle(future, "resolved", 2, { a, b })
  else
    Future._settle(future, "resolved", 3, { nil, a, b })
  end
  return future
end

--- The messages one after the other, until the socket has ended; then `ws.code` and `ws.reason`
--- tell why.
---@return fun(): string?, string?
function WebSocket:messages()
  return function()
    return receive(self)
  end
end

-- --- sending and ending ---

local function closed(socket)
  local why = socket.again and not socket.closing and "it is being connected again"
    or "it is closed"
  Future._raise(errors.new("closed", socket.url .. ": " .. why, { where = sched.user_line(3) }))
end

--- Sends a message; suspends while much waits for the server. Raises with code "closed" if there is
--- no connection.
---@param data string|number|table a table becomes JSON
---@param kind "text"|"binary"|nil "text" unless given
function WebSocket:send(data, kind)
  local bytes, binary = message.payload("ws:send", data, kind)
  local taken = native.websocket_send(self.handle, bytes, binary)
  if taken == nil then
    closed(self)
  elseif not taken and sched.current then
    local room = native.websocket_room(self.handle)
    if room then
      time.wait_for(room, Future._current_scope(), 2)
    end
  end
  return self
end

--- Asks the server for a sign of life; the option `ping` does so by itself.
---@param data string? of at most 125 bytes
function WebSocket:ping(data)
  if not native.websocket_ping(self.handle, message.ping("ws:ping", data)) then
    closed(self)
  end
  return self
end

--- Closes: what was sent still leaves, what comes is dropped. It has ended when receive gives nil.
---@param code integer? 1000 unless given
---@param reason string? of at most 123 bytes
function WebSocket:close(code, reason)
  code, reason = message.farewell("ws:close", code, reason)
  native.websocket_close(self.handle, code, reason)
  again.stop(self)
end

--- It ends neither with the coroutine nor with the request that asked for it, but with the scripts.
---@return moongate.ClientWebSocket
function WebSocket:detach()
  if connecting.detach(self) then
    again.move(self, Future._current_root())
  end
  return self
end

return M
