--- Time and background work: sleep, spawn, after, every.
local sched = require("moongate.core.sched")
local Future = require("moongate.future")
local scopes = require("moongate.core.scope")
local forgotten = require("moongate.core.forgotten")

local native = sched.native
local select, unpack = select, unpack
local refuse_loading = Future._refuse_loading

local M = {}

local function check_seconds(name, seconds, level)
  local good = type(seconds) == "number" and seconds >= 0 and seconds < 1e10
  if not good then
    error(name .. ": seconds are wanted, a number of at least 0", level + 1)
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
  return (M.sleep_in(Future._app_scope(), seconds, 2))
end

-- --- bare timers of the framework: no Future, no scope ---

local Timer = {}
Timer.__index = Timer

local function run_timer(task)
  task.a(task.b)
end

local function timer_failed(_, err)
  M.log("a timer's function failed", err)
end

function Timer:_settle_operation()
  self.handle = false
  sched.start_soon(self.scope, run_timer, timer_failed, self.fn, self.arg)
end

function Future._after(seconds, fn, arg)
  local handle = native.sleep(seconds, true)
  local timer = setmetatable({
    handle = handle, fn = fn, arg = arg or false, scope = Future._current_root(), internal = true,
  }, Timer)
  sched.watch(handle, timer)
  return timer
end

forgotten.after = Future._after

function Future._stop_timer(timer)
  if timer and timer.handle then
    sched.cancel_operation(timer.handle)
    timer.handle = false
  end
end

-- --- spawn ---

local function run_spawned(task)
  if task.cancelled then
    return -- before it began
  end
  local args = task.c
  task.a:resolve(task.b(unpack(args, 1, args.n)))
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
    error("spawn: a function is wanted, not " .. type(fn), level + 1)
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
  return (M.spawn_in(Future._current_root(), 2, fn, ...))
end

--- Calls `fn()` in a coroutine after `seconds`. Cancel the Future to prevent it.
---@return moongate.Future of what it returns
function M.after(seconds, fn)
  check_seconds("after", seconds, 2)
  if type(fn) ~= "function" then
    error("after: a function is wanted, not " .. type(fn), 2)
  end
  refuse_loading("after", 2)
  local root = Future._current_root()
  return (M.spawn_in(root, 2, function()
    M.sleep_in(root, seconds, 2):await()
    return fn()
  end))
end

-- One run, unless the job runs elsewhere: in another worker, or in scripts that were replaced. In a
-- coroutine of its own: whatever ends the run does not end the job.
local function run_once(root, job)
  if not native.job_begin(job.name, job.each_worker) then
    return
  end
  local run = M.spawn_in(root, 2, job.fn)
  run.job = "runs"
  local ok, why = pcall(run.try_await, run)
  native.job_end(job.name)
  if not ok then
    error(why, 0) -- the job itself was cancelled
  elseif run:state() == "rejected" then
    M.log("job " .. job.name .. " failed", run._value)
  end
end

--- Runs a declared job until it is stopped. A run in progress ends before the next tick.
---@param job { name: string, seconds: number, fn: function, each_worker: boolean }
---@return { future: moongate.Future, stop: fun() } stop: no more ticks; a run in progress goes on
function M.run_job(root, job)
  local control = {}
  local tick, stopped
  control.future = M.spawn_in(root, 2, function()
    while not stopped do
      tick = M.sleep_in(root, job.seconds, 2)
      tick.job = true
      tick:await()
      tick = nil
      run_once(root, job)
    end
  end)
  control.future.job = true
  function control.stop()
    stopped = true
    if tick then
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

-- Set by log.lua.
M.log = function(_, _) end

return M
