--- on_start functions: they run in a coroutine and come to an end before requests are taken.
local sched = require("moongate.core.sched")
local errors = require("moongate.core.errors")
local check = require("moongate.core.check")
local timers = require("moongate.core.timer")
local info = require("moongate.core.info")
local Future = require("moongate.future")

local M = {}

local TOO_LONG = "%s: on_start does not come to an end: worker %d was not ready after %.1f s "
  .. "(timeouts.reload)"

local function run(task)
  for _, script in ipairs(task.a) do
    script()
  end
  task.c(true)
end

local function failed(task, err)
  Future._end_app(task.b)
  task.c(false, errors.describe(err))
end

--- Runs `fns`; `done(ok, message)` is called once. What does not come to an end in time is left
--- where it waits: the scripts will not serve.
---@param scope table
---@param fns function[]
---@param limit number? seconds that the scripts had to become ready, for the message
---@param left number? seconds that on_start has of them
function M.run(scope, fns, limit, left, done)
  local timer
  local over = false
  local function finish(ok, message)
    if not over then
      over = true
      timers.stop(timer)
      done(ok, message)
    end
  end
  local task = sched.start_soon(scope, run, failed, fns, scope, finish)
  timer = left and timers.after(left, function()
    finish(false, TOO_LONG:format(check.place_of(task.co), math.max(info.worker, 1), limit))
  end)
end

return M
