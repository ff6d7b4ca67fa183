--- coroutine.wrap and coroutine.resume for app code: an await inside a user's own coroutine passes through to the scheduler.
---
--- The scheduler's AWAIT mark is yielded outward through each of these until it reaches the task, and the answer goes the same way
--- back, so the user's code never sees it.
local sched = require("moongate.core.sched")

local AWAIT = sched.AWAIT
local resume, yield, create, running = coroutine.resume, coroutine.yield, coroutine.create, coroutine.running

local passing = setmetatable({}, { __mode = "k" }) -- coroutines that pass AWAIT on

local M = {}

--- May the running coroutine await? The task's own may, and those that were resumed by the functions below.
function M.may_await(task)
  local co = running()
  return co == task.co or passing[co] ~= nil
end

local function relay(co, ok, first, ...)
  if ok and first == AWAIT then
    yield(AWAIT)
    return relay(co, resume(co))
  end
  return ok, first, ...
end

local function pass_resume(co, ...)
  passing[co] = true
  return relay(co, resume(co, ...))
end

local function raise_or_return(co, ok, ...)
  if ok then
    return ...
  end
  local err = ...
  if type(err) == "table" then
    local stitch = require("moongate.core.errors").stitch
    stitch(err, debug.traceback(co))
  end
  error(err, 0)
end

--- A table like the standard `coroutine`, for the environment of app code.
M.library = setmetatable({
  resume = pass_resume,
  wrap = function(fn)
    local co = create(fn)
    return function(...)
      return raise_or_return(co, pass_resume(co, ...))
    end
  end,
}, { __index = coroutine })

return M
