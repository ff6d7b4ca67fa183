--- ws: a WebSocket as scripts see it. Pair of src/lua/bind_websocket.c.
---
--- The socket itself lives in C, longer than any scripts. A ws is made when a function is to get
--- one, and may go when nobody has it any more; while somebody has it, the same socket is the same
--- ws. It is the scope (core/scope.lua) of the functions that handle the socket.
local native = require("moongate.native")
local check = require("moongate.core.check")
local errors = require("moongate.core.errors")
local message = require("moongate.core.live.message")
local headers_of = require("moongate.core.headers")
local places = require("moongate.core.places")
local scopes = require("moongate.core.scope")
local sched = require("moongate.core.sched")
local suggest = require("moongate.core.suggest")
local Future = require("moongate.future")
local time = require("moongate.time")

local M = {}

-- Slots behind those of a scope; 6 is a request's, which a ws is not.
local HANDLE, SLOT, ROUTE, FACTS, TASK, TIMER, CLOSED = 7, 8, 9, 10, 11, 12, 13
M.HANDLE, M.SLOT, M.ROUTE, M.TASK, M.TIMER = HANDLE, SLOT, ROUTE, TASK, TIMER

local methods, getters = {}, {}
local Socket = {}

local SLOTS = native.constants.slots
local alive = setmetatable({}, { __mode = "v" }) -- slot of the handle -> ws, while somebody has it
local states = {} -- slot -> ws.state, once it was asked for

-- --- the object ---

--- The ws of a handle, made if nobody has it.
---@param root table the app's scope
function M.of(root, handle, slot, route)
  local ws = alive[slot]
  if not ws or ws[HANDLE] ~= handle then
    ws = setmetatable({
      false, false, false, root, false, false, -- of a scope
      handle, slot, route, false, false, false, false,
    }, Socket)
    alive[slot] = ws
  end
  return ws
end

--- A new one: of what was in its slot before nothing is left.
function M.new(root, handle, route)
  local slot = handle % SLOTS + 1
  states[slot] = nil
  return M.of(root, handle, slot, route)
end

--- Its state, which the caller takes away; nil if nothing is in it.
function M.take_state(slot)
  local state = states[slot]
  states[slot] = nil
  local ws = alive[slot]
  alive[slot] = nil
  if ws then
    ws[FACTS] = false
  end
  return state and next(state) ~= nil and state or nil
end

--- For specs, whose scripts share one Lua state: all states become what other scripts would find.
--- Raises if one cannot.
function M.cross()
  for slot, state in pairs(states) do
    states[slot] = native.json.decode(native.json.encode(state))
  end
  for slot in pairs(alive) do
    alive[slot] = nil
  end
end

function Socket.__index(ws, key)
  local method = methods[key]
  if method then
    return method
  end
  local getter = getters[key]
  if getter then
    return getter(ws)
  elseif type(key) == "number" then
    return nil
  end
  error("ws has no field '" .. tostring(key) .. "'" .. suggest.for_name(key, methods, getters)
    .. "; what belongs to the socket lives in ws.state", 2)
end

function Socket.__newindex(_, key)
  error("ws." .. tostring(key) .. " cannot be set: keep it in ws.state." .. tostring(key), 2)
end

function Socket.__tostring(ws)
  return "ws (" .. (ws[ROUTE].pattern or "?") .. ")"
end

local function check_ws(ws, name)
  if getmetatable(ws) ~= Socket then
    error(("call it with a colon: ws:%s(...), not ws.%s(...)"):format(name, name), 3)
  end
end

-- That a peer leaves is no fault of the scripts', and the log need not tell of it.
local function closed(ws)
  Future._raise(errors.new("closed", "the socket is closed", {
    where = sched.user_line(3), told = not ws[CLOSED],
  }))
end

-- --- what is known of it ---

local function facts(ws)
  local known = ws[FACTS]
  if not known then
    local protocol
    known, protocol = native.socket_facts(ws[HANDLE])
    if not known then
      closed(ws)
    end
    known.protocol = protocol
    known.headers = headers_of.any_case(known.headers)
    rawset(ws, FACTS, known)
  end
  return known
end

function getters.params(ws)
  return facts(ws).params
end

--- The request's fields, but for those of the handshake.
function getters.headers(ws)
  return facts(ws).headers
end

--- The subprotocol that was agreed on, or nil.
function getters.protocol(ws)
  return facts(ws).protocol
end

--- What scripts keep of the socket. It crosses to the next scripts if JSON can say it.
function getters.state(ws)
  local slot = ws[SLOT]
  local state = states[slot]
  if not state then
    state = native.socket_state(ws[HANDLE]) or {}
    states[slot] = state
  end
  return state
end

-- --- sending ---

--- Sends a message; suspends while much waits for the peer. Raises with code "closed" once nothing
--- can be sent.
---@param data string|number|table a table becomes JSON
---@param kind "text"|"binary"|nil "text" unless given
function methods.send(ws, data, kind)
  check_ws(ws, "send")
  local bytes, binary = message.bytes("ws:send", data, kind)
  local taken, why = native.socket_send(ws[HANDLE], bytes, binary)
  if taken == nil then
    if why == "utf-8" then
      message.refuse_bytes("ws:send")
    end
    closed(ws)
  elseif not taken then
    local room = native.socket_room(ws[HANDLE])
    if room then
      time.wait_for(room, sched.current and sched.current.scope or ws, 2)
    end
  end
  return ws
end

--- Closes: what was sent still leaves. `close` of the table form is told when that is done.
---@param code integer? 1000 unless given
---@param reason string? of at most 123 bytes
function methods.close(ws, code, reason)
  check_ws(ws, "close")
  code, reason = message.farewell("ws:close", code, reason)
  rawset(ws, CLOSED, true)
  native.socket_close(ws[HANDLE], code, reason)
end

--- Asks the peer for a sign of life; the option `ping` does so by itself.
---@param data string? of at most 125 bytes
function methods.ping(ws, data)
  check_ws(ws, "ping")
  native.socket_ping(ws[HANDLE], message.ping("ws:ping", data))
end

-- --- receiving ---

-- The next message at once, or what it is waited for by; false: there is none, and none will come.
local function receive(ws, name)
  if not ws[ROUTE].functions.run then
    error(("%s: the messages of this socket go to the function `message` of its route"):format(
      name), 3)
  end
  local result, data, kind = native.socket_receive(ws[HANDLE])
  if result == true then
    return data, kind
  elseif not result and data == "busy" then
    Future._raise(errors.new("protocol", "somebody else is receiving", {
      where = sched.user_line(3),
    }))
  end
  return false, result
end

local function await_message(ws, name)
  while true do
    local data, kind = receive(ws, name)
    if data or not kind then
      return data or nil, kind
    end
    time.wait_for(kind, sched.current.scope, 2)
  end
end

--- The messages one after the other, until the socket has ended:
--- for data, kind in ws:messages() do ... end
---@return fun(): string?, string?
function methods.messages(ws)
  check_ws(ws, "messages")
  return function()
    return await_message(ws, "ws:messages")
  end
end

--- The next message and its kind; nil once the socket has ended.
---@return moongate.Future of a string or nil, and "text" or "binary"
function methods.receive(ws)
  check_ws(ws, "receive")
  local data, kind = receive(ws, "ws:receive")
  local scope = sched.current and sched.current.scope or ws
  if data then
    local future = Future._new(scope, 2)
    Future._settle(future, "resolved", 2, { data, kind })
    return future
  elseif not kind then
    local future = Future._new(scope, 2)
    Future._settle(future, "resolved", 0)
    return future
  end
  return time.operation(kind, scope, 2):and_then(function()
    return await_message(ws, "ws:receive")
  end)
end

-- --- topics ---

local function check_told(ok, err, code)
  if not ok and err ~= "closed" then
    Future._raise(errors.new(code or "error", err, { where = sched.user_line(3) }))
  end
  return ok
end

--- What is published to the topic comes to this socket from now on, whatever scripts serve it.
---@param topic string of at most 255 bytes
function methods.subscribe(ws, topic)
  check_ws(ws, "subscribe")
  check.string("ws:subscribe: the topic", topic)
  check_told(native.socket_subscribe(ws[HANDLE], topic))
  return ws
end

---@param topic string
function methods.unsubscribe(ws, topic)
  check_ws(ws, "unsubscribe")
  native.socket_unsubscribe(ws[HANDLE], check.string("ws:unsubscribe: the topic", topic))
  return ws
end

local PUBLISH = { self = true, kind = check.string }

--- To every subscriber of the topic in every worker, but not to this socket.
---@param data string|number|table a table becomes JSON
---@param options table? self = true: to this socket too; kind = "binary"
function methods.publish(ws, topic, data, options)
  check_ws(ws, "publish")
  check.string("ws:publish: the topic", topic)
  options = options == nil and {} or check.options("ws:publish: options", options, PUBLISH)
  local bytes, binary = message.payload("ws:publish", data, options.kind)
  check_told(native.socket_publish(ws[HANDLE], topic, bytes, binary, options.self))
  return ws
end

places.know(methods)

assert(scopes.ROOT == 4 and HANDLE == 7) -- as M.of has them

return M
