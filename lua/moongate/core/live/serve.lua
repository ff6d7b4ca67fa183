--- Serves WebSockets: their opening as a request, then what C tells of them, one thing after the
--- other for each socket.
---
--- The table form holds nothing while a socket rests. Each of its functions runs in a coroutine of
--- its own, has as long as any handler, and takes its socket with it when it fails (1011). The
--- function of the coroutine form goes on in the request's own coroutine and scope.
local native = require("moongate.native")
local errors = require("moongate.core.errors")
local lifetime = require("moongate.core.request.lifetime")
local log = require("moongate.log")
local origin = require("moongate.core.live.origin")
local answer = require("moongate.core.request.answer")
local retire = require("moongate.core.app.retire")
local sched = require("moongate.core.sched")
local seldom = require("moongate.core.seldom")
local scopes = require("moongate.core.scope")
local send = require("moongate.core.request.send")
local slots = require("moongate.core.request.slots")
local sockets = require("moongate.core.live.socket")
local timers = require("moongate.core.timer")
local Future = require("moongate.future")

local M = {}

local WS_HANDLE, WS_SLOT, WS_ROUTE = sockets.HANDLE, sockets.SLOT, sockets.ROUTE
local WS_TASK, WS_TIMER = sockets.TASK, sockets.TIMER
local HANDLE, ROUTE, PHASE = slots.HANDLE, slots.ROUTE, slots.PHASE
local KIND, BODY, FIELDS, STATUS = slots.KIND, slots.BODY, slots.FIELDS, slots.STATUS
local SOCKET, COMMITTED = slots.SOCKET, slots.COMMITTED
local REST, ROOT = scopes.REST, scopes.ROOT
local socket_done = native.socket_done

local RENEWED, MESSAGE, ENDED =
  native.constants.sockets.renewed, native.constants.sockets.message, native.constants.sockets.ended
local FAULT, NORMAL = 1011, 1000
local PARTED = 256 -- sockets in a turn whose state is left to other scripts

-- Routes by the number that C knows, which is no other one's in this Lua state.
local routes, route_count = {}, 0

-- --- the functions of the table form ---

local function finish(ws)
  timers.stop(ws[WS_TIMER])
  ws[WS_TASK], ws[WS_TIMER] = false, false
  if ws[REST] then
    Future._end_scope(ws)
  end
  socket_done(ws[WS_HANDLE])
  local target = ws[WS_ROUTE].served
  if target.retired then
    retire.check(target)
  end
end

local function run_message(task)
  local ws, data = task.a, task.b
  ws[WS_TASK], task.b = task, false
  ws[WS_ROUTE].functions.message(ws, data, task.c)
  finish(ws)
end

local function run_renewed(task)
  local ws = task.a
  ws[WS_TASK] = task
  ws[WS_ROUTE].functions.reload(ws)
  finish(ws)
end

-- Nothing is left of it afterwards.
local function finish_ended(ws)
  sockets.take_state(ws[WS_SLOT])
  finish(ws)
  scopes.cancel(ws, errors.new("cancelled", "the socket is closed"))
end

local function run_ended(task)
  local ws = task.a
  ws[WS_TASK] = task
  ws[WS_ROUTE].functions.close(ws, task.b, task.c)
  finish_ended(ws)
end

local function tell_failure(ws, name, err)
  if errors.field(err, "told") then
    return
  end
  log.failure(("the %s function of %s failed"):format(name, ws[WS_ROUTE].label), err, {
    route = ws[WS_ROUTE].name or ws[WS_ROUTE].pattern,
  })
end

local function failed_in(name, done)
  return function(task, err)
    local ws = task.a
    tell_failure(ws, name, err)
    native.socket_close(ws[WS_HANDLE], FAULT, "")
    done(ws)
  end
end

local message_failed = failed_in("message", finish)
local renewed_failed = failed_in("reload", finish)
local ended_failed = failed_in("close", finish_ended)

local function seconds_of(route)
  return route.timeout or route.served.handler_seconds
end

local function on_late(ws)
  local seconds = seconds_of(ws[WS_ROUTE])
  ws[WS_TIMER] = false
  if ws[WS_TASK] then
    Future._cancel_task(ws[WS_TASK],
      errors.new("timeout", "the function took longer than " .. seconds .. " s"))
  end
end

-- It waits for something, but not for ever.
local function bound(ws)
  ws[WS_TIMER] = timers.after(seconds_of(ws[WS_ROUTE]), on_late, ws)
end

local function on_socket(handle, slot, what, route_id, a, b)
  local route = routes[route_id]
  local ws = sockets.of(route.served.root, handle, slot, route)
  if what == MESSAGE then
    sched.start(ws, run_message, message_failed, ws, a, b)
  elseif what == RENEWED then
    sched.start(ws, run_renewed, renewed_failed, ws)
  elseif what == ENDED and ws[WS_ROUTE].functions.close then
    sched.start(ws, run_ended, ended_failed, ws, a, b)
  else
    return finish_ended(ws)
  end
  if ws[WS_TASK] then
    bound(ws)
  end
end

-- --- opening ---

-- What a task that opens a socket, or has one, holds: it ends with the task, however that ends.
local Guard = {}
Guard.__index = Guard

function Guard:cancel(_, err)
  local ws = self.ws
  if self.opened then
    native.socket_close(ws[WS_HANDLE], errors.code(err) == "reload" and 1012 or FAULT, "")
    socket_done(ws[WS_HANDLE])
  else
    native.socket_drop(ws[WS_HANDLE])
  end
  sockets.take_state(ws[WS_SLOT])
end

local function refuse_one_more(ctx)
  local route = ctx[ROUTE]
  seldom.warn(route.refused, ("%s: more than %d WebSockets in this worker: %s is refused"):format(
    route.label, route.websocket.connections, ctx.client_ip))
  error(errors.new("status", "too many have opened this WebSocket", {
    status = 503, told = true, fields = { ["Retry-After"] = "1" },
  }), 0)
end

local function refuse(ctx, message, status)
  if status then
    ctx:header("Sec-WebSocket-Version", "13")
    error(errors.new("status", message, {
      status = status, upgrade = status == 426 and "websocket" or nil,
    }), 0)
  elseif message == "full" then
    return refuse_one_more(ctx)
  elseif message ~= "closed" then
    error(message, 0)
  end
  ctx:fail(503, "the scripts were reloaded")
end

--- The handler of a route of app:websocket.
function M.handler(ctx)
  local route = ctx[ROUTE]
  local options, functions = route.websocket, route.functions
  local task = sched.current
  local handle, wrong, status = native.socket_new(ctx[HANDLE], route.key, options.protocols,
    options.deflate, ctx.params)
  if not handle then
    return refuse(ctx, wrong, status)
  end
  local ws = sockets.new(ctx[ROOT], handle, route)
  local guard = setmetatable({ ws = ws, opened = false }, Guard)
  sched.hold(task, guard)
  if not origin.allows(options.origins, ctx.headers.origin, ctx.headers.host or ctx.host) then
    ctx:fail(403, "pages of that origin may not open this WebSocket")
  end
  if functions.open then
    functions.open(ws, ctx)
  end
  if functions.run then
    answer.keep_request(ctx)
  end
  answer.stage(ctx, SOCKET, false, guard)
  ctx[STATUS] = 101
end

-- Opens the socket that is staged, behind the onion; the coroutine form runs here to its end.
local function open(ctx)
  local guard = ctx[BODY]
  local ws, route = guard.ws, ctx[ROUTE]
  local task = sched.current
  local run = route.functions.run
  local ok, err = native.socket_open(ws[WS_HANDLE], ctx[HANDLE], ctx[FIELDS], run ~= nil)
  if not ok then
    return ok, err
  end
  ctx[PHASE] = COMMITTED
  if not run then
    sched.release(task, guard)
    socket_done(ws[WS_HANDLE])
    return true
  end
  guard.opened = true
  local retired = ctx[ROOT].served.retired
  if retired and retired.cancelled then -- the other coroutines were told to go before
    native.socket_leave(ws[WS_HANDLE])
  else
    run(ws)
  end
  sched.release(task, guard)
  native.socket_close(ws[WS_HANDLE], NORMAL, "")
  sockets.take_state(ws[WS_SLOT])
  socket_done(ws[WS_HANDLE])
  return true
end

-- --- generations ---

local function terms_of(target)
  local terms = {}
  for _, route in ipairs(target.app.routes) do
    local options = route.websocket
    if options then
      route_count = route_count + 1
      routes[route_count] = route
      route.served, route.refused = target, seldom.new()
      terms[#terms + 1] = {
        name = route.key, id = route_count, table = route.functions.run == nil,
        renews = route.functions.reload ~= nil,
        max_message = options.max_message, rate = options.rate, idle = options.idle,
        ping = options.ping, skip = options.slow == "skip", connections = options.connections,
      }
    end
  end
  return terms
end

--- The app serves the sockets of its routes from now on, those that others opened too.
---@param target table of serve.prepare
function M.commit(target)
  native.socket_serve(terms_of(target), sockets.take_state)
end

-- Nothing of sockets holds the scripts that others have replaced; what these have in hand is left
-- to the others bit by bit, and `again()` called for the next.
local function is_clear(again)
  if native.socket_part(PARTED) then
    again()
    return false
  end
  return native.socket_claims() == 0
end

--- The request of a coroutine, which has the socket, is to end: the socket is closed.
function M.leave(ctx)
  if ctx[KIND] == SOCKET and ctx[PHASE] == COMMITTED then
    native.socket_leave(ctx[BODY].ws[WS_HANDLE])
  end
end

-- The drain is over: sockets of coroutines are closed.
local function leave_all(target)
  for _, ctx in ipairs(lifetime.list()) do
    if ctx[ROOT].served == target then
      M.leave(ctx)
    end
  end
end

--- Functions of the table form that are under way.
---@return integer
function M.busy()
  local count = native.socket_claims()
  for _, ctx in ipairs(lifetime.list()) do
    if ctx[KIND] == SOCKET then
      count = count - 1
    end
  end
  return math.max(count, 0)
end

send.send_socket = open
retire.watch_sockets(is_clear, leave_all)
sched.serve_sockets(on_socket)

return M
