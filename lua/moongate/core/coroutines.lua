--- coroutine.wrap and coroutine.resume for app code: an await inside a user's own coroutine passes
--- through to the scheduler.
---
--- The scheduler's AWAIT mark is yielded outward through each of these until it reaches the task,
--- and the answer goes the same way back, so the user's code never sees it.
local sched = require("moongate.core.sched")
local errors = require("moongate.core.errors")

local AWAIT = sched.AWAIT
local resume, yield, create = coroutine.resume, coroutine.yield, coroutine.create
local running, isyieldable = coroutine.running, coroutine.isyieldable

-- Coroutines that pass AWAIT on; false: a C function stands between them and their task.
local passing = setmetatable({}, { __mode = "k" })

local M = {}

--- May the running coroutine await? The task's own may, and those that were resumed by the
--- functions below. nil: it is a stranger's; false: a C function stands outside of it.
---@return boolean?
function M.may_await(task)
  local co = running()
  if co == task.co then
    return true
  end
  return passing[co]
end

-- The coroutine that resumes another must itself be able to yield to the task.
local function passes()
  local task = sched.current
  return task ~= false and isyieldable() and M.may_await(task) == true
end

local function relay(co, ok, first, ...)
  if ok and first == AWAIT then
    yield(AWAIT)
    return relay(co, resume(co))
  end
  return ok, first, ...
end

local function pass_resume(co, ...)
  passing[co] = passes()
  return relay(co, resume(co, ...))
end

local function raise_or_return(co, ok, ...)
  if ok then
    return ...
  end
  local err = ...
  errors.stitch(err, co)
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
