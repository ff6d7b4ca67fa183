--- Time and background work: sleep, spawn, after, every.
local check = require("moongate.core.check")
local sched = require("moongate.core.sched")
local Future = require("moongate.future")
local scopes = require("moongate.core.scope")
local settling = require("moongate.core.future.settle")
local timers = require("moongate.core.timer")
local ticks = require("moongate.core.app.ticks")
local log = require("moongate.log")

local native = sched.native
local select, unpack = select, unpack
local refuse_loading, named = Future._refuse_loading, Future._named

local M = {}

local RESUME_SECONDS = 1 -- until a job whose own coroutine was made to fail goes on

local function check_seconds(name, seconds, level)
  local good = type(seconds) == "number" and seconds >= 0 and seconds < 1e10
  if not good then
    error(name .. ": seconds are wanted, a number of at least 0, not " .. check.describe(seconds),
      level + 1)
  end
end

local function cancel_operation(future)
  sched.cancel_operation(future._operation)
end

--- Nothing begins in a scope that is over, but for whoever answers for it.
---@return boolean
function M.is_over(scope)
  local task = sched.current
  return scope[scopes.CANCELLED] and not (task and task.shielded and task.scope == scope)
end
local is_over = M.is_over

--- A Future of an operation of C; `handle` comes from a native function.
---@return moongate.Future
function M.operation(handle, scope, level)
  local future = Future._new(scope, level + 1)
  if is_over(scope) then
    sched.cancel_operation(handle)
    future:_abandon(scope[scopes.CANCELLED])
    return future
  end
  future._operation = handle
  future._cancel = cancel_operation
  sched.watch(handle, future)
  return future
end

local spare = false -- the Future of a wait that is over

-- The place is looked for only now: it is wanted for errors alone.
local function raise_placed(err, level)
  if err.where == settling.NOWHERE then
    local source, line = native.where(level + 1)
    err.where = (source or "?") .. ":" .. (line or 0)
  end
  error(err, 0)
end

--- Waits for an operation of C, and raises its error. No script ever has the Future of it, so that
--- one serves again and again.
---@return any its value
function M.wait_for(handle, scope, level)
  if is_over(scope) then
    sched.cancel_operation(handle)
    Future._raise(scope[scopes.CANCELLED])
  end
  local future = spare
  spare = false
  if future then
    settling.renew(future, scope)
  else
    future = settling.placed(scope, false, false)
  end
  future._operation, future._cancel = handle, cancel_operation
  sched.watch(handle, future)
  local value, err = future:try_await()
  if err then
    raise_placed(err, level + 1)
  end
  spare = future
  return value
end

--- Resolved, with nothing, after `seconds`.
---@param scope table
---@param seconds number
---@return moongate.Future
function M.sleep_in(scope, seconds, level)
  check_seconds("sleep", seconds, level + 1)
  refuse_loading("sleep", level + 1)
  return (M.operation(native.sleep(seconds), scope, level + 1))
end

---@param seconds number
---@return moongate.Future
function M.sleep(seconds)
  return (named("sleep", M.sleep_in(Future._app_scope(), seconds, 2)))
end

-- --- spawn ---

local function run_spawned(task)
  if task.cancelled then
    return -- before it began
  end
  local args = task.c
  local script = task.b -- in a local: places.traceback looks for it
  task.a:resolve(script(unpack(args, 1, args.n)))
end

local function spawned_failed(task, err)
  Future._fail(task, task.a, err)
end

local function cancel_spawned(future, err)
  Future._cancel_task(future._task, err)
end

--- Runs `fn(...)` in a coroutine of its own, as a child of `scope`.
---@return moongate.Future of what it returns
function M.spawn_in(scope, level, fn, ...)
  if type(fn) ~= "function" then
    error("spawn: a function is wanted, not " .. check.describe(fn), level + 1)
  end
  refuse_loading("spawn", level + 1)
  local future = Future._new(scope, level + 1)
  if is_over(scope) then
    future:_abandon(scope[scopes.CANCELLED])
    return future
  end
  local args = { n = select("#", ...), ... }
  local task = sched.start_soon(scope, run_spawned, spawned_failed, future, fn, args)
  local starter = sched.current
  if starter then
    task.making = starter.making
    task.shielded = starter.shielded and starter.scope == scope
  end
  future._task, future._cancel = task, cancel_spawned
  return future
end

--- Background work of the app: it outlives the request that starts it.
---@return moongate.Future
function M.spawn(fn, ...)
  return (named("spawn", M.spawn_in(Future._current_root(), 2, fn, ...)))
end

--- Calls `fn()` in a coroutine after `seconds`. Cancel the Future to prevent it.
---@return moongate.Future of what it returns
function M.after(seconds, fn)
  check_seconds("after", seconds, 2)
  if type(fn) ~= "function" then
    error("after: a function is wanted, not " .. check.describe(fn), 2)
  end
  refuse_loading("after", 2)
  local root = Future._current_root()
  return (named("after", M.spawn_in(root, 2, function()
    M.sleep_in(root, seconds, 2):await()
    return fn()
  end)))
end

-- --- jobs ---

local function end_run(control)
  if control.running then
    control.running = false
    native.job_end(control.job.name)
  end
end

-- One run, unless the job runs elsewhere: in another worker, or in scripts that were replaced. In a
-- coroutine of its own: whatever ends the run does not end the job.
local function run_once(control)
  local job = control.job
  local period = ticks.period(job, control.times)
  if not native.job_begin(job.name, job.each_worker, period, job.where or "?") then
    return
  end
  control.running = true
  local run = named("job " .. job.name, M.spawn_in(control.root, 2, job.fn))
  run._job = "runs"
  if job.where then -- where it was declared says more than where it is run
    run._source, run._line = job.where:match("^(.*):(%d+)$")
  end
  sched.hold(sched.current, run)
  local ok, why = pcall(run.try_await, run)
  sched.release(sched.current, run)
  end_run(control)
  if not ok then
    error(why, 0) -- the job itself was cancelled
  elseif run:state() == "rejected" then
    log.failure("job " .. job.name .. " failed", run._value)
  end
end

local function wait_for_tick(control)
  local seconds = ticks.wait(control.job, control.times)
  while seconds do
    local tick = M.sleep_in(control.root, seconds, 2)
    tick._job = true
    control.ticks = true
    tick:await()
    control.ticks = false
    seconds = ticks.more(control.job, control.times)
  end
end

local function tick_on(task)
  local control = task.b
  while not control.stopped do
    wait_for_tick(control)
    run_once(control)
  end
  control.future:resolve()
end

local ticking_failed

local function start_ticking(control)
  local future = control.future
  if not control.job.each_worker then
    native.job_claim(control.job.name)
  end
  future._task = sched.start_soon(control.root, tick_on, ticking_failed, future, control)
end

-- It was cancelled; or made to fail, perhaps for the memory that others took: then it goes on, in a
-- while.
function ticking_failed(task, err)
  local control = task.b
  end_run(control)
  if control.future:state() ~= "pending" or control.root[scopes.CANCELLED] then
    return Future._fail(task, control.future, err)
  end
  log.failure("job " .. control.job.name .. " was interrupted", err)
  timers.after(RESUME_SECONDS, start_ticking, control, RESUME_SECONDS)
end

--- Runs a declared job until it is stopped. A run in progress ends before the next tick.
---@param job table as for core/app/ticks.lua; fn: function, each_worker: boolean, where: string?
---@return { future: moongate.Future, stop: fun() } stop: no more ticks; a run in progress goes on
function M.run_job(root, job)
  local control = {
    root = root, job = job, running = false, ticks = false, stopped = false, times = {},
  }
  control.future = Future._new(root, 2)
  control.future._job, control.future._cancel = true, cancel_spawned
  start_ticking(control)
  function control.stop()
    control.stopped = true
    if control.ticks then
      control.future:cancel("the job was stopped")
    end
  end
  return control
end

--- Seconds since 1970; virtual in specs.
---@return number
function M.now()
  return native.wall()
end

--- Seconds of a clock that never jumps; virtual in specs.
---@return number
function M.monotonic()
  return native.now()
end

return M
