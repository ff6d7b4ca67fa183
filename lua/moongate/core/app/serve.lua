--- Serves an app: what C tells of its requests, its start and its end.
---
--- request -> coroutine -> onion of middleware around the handler -> the staged answer is sent when
--- it has unwound (core/request/onion.lua, send.lua). An error goes to app:on_error, else becomes
--- problem+json (failure.lua). Its scope ends when the answer is queued (lifetime.lua).
local sched = require("moongate.core.sched")
local scopes = require("moongate.core.scope")
local errors = require("moongate.core.errors")
local fallback = require("moongate.core.app.fallback")
local retire = require("moongate.core.app.retire")
local retiring = require("moongate.core.app.retiring")
local static = require("moongate.core.app.static")
local endpoints = require("moongate.core.app.streams")
local proxy = require("moongate.core.proxy.route")
local starting = require("moongate.core.app.starting")
local context = require("moongate.core.request.context")
local failure = require("moongate.core.request.failure")
local ending = require("moongate.core.request.ending")
local lifetime = require("moongate.core.request.lifetime")
local onion = require("moongate.core.request.onion")
local sockets = require("moongate.core.live.serve")
local slots = require("moongate.core.request.slots")
local raw = require("moongate.core.stream")
local Future = require("moongate.future")
local time = require("moongate.time")

local native = sched.native
local HANDLE, ROUTE, TASK, PHASE = slots.HANDLE, slots.ROUTE, slots.TASK, slots.PHASE
local ALLOWED, ANSWERING = slots.ALLOWED, slots.ANSWERING
local OPEN, COMMITTED = slots.OPEN, slots.COMMITTED
local KIND, BODY, TUNNEL, RELAY = slots.KIND, slots.BODY, slots.TUNNEL, slots.RELAY
local SOCKET = slots.SOCKET
local new_ctx, begin, run_request = context.new, lifetime.begin, onion.run
local request_failed = failure.failed

local M = {}

local HANDLER_SECONDS = 30 -- of detached work, when neither route nor configuration say
local served -- the app that takes new requests: see M.start

-- --- what C tells ---

local NO_ROUTE = { label = "no route", middleware = {} } -- until fallback.lua has chosen one

local function run_fallback(task)
  local ctx = task.a
  ctx[ROUTE] = fallback.choose(served.app, ctx)
  run_request(task)
end

local function refuse_body(ctx)
  ctx:body():await() -- raises why
end

-- The body is refused before the handler runs; its middleware does.
local function refusing(route)
  return setmetatable({ handler = refuse_body }, { __index = route })
end

local function on_request(handle, route_id, allowed, begun, params)
  local route = served.app.by_id[route_id]
  if route and allowed ~= 0 then
    route = refusing(route)
  end
  local ctx = new_ctx(served.root, handle, route or NO_ROUTE, begun, params or false)
  begin(ctx)
  if served.watched then
    ending.watch(ctx)
  end
  if route then
    sched.start(ctx, run_request, request_failed, ctx)
  else
    scopes.rest(ctx)[ALLOWED] = allowed
    sched.start(ctx, run_fallback, request_failed, ctx)
  end
end

local function on_late(ctx)
  local seconds = ctx[ROUTE].timeout or served.handler_seconds
  local err = errors.new("timeout", "the handler took longer than " .. seconds .. " s")
  if ctx[PHASE] == COMMITTED then
    lifetime.cancel(ctx, errors.new("cancelled", "the stream took longer than its stream_max"))
    return failure.give_up(ctx, err)
  end
  failure.overrule(ctx, err, "the handler's deadline passed")
end

-- The scheduler was interrupted in the middle of taking the request: if it has not begun by now, it
-- never will.
local function on_lost(ctx)
  if ctx[TASK] or ctx[PHASE] ~= OPEN or slots.in_rest(ctx, ANSWERING) then
    return
  end
  local why = errors.new("cancelled", "the request could not be begun")
  lifetime.cancel(ctx, why)
  failure.give_up(ctx, why)
end

local REASONS = {
  closed = "the client left",
  stop = "the server stops",
}

local function on_signal(handle, what)
  local ctx = lifetime.find(handle)
  if not ctx then
    native.give_up(handle) -- nobody serves it: the client is not to wait for ever
  elseif what == "deadline" then
    on_late(ctx)
  elseif what == "lost" then
    on_lost(ctx)
  else
    local err = errors.new("cancelled", REASONS[what])
    lifetime.cancel(ctx, err)
    lifetime.finish(ctx, err)
  end
end

-- --- apps ---

local function native_proxy(route, options)
  if options.upstreams then
    proxy.check_upstream(route, options.upstreams)
  end
  return not route.middleware[1] and proxy.native(route.proxied) or nil
end

-- What is relayed may take as long as it moves, unless the route has a time of its own.
local function deadline_ms(route)
  local seconds = route.timeout or route.proxied and 0
  return seconds and math.floor(seconds * 1000 + 0.5)
end

-- What C has to know of each route, by its number.
local function prepare_routes(app, options)
  local root = options.root or ""
  app.by_id = {}
  local native_routes = {}
  for _, route in ipairs(app.routes) do
    route.label = table.concat(route.methods or {}, ",") .. " " .. (route.host or "")
      .. route.pattern
    app.by_id[route.id] = route
    native_routes[route.id] = {
      name = route.name or (route.host or "") .. route.pattern,
      deadline_ms = deadline_ms(route),
      body_bytes = route.body,
      folder = route.files and not route.middleware[1]
        and static.native(route.files, root) or nil,
      proxy = route.proxied and native_proxy(route, options),
    }
  end
  return native_routes
end

--- Makes a frozen app (app:freeze()) ready to serve. `options.root`: the project's folder;
--- `upstreams`: the names that app:proxy may use, else it raises.
---@return table served
function M.prepare(app, options)
  local root = scopes.new_root()
  root.served = {
    app = app,
    root = root,
    folder = options.root,
    native_routes = prepare_routes(app, options),
    jobs_under_way = {},
    detached = {}, -- set of requests that are answered, with work in flight
    detached_count = 0,
    closing = 0, -- on_close and on_response functions under way, or to come
    watched = app.on_response ~= nil and app.on_response[1] ~= nil,
    handler_seconds = options.handler_seconds or HANDLER_SECONDS,
    globals = options.globals or false, -- development: what scripts see, for moongate repl
    page = options.page or false, -- development: stages an error's page for a browser
    retired = false, -- a moongate.Retired, once other scripts serve
  }
  return root.served
end

--- Serves `target` (of M.prepare) from now on. on_start functions run first; `ready(ok, message)`
--- is called when they are through. `limit` and `left` as for core/app/starting.lua.
function M.start(target, ready, limit, left)
  served = target
  served.root[scopes.CANCELLED] = false
  Future._set_root(target.root)
  starting.run(target.root, target.app.on_start or {}, limit, left, function(ok, message)
    if ok then
      native.bind_routes(target.app.router, target.native_routes)
    end
    ready(ok, message)
  end)
end

--- WebSockets of its routes are its own, and its jobs begin unless `jobs` is false.
function M.commit(target, jobs)
  sockets.commit(target)
  for i, job in ipairs(jobs ~= false and target.app.jobs or {}) do
    target.jobs_under_way[i] = time.run_job(target.root, job)
  end
end

--- The server is about to stop.
function M.announce(target)
  retiring.announce(target.root, "stop")
  for _, job in ipairs(target.jobs_under_way) do
    job.stop()
  end
end

--- Ends it; `done()` is called when its on_stop functions are through.
M.stop = retire.stop

-- --- other scripts serve ---

--- What still lives.
---@return integer requests, integer streams, integer background
function M.pins(target)
  local requests, streams = 0, 0
  for _, ctx in ipairs(lifetime.list()) do
    if ctx[PHASE] == COMMITTED then
      streams = streams + 1
    else
      requests = requests + 1
    end
  end
  return requests + sockets.busy(), streams, retire.background(target)
end

--- Other scripts take new requests; `done()` is called when nothing is left of these.
---@param seconds number that the background has, and then on_stop
function M.retire(target, seconds, done)
  retire.begin(target, #lifetime.list(), seconds, done)
end

-- A stream of unknown length can end here as well as anywhere; one that announced more is aborted.
local function end_stream(ctx, why)
  lifetime.cancel(ctx, why)
  if ctx[KIND] == TUNNEL then
    raw.release(ctx[BODY], false)
  elseif ctx[KIND] == SOCKET then
    sockets.leave(ctx)
  elseif ctx[KIND] == RELAY then
    native.give_up(ctx[HANDLE]) -- where the server would have ended, nobody knows
  else
    native.stream_end(ctx[HANDLE])
  end
  lifetime.finish(ctx, why)
end

local function evict(ctx)
  local why = errors.new("reload", "the scripts were reloaded too often while this waited", {
    fields = { ["Retry-After"] = "1" },
  })
  if ctx[PHASE] == COMMITTED then
    return end_stream(ctx, why)
  end
  failure.overrule(ctx, why, "the scripts were reloaded")
end

--- Too many generations are held, and this is the oldest: what waits is answered 503, streams end,
--- the background too.
function M.evict(target)
  for _, ctx in ipairs(lifetime.list()) do
    evict(ctx)
  end
  if target.retired then
    retire.hurry(target)
  end
end

local function on_stream(handle, address, a, b)
  endpoints.tell(served, handle, address, a, b)
end

sched.serve(on_request, on_signal, on_stream)

return M
