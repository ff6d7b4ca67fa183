--- The end of scripts: the server stops, or others were loaded in their place.
---
--- retired -> (the background's seconds pass: cancelled) -> on_stop -> done. Nothing is polled: the
--- end of a request, of detached work and of the background each have the rest looked at.
local sched = require("moongate.core.sched")
local scopes = require("moongate.core.scope")
local errors = require("moongate.core.errors")
local timers = require("moongate.core.timer")
local retiring = require("moongate.core.app.retiring")
local Future = require("moongate.future")
local log = require("moongate.log")

local M = {}

local NAMED = 5 -- strands of work that the log names

-- Set by core/live/serve.lua, which requires others that require this.
local sockets_are_clear, leave_sockets

--- `is_clear(again)`: no WebSocket holds the scripts; `leave(target)` closes those of its
--- coroutines.
function M.watch_sockets(is_clear, leave)
  sockets_are_clear, leave_sockets = is_clear, leave
end

---@class moongate.Retired what becomes of scripts that others replaced
---@field left integer requests and streams under way
---@field seconds number that the background has
---@field stop_seconds number that on_stop has then
---@field stops boolean no others did: the server stops
---@field cancelled boolean the background's seconds have passed
---@field over boolean nothing holds the scripts: on_stop runs
---@field stopped boolean on_stop is through
---@field looking boolean the rest is about to be looked at
---@field scope table of on_stop, and of on_close functions once the background is cancelled
---@field timer table|false
---@field done function|false to be called, once

-- --- on_stop ---

local function run_stop(task)
  for _, fn in ipairs(task.a.app.on_stop or {}) do
    local ok, err = pcall(fn)
    if not ok then
      log.failure("an on_stop function failed", errors.wrap(err))
    end
  end
  task.c()
end

local function stop_failed(task, err)
  log.failure("an on_stop function failed", err)
  task.c()
end

local function run_end(task)
  task.a(task.b)
end

local function end_failed(_, err)
  log.failure("the end of the scripts failed", err)
end

--- The server stops: runs on_stop, then cancels what the app still does in the background and calls
--- `done()`. With `seconds` that is waited for first, so long at most; on_stop has `stop_seconds`
--- then.
function M.stop(target, done, seconds, stop_seconds)
  if seconds then
    return M.begin(target, 0, seconds, done, stop_seconds)
  end
  retiring.announce(target.root, "stop")
  local scope = scopes.new_root()
  Future._end_app(target.root) -- on_stop may take longer than there is time
  sched.start_soon(scope, run_stop, stop_failed, target, false, function()
    scopes.cancel_app(target.root, errors.new("cancelled", "the app stops"))
    sched.start_soon(scope, run_end, end_failed, function() -- what was cancelled cleans up first
      Future._end_app(scope)
      Future._end_app(target.root)
      done()
    end)
  end)
end

-- --- the background ---

local function why_over(target)
  local stops = target.retired.stops
  return errors.new(stops and "cancelled" or "reload",
    stops and "the app stops" or "the scripts were reloaded")
end

local function is_work(future)
  return future._job == "runs" or (not future._job and future._consumers == 0)
end

-- "job beat at lua/app.lua:9, spawn at lua/app.lua:12": what goes on in the background.
local function names_of(target)
  local names = {}
  for _, scope in ipairs({ target.root, target.root.shared }) do
    for _, future in ipairs(scopes.children(scope)) do
      if is_work(future) and #names < NAMED then
        names[#names + 1] = (future._what or "work") .. " at " .. future:_where()
      end
    end
  end
  local others = M.background(target) - #names
  if others > 0 then
    names[#names + 1] = others .. (names[1] and " more" or " of requests that were answered")
  end
  return table.concat(names, ", ")
end

--- How many strands of work go on in the background. A job that waits for its tick is at rest, and
--- what something else awaits belongs to that.
---@return integer
function M.background(target)
  local count = target.closing
  for _, scope in ipairs({ target.root, target.root.shared }) do
    for _, future in ipairs(scopes.children(scope)) do
      if is_work(future) then
        count = count + 1
      end
    end
  end
  for _ in pairs(target.detached) do
    count = count + 1
  end
  return count
end

local function is_idle(target)
  local root = target.root
  return not root[scopes.CHILDREN] and not root.shared[scopes.CHILDREN]
    and target.detached_count == 0 and target.closing == 0
end

local function cancel_background(target)
  local retired = target.retired
  retired.cancelled = true
  scopes.cancel(target.root, why_over(target))
  if retired.left > 0 then -- what its requests wait for goes on
    scopes.cancel_unwanted(target.root.shared, why_over(target))
  else
    scopes.cancel(target.root.shared, why_over(target))
  end
  for ctx in pairs(target.detached) do
    scopes.cancel(ctx, why_over(target))
  end
end

-- --- the end ---

-- Behind all that is ready to run: what was cancelled cleans up first.
local function soon(fn, target)
  sched.start_soon(target.retired.scope, run_end, end_failed, fn, target)
end

local function tell(target)
  local retired = target.retired
  local done = retired.done
  if done then
    retired.done = false
    timers.stop(retired.timer)
    Future._end_app(retired.scope)
    Future._end_app(target.root)
    done()
  end
end

local function on_stop_late(target)
  scopes.cancel(target.retired.scope, why_over(target))
  soon(tell, target)
end

local function on_stop_overdue(target)
  if target.retired.stops then
    log.warn("on_stop did not come to its end")
  end
  on_stop_late(target)
end

-- What on_stop and the last on_close functions leave behind has no time at all.
local function on_stop_done(target)
  local retired = target.retired
  if not retired.done or not retired.stopped or target.closing > 0 then
    return
  end
  cancel_background(target)
  on_stop_late(target)
end

local function begin_stop(target)
  local retired = target.retired
  retired.over = true
  timers.stop(retired.timer)
  retired.timer = timers.after(retired.stop_seconds, on_stop_overdue, target)
  sched.start_soon(retired.scope, run_stop, stop_failed, target, false, function()
    retired.stopped = true
    on_stop_done(target)
  end)
end

local function look(target)
  local retired = target.retired
  retired.looking = false
  if retired.over then
    return on_stop_done(target)
  end
  for _, scope in ipairs({ target.root, target.root.shared }) do
    scopes.finish(scope, function()
      M.check(target)
    end)
  end
  local function again()
    timers.after(0, M.check, target)
  end
  if not sockets_are_clear(again) or retired.left > 0 then
    return
  end
  if retired.cancelled then
    scopes.cancel(target.root.shared, why_over(target)) -- nobody is left to wait for it
  end
  if retired.cancelled or is_idle(target) then
    begin_stop(target)
  end
end

--- Something that held the scripts has ended: looks at what is left, behind all that is ready.
function M.check(target)
  local retired = target.retired
  if retired.left == 0 and not retired.looking then
    retired.looking = true
    soon(look, target)
  end
end

--- The background ends now.
function M.hurry(target)
  local retired = target.retired
  if not retired.over then
    if retired.stops and M.background(target) > 0 then
      log.warn(("the stop waited %g s and cancels: %s"):format(retired.seconds, names_of(target)))
    end
    leave_sockets(target)
    cancel_background(target)
    M.check(target)
  end
end

--- Other scripts take new requests. Jobs tick no more; the background has `seconds`, then it is
--- cancelled with code "reload". Once nothing is left on_stop runs, for as many seconds at most;
--- then `done()` is called, once.
---@param left integer requests and streams under way
---@param stop_seconds number? that on_stop has, if not as many; then the whole server stops, and
--- what is waited for and cancelled is logged
function M.begin(target, left, seconds, done, stop_seconds)
  target.retired = {
    left = left, seconds = seconds, stop_seconds = stop_seconds or seconds, done = done,
    scope = scopes.new_root(), cancelled = false, over = false, stopped = false, looking = true,
    timer = false, stops = stop_seconds ~= nil,
  }
  retiring.announce(target.root, stop_seconds and "stop" or "reload")
  for _, job in ipairs(target.jobs_under_way) do
    job.stop()
  end
  Future._end_app(target.root) -- what nobody has looked at is told now
  if stop_seconds and seconds > 0 and M.background(target) > 0 then
    log.info(("the stop waits %g s at most for: %s"):format(seconds, names_of(target)))
  end
  target.retired.timer = timers.after(seconds, M.hurry, target)
  soon(look, target)
end

return M
