--- coroutine.wrap and coroutine.resume for app code: an await inside a user's own coroutine passes
--- through to the scheduler.
---
--- The scheduler's AWAIT mark is yielded outward through each of these until it reaches the task,
--- and the answer goes the same way back, so the user's code never sees it.
local sched = require("moongate.core.sched")
local errors = require("moongate.core.errors")
local depth = require("moongate.core.scripts.depth")

local AWAIT, native, enter, owns = sched.AWAIT, sched.native, depth.enter, sched.owns
local resume, yield, create = coroutine.resume, coroutine.yield, coroutine.create
local running, isyieldable = coroutine.running, coroutine.isyieldable

-- Coroutines that pass AWAIT on; false: a C function stands between them and their task.
local passing = setmetatable({}, { __mode = "k" })

-- Coroutines that wait, each with the task that waits with it.
local waiting = setmetatable({}, { __mode = "kv" })

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
    waiting[co] = sched.current
    yield(AWAIT)
    waiting[co] = nil
    return relay(co, resume(co))
  end
  return ok, first, ...
end

-- "file:line: " of the caller, "" if that was a tail call of the framework's.
local function position(level)
  local source, line = native.where(level + 1)
  if not source or source:find("lua/moongate/", 1, true) then
    return ""
  end
  return source .. ":" .. line .. ": "
end

-- Only the task that waits with it knows when it may go on.
local function whose(task, level)
  local future = task.waiting
  local what = future and "the Future made at " .. future:_where() or "the loop to turn"
  return position(level + 1) .. "this coroutine waits for " .. what .. " in another task: a"
    .. " coroutine that awaits belongs to one task at a time, so make one for each request"
end

local function pass_resume(co, ...)
  enter("a coroutine")
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
  resume = function(co, ...)
    if waiting[co] then
      return false, whose(waiting[co], 2)
    elseif owns(co) then
      return false, position(2) .. "this coroutine belongs to the server, which goes on with it "
        .. "when its Future is settled: await a moongate.future() there, and resolve it here"
    end
    return pass_resume(co, ...)
  end,
  wrap = function(fn)
    local co = create(fn)
    return function(...)
      if waiting[co] then
        error(whose(waiting[co], 2), 0)
      end
      return raise_or_return(co, pass_resume(co, ...))
    end
  end,
}, { __index = coroutine })

return M
