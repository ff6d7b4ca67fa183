--- Bare timers of the framework: no Future, no scope that ends them.
local sched = require("moongate.core.sched")
local scopes = require("moongate.core.scope")
local settling = require("moongate.core.future.settle")
local log = require("moongate.log")

local native = sched.native

local M = {}

local Timer = {}
Timer.__index = Timer

local function run(task)
  task.a(task.b)
end

local function failed(task, err)
  log.failure("a timer's function failed", err)
  local again = task.c
  if again then
    M.after(again, task.a, task.b, again)
  end
end

function Timer:_settle_operation()
  self.handle = false
  sched.start_soon(self.scope, run, failed, self.fn, self.arg, self.again)
end

--- Calls `fn(arg)` after `seconds`, in a coroutine of the app. If it fails, perhaps for the memory
--- that others took, it is called once more after `again` seconds; false or nil: it is not.
---@return table timer
function M.after(seconds, fn, arg, again)
  local handle = native.sleep(seconds, true)
  local timer = setmetatable({
    handle = handle, fn = fn, arg = arg or false, again = again or false, _internal = true,
    scope = settling.current_scope()[scopes.ROOT],
  }, Timer)
  sched.watch(handle, timer)
  return timer
end

--- `timer` may be nil or false, or over.
function M.stop(timer)
  if timer and timer.handle then
    sched.cancel_operation(timer.handle)
    timer.handle = false
  end
end

return M
