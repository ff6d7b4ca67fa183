--- Serves an app: from a request that C has read to the answer that C will send.
---
--- request -> coroutine -> onion of middleware around the handler -> the staged answer is sent when
--- it has unwound. An error goes to app:on_error, else becomes problem+json. The scope ends when
--- the last byte of the answer is queued.
local sched = require("moongate.core.sched")
local scopes = require("moongate.core.scope")
local errors = require("moongate.core.errors")
local context = require("moongate.core.request.context")
local problem = require("moongate.core.request.problem")
local Future = require("moongate.future")
local time = require("moongate.time")
local log = require("moongate.log")
local retire = require("moongate.core.app.retire")
local starting = require("moongate.core.app.starting")
local fallback = require("moongate.core.app.fallback")
local text = require("moongate.core.text")

local native = sched.native
local slots = context.slots
local HANDLE, ROUTE, METHOD, START = slots.HANDLE, slots.ROUTE, slots.METHOD, slots.START
local TASK, PHASE, ANSWERING, ALLOWED = slots.TASK, slots.PHASE, slots.ANSWERING, slots.ALLOWED
local SLOT, PARAMS = slots.SLOT, slots.PARAMS
local KIND, STATUS, TYPE, FIELDS = slots.KIND, slots.STATUS, slots.TYPE, slots.FIELDS
local BODY = slots.BODY
local OPEN, STAGED, COMMITTED, OVER = slots.OPEN, slots.STAGED, slots.COMMITTED, slots.OVER
local PLAIN, STREAM = slots.PLAIN, slots.STREAM
local CHILDREN, CANCELLED, ON_CLOSE = scopes.CHILDREN, scopes.CANCELLED, scopes.ON_CLOSE
local REJECTED, ENDED = scopes.REJECTED, scopes.ENDED
local check_field = context.check_field
local respond, new_ctx, stage_returned = native.respond, context.new, context.stage_returned

local status_of, stage_problem = problem.status_of, problem.stage

local M = {}

local HANDLER_SECONDS = 30 -- of detached work, when neither route nor configuration say
local ON_ERROR_SECONDS = 1 -- for app:on_error, once the handler's deadline has passed
local METHOD_HEAD = 1 -- http/method.h

local SLOTS = 2 ^ 20 -- src/lua/slots.h: the low bits of a handle
local live = {} -- slot of the handle -> ctx of the request under way
local served -- the app that is being served: see M.start

-- --- the end of a scope ---

local function closing_ended(target)
  target.closing = target.closing - 1
  if target.retired then
    retire.check(target)
  end
end

local function run_on_close(task)
  task.a(task.b or nil)
  closing_ended(task.c)
end

local function on_close_failed(task, err)
  log.failure("an on_close function failed", err)
  closing_ended(task.c)
end

-- They run in the background, and await there even if the rest of it had to end.
local function start_on_close(target, fns, why)
  local root = target.root
  local scope = root[CANCELLED] and target.retired and target.retired.scope or root
  target.closing = target.closing + #fns
  for _, fn in ipairs(fns) do
    sched.start_soon(scope, run_on_close, on_close_failed, fn, why, target)
  end
end

-- What is still in flight may finish within the handler's deadline.
local function detach(ctx)
  local target = served
  local detached = target.detached
  local seconds = (ctx[ROUTE].timeout or served.handler_seconds) - (native.now() - ctx[START])
  local timer = Future._after(math.max(seconds, 0), function()
    scopes.cancel(ctx, errors.new("cancelled", "the request's deadline passed"))
  end)
  detached[ctx] = true
  target.detached_count = target.detached_count + 1
  scopes.finish(ctx, function()
    Future._stop_timer(timer)
    detached[ctx] = nil
    target.detached_count = target.detached_count - 1
    if target.retired then
      retire.check(target)
    end
  end)
end

local function leave(ctx)
  if live[ctx[SLOT]] == ctx then
    live[ctx[SLOT]] = false
    if served.retired then
      served.retired.left = served.retired.left - 1
    end
  end
end

local function end_scope(ctx, why)
  leave(ctx)
  ctx[PHASE] = OVER
  ctx[ENDED] = true
  local fns = ctx[ON_CLOSE]
  if fns then
    ctx[ON_CLOSE] = false
    start_on_close(served, fns, why or ctx[CANCELLED])
  end
  if ctx[REJECTED] then
    Future._end_scope(ctx)
  end
  if ctx[CHILDREN] then
    if ctx[CANCELLED] then
      scopes.cancel(ctx) -- what app:on_error left behind
    else
      detach(ctx)
    end
  end
  if served.retired then
    retire.check(served)
  end
end

-- Cancels the request's work, whoever answers it included.
local function cancel(ctx, err)
  scopes.cancel(ctx, err)
  local task = ctx[TASK]
  if task and task ~= sched.current then
    ctx[TASK] = false
    Future._cancel_task(task, err)
  end
end

-- --- sending ---

local Out = {}
Out.__index = Out

--- Sends a piece of the answer; suspends while the peer is slow.
function Out:write(data)
  local bytes, wrong = text.of(data)
  if not bytes then
    error("out:write: " .. wrong, 2)
  end
  local ctx = self.ctx
  if ctx[CANCELLED] then
    Future._raise(ctx[CANCELLED])
  end
  local taken, err = native.stream_write(ctx[HANDLE], bytes)
  if taken == nil and ctx[PHASE] == OVER then
    Future._raise(errors.new("closed", "the answer is over"))
  elseif taken == nil then -- the signal that tells so is on its way
    scopes.cancel(ctx, errors.new("cancelled", "the client left (" .. err .. ")"))
    Future._raise(ctx[CANCELLED])
  elseif not taken then
    time.operation(native.stream_wait(ctx[HANDLE]), ctx, 2):await()
  end
  return self
end

--- A field to be sent behind the last piece (chunked answers only).
function Out:trailer(name, value)
  value = check_field(name, value, 2)
  self.trailers = self.trailers or {}
  table.insert(self.trailers, name)
  table.insert(self.trailers, value)
  return self
end

local function check_sent(ok, err)
  if not ok and err ~= "closed" then
    error(err, 0)
  end
end

local function send_stream(ctx)
  check_sent(native.stream_begin(ctx[HANDLE], ctx[STATUS], ctx[TYPE], ctx[FIELDS]))
  ctx[PHASE] = COMMITTED
  if ctx[ROUTE].stream_max then
    native.set_deadline(ctx[HANDLE], ctx[ROUTE].stream_max)
  end
  local out = setmetatable({ ctx = ctx }, Out)
  if ctx[METHOD] ~= METHOD_HEAD then
    ctx[BODY](out)
  end
  check_sent(native.stream_end(ctx[HANDLE], out.trailers))
end

-- By errno: not there, a folder, a loop of links, out of its folder (EXDEV); not readable; no
-- descriptor left.
local FILE_STATUS = {
  [-2] = 404, [-20] = 404, [-21] = 404, [-36] = 404, [-40] = 404, [-18] = 404, [-22] = 404,
  [-13] = 403, [-24] = 503,
}
local IS_FOLDER = -21
local FILE_MESSAGE = {
  [404] = "no such file", [403] = "not allowed", [503] = "too many files are open",
}

local OF_FILE = { ["cache-control"] = true, expires = true, ["content-disposition"] = true }

-- Takes out of ctx what is said of the file and would not be true of an error in its place: how
-- long to keep it, and under what name. Returned as lines.
local function take_lines_of_file(ctx)
  local fields = ctx[FIELDS] or {}
  local others, lines = {}, ""
  for i = 1, #fields, 2 do
    local name, value = fields[i], fields[i + 1]
    if OF_FILE[name:lower()] and not value:lower():find("no-store", 1, true) then
      lines = lines .. name .. ": " .. value .. "\r\n"
    else
      others[#others + 1] = name
      others[#others + 1] = value
    end
  end
  ctx[FIELDS] = others
  return lines
end

local function send_file(ctx)
  local file = ctx[BODY]
  local lines = take_lines_of_file(ctx)
  local operation, err =
    native.send_file(ctx[HANDLE], ctx[STATUS], ctx[TYPE], ctx[FIELDS], file.path, file.root,
      lines)
  if not operation then
    return check_sent(operation, err)
  end
  local _, failure = time.operation(operation, ctx, 2):try_await()
  if failure and failure.errno == IS_FOLDER and file.on_folder and file.on_folder(ctx) then
    check_sent(respond(ctx[HANDLE], ctx[STATUS], ctx[TYPE], ctx[FIELDS], ctx[BODY]))
  elseif failure then
    local status = FILE_STATUS[failure.errno]
    if status then
      failure = errors.new("status", FILE_MESSAGE[status], { status = status, cause = failure })
    end
    error(failure, 0)
  end
end

-- Sends what is staged; the scope ends with it.
local function send(ctx)
  local kind = ctx[KIND]
  if kind == PLAIN then
    local ok, err = respond(ctx[HANDLE], ctx[STATUS], ctx[TYPE], ctx[FIELDS], ctx[BODY])
    if not ok then
      check_sent(ok, err)
      native.give_up(ctx[HANDLE]) -- the head of a file may be out already; else nothing is left
    end
  elseif kind == STREAM then
    send_stream(ctx)
  else
    send_file(ctx)
  end
  end_scope(ctx)
end

-- --- the onion ---

local call

local function call_middleware(ctx, list, i, handler)
  local called = false
  local middleware = list[i]
  local status, content_type -- of the answer that is staged beneath
  local a, b, c = middleware(ctx, function()
    if called then
      error("next() was called a second time by the same middleware", 2)
    end
    called = true
    call(ctx, list, i + 1, handler)
    status, content_type = ctx[STATUS], ctx[TYPE]
  end)
  if a ~= nil or b ~= nil or c ~= nil then
    -- The whole answer is replaced, but for what the middleware itself has set since.
    if status and ctx[STATUS] == status then
      ctx[STATUS] = 200
    end
    if content_type and ctx[TYPE] == content_type then
      ctx[TYPE] = false
    end
    stage_returned(ctx, "middleware", middleware, a, b, c)
  end
end

function call(ctx, list, i, handler)
  if list[i] then
    return call_middleware(ctx, list, i, handler)
  end
  local a, b, c = handler(ctx)
  if a ~= nil or b ~= nil or c ~= nil then
    stage_returned(ctx, "handler", handler, a, b, c)
  end
end

local function end_unanswered(ctx)
  ctx[TASK] = false
  if not ctx[CANCELLED] then
    error("the handler of " .. ctx[ROUTE].label
      .. " ended without an answer: return one, or call ctx:text, ctx:json, ...", 0)
  end
end

local function run_request(task)
  local ctx = task.a
  local route = ctx[ROUTE]
  ctx[TASK] = task
  if route.middleware[1] then
    call(ctx, route.middleware, 1, route.handler)
  else
    local a, b, c = route.handler(ctx)
    if a ~= nil or b ~= nil or c ~= nil then
      stage_returned(ctx, "handler", route.handler, a, b, c)
    end
  end
  if ctx[PHASE] == OPEN then
    return end_unanswered(ctx)
  end
  if ctx[PHASE] == STAGED and not ctx[CANCELLED] then
    send(ctx)
  end
  ctx[TASK] = false
end

-- --- errors ---

-- Of an answer that the handler chose, and of a method that nobody knows (501), the log says
-- nothing: any client can have those.
local function is_no_fault(err)
  local status = status_of(err)
  return errors.code(err) == "status" and (status < 500 or status == 501)
end

local function log_failure(ctx, err)
  if is_no_fault(err) then
    return
  end
  local code = errors.code(err)
  local what = "the handler of " .. ctx[ROUTE].label .. " failed"
  if code == "cancelled" then
    what = what .. ", for it awaited a Future that was cancelled, made at the line named here"
  end
  log.failure(what, err, {
    request_id = native.request_id(ctx[HANDLE]),
    route = ctx[ROUTE].name or ctx[ROUTE].pattern,
  })
end

-- Whether the task died of the end of its request, which is no failure.
local function is_own_end(task, err)
  return err == task.a[CANCELLED] or err == task.cancelled
end

local function clear_answer(ctx)
  ctx[PHASE], ctx[KIND], ctx[STATUS], ctx[TYPE], ctx[BODY] = OPEN, PLAIN, 200, false, false
end

-- In a task of its own: ctx's scope is cancelled, this task is not.
local function answer_error(task)
  local ctx, err = task.a, task.b
  task.shielded = true
  ctx[TASK] = task
  clear_answer(ctx)
  local on_error = served.app.on_error
  if on_error then
    ctx[STATUS] = status_of(err)
    local a, b, c = on_error(ctx, err)
    if a ~= nil or b ~= nil or c ~= nil then
      stage_returned(ctx, "on_error function", on_error, a, b, c)
    end
  end
  if ctx[PHASE] == OPEN then
    if not (served.page and served.page(ctx, err, status_of(err))) then
      stage_problem(ctx, err)
    end
  end
  if ctx[PHASE] == STAGED then
    send(ctx)
  end
  ctx[TASK] = false
end

-- What ctx cannot do any more C does: it answers 500, or cuts what is under way.
local function give_up(ctx, err)
  native.give_up(ctx[HANDLE])
  end_scope(ctx, err)
end

-- The answer of last resort, which runs nobody's code.
local function answer_plainly(ctx, err)
  if ctx[PHASE] == COMMITTED then
    return give_up(ctx, err)
  end
  clear_answer(ctx)
  local code = errors.code(err)
  code = (code == "timeout" or code == "reload") and code or "error"
  ctx[FIELDS] = code == "reload" and { "Retry-After", "1" }
  stage_problem(ctx, errors.new(code, "app:on_error failed"))
  respond(ctx[HANDLE], ctx[STATUS], ctx[TYPE], ctx[FIELDS], ctx[BODY])
  give_up(ctx, err) -- if that did not end it
end

-- on_error itself failed, or what it staged cannot be sent.
local function answer_failed(task, err)
  local ctx = task.a
  ctx[TASK] = false
  if ctx[PHASE] ~= OVER then
    if not is_own_end(task, err) then
      log_failure(ctx, err)
    end
    answer_plainly(ctx, err)
  end
end

local function request_failed(task, err)
  local ctx = task.a
  ctx[TASK] = false
  if not is_own_end(task, err) then
    log_failure(ctx, err)
  end
  if ctx[PHASE] == OVER or ctx[ANSWERING] then
    return
  end
  scopes.cancel(ctx, errors.new("cancelled", "the handler failed", { cause = err }))
  if ctx[PHASE] == COMMITTED then
    return give_up(ctx, err)
  end
  ctx[ANSWERING] = true
  sched.start(ctx, answer_error, answer_failed, ctx, err)
end

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

local function on_request(handle, route_id, allowed, method, start, slot, params)
  local app = served.app
  local route = app.by_id[route_id]
  if route and allowed ~= 0 then
    route = refusing(route)
  end
  local ctx = new_ctx(served.root, handle, route or NO_ROUTE, method, start, served)
  ctx[SLOT], ctx[PARAMS] = slot, params or false
  live[slot] = ctx
  if served.retired then
    served.retired.left = served.retired.left + 1
  end
  if route then
    sched.start(ctx, run_request, request_failed, ctx)
  else
    ctx[ALLOWED] = allowed
    sched.start(ctx, run_fallback, request_failed, ctx)
  end
end

local function on_late(ctx)
  local seconds = ctx[ROUTE].timeout or served.handler_seconds
  local err = errors.new("timeout", "the handler took longer than " .. seconds .. " s")
  if ctx[PHASE] == COMMITTED then
    cancel(ctx, errors.new("cancelled", "the stream took longer than its stream_max"))
    return give_up(ctx, err)
  end
  local answering = ctx[ANSWERING]
  cancel(ctx, errors.new("cancelled", "the handler's deadline passed", { cause = err }))
  if answering then -- app:on_error takes too long as well
    log_failure(ctx, err)
    return answer_plainly(ctx, err)
  end
  ctx[ANSWERING] = true
  log_failure(ctx, err)
  native.set_deadline(ctx[HANDLE], ON_ERROR_SECONDS)
  sched.start(ctx, answer_error, answer_failed, ctx, err)
end

-- The scheduler was interrupted in the middle of taking the request: if it has not begun by now, it
-- never will.
local function on_lost(ctx)
  if ctx[TASK] or ctx[PHASE] ~= OPEN or ctx[ANSWERING] then
    return
  end
  local why = errors.new("cancelled", "the request could not be begun")
  cancel(ctx, why)
  native.give_up(ctx[HANDLE])
  end_scope(ctx, why)
end

local REASONS = {
  closed = "the client left",
  stop = "the server stops",
}

local function on_signal(handle, what)
  local ctx = live[handle % SLOTS + 1]
  if not ctx or ctx[HANDLE] ~= handle then
    native.give_up(handle) -- nobody serves it: the client is not to wait for ever
    return
  end
  if what == "deadline" then
    return on_late(ctx)
  end
  if what == "lost" then
    return on_lost(ctx)
  end
  local err = errors.new("cancelled", REASONS[what])
  cancel(ctx, err)
  end_scope(ctx, err)
end

-- --- apps ---

--- Makes a frozen app (app:freeze()) ready to serve. `options.root`: the project's folder.
---@return table served
function M.prepare(app, options)
  app.by_id = {}
  local native_routes = {}
  for _, route in ipairs(app.routes) do
    route.label = table.concat(route.methods or {}, ",") .. " " .. route.pattern
    app.by_id[route.id] = route
    native_routes[route.id] = {
      name = route.name or route.pattern,
      deadline_ms = route.timeout and math.floor(route.timeout * 1000 + 0.5),
      body_bytes = route.body,
    }
  end
  return {
    app = app,
    root = scopes.new_root(),
    folder = options.root,
    native_routes = native_routes,
    jobs_under_way = {},
    detached = {}, -- set of requests that are answered, with work in flight
    detached_count = 0,
    closing = 0, -- on_close functions under way
    handler_seconds = options.handler_seconds or HANDLER_SECONDS,
    page = options.page or false, -- development: stages an error's page for a browser
    retired = false, -- a moongate.Retired, once other scripts serve
  }
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

--- Its jobs begin.
function M.commit(target)
  for i, job in ipairs(target.app.jobs or {}) do
    target.jobs_under_way[i] = time.run_job(target.root, job)
  end
end

--- Ends it; `done()` is called when its on_stop functions are through.
M.stop = retire.stop

-- --- other scripts serve ---

local function live_list()
  local list = {}
  for _, ctx in pairs(live) do
    if ctx then
      list[#list + 1] = ctx
    end
  end
  return list
end

--- What still lives.
---@return integer requests, integer streams, integer background
function M.pins(target)
  local requests, streams = 0, 0
  for _, ctx in ipairs(live_list()) do
    if ctx[PHASE] == COMMITTED then
      streams = streams + 1
    else
      requests = requests + 1
    end
  end
  return requests, streams, retire.background(target)
end

--- Other scripts take new requests; `done()` is called when nothing is left of these.
---@param seconds number that the background has, and then on_stop
function M.retire(target, seconds, done)
  retire.begin(target, #live_list(), seconds, done)
end

-- A stream of unknown length can end here as well as anywhere; one that announced more is aborted.
local function end_stream(ctx, why)
  cancel(ctx, why)
  native.stream_end(ctx[HANDLE])
  end_scope(ctx, why)
end

local function evict(ctx)
  local why = errors.new("reload", "the scripts were reloaded too often while this waited", {
    fields = { ["Retry-After"] = "1" },
  })
  if ctx[PHASE] == COMMITTED then
    return end_stream(ctx, why)
  end
  local answering = ctx[ANSWERING]
  cancel(ctx, errors.new("cancelled", "the scripts were reloaded", { cause = why }))
  if answering then
    log_failure(ctx, why)
    return answer_plainly(ctx, why)
  end
  ctx[ANSWERING] = true
  log_failure(ctx, why)
  native.set_deadline(ctx[HANDLE], ON_ERROR_SECONDS)
  sched.start(ctx, answer_error, answer_failed, ctx, why)
end

--- Too many generations are held, and this is the oldest: what waits is answered 503, streams end,
--- the background too.
function M.evict(target)
  for _, ctx in ipairs(live_list()) do
    evict(ctx)
  end
  if target.retired then
    retire.hurry(target)
  end
end

sched.serve(on_request, on_signal)

return M
