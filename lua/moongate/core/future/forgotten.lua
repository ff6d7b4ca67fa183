--- Rejections that nobody looked at are told: those of a request when it ends, those of the app
--- after some seconds, or with the end of its scripts.
local sched = require("moongate.core.sched")
local errors = require("moongate.core.errors")
local scopes = require("moongate.core.scope")
local settling = require("moongate.core.future.settle")
local timers = require("moongate.core.timer")
local log = require("moongate.log")

local native = sched.native
local CANCELLED, ENDED, ROOT = scopes.CANCELLED, scopes.ENDED, scopes.ROOT
local REST, REJECTED = scopes.REST, scopes.REJECTED
local LOG_ERROR = native.constants.log_levels.error
local GRACE = 5 -- seconds that one of the app may stay unnoticed
local AT_ONCE = 100 -- of those that are told before the loop turns

local M = {}

-- Whether somebody ended the work on purpose: nobody needs to be told of it.
local function on_purpose(future)
  return errors.is_cancellation(future._value) and not future._died
end

local function log_forgotten(future)
  if not future._looked_at and not on_purpose(future) then
    future._looked_at = true
    log.failure("a rejected Future that nobody awaited, made at " .. future:_where(), future._value)
  end
end

local function run_log(task)
  log_forgotten(task.a)
end

local function log_failed(_, err)
  native.log(LOG_ERROR, "a rejection could not be told: " .. errors.show(err))
end

-- Nobody is left who could look, but for whoever has just begun it.
local function tell_at_once(scope, future)
  sched.start_soon(scope[ROOT], run_log, log_failed, future)
end

-- root.forgotten: { [1..n] = Futures, since = { when each was rejected }, next =, timer = }
local function tell_due(root)
  local list = root.forgotten
  local now, i = native.now(), list.next
  local most = i + AT_ONCE
  while list[i] and i < most and now - list.since[i] >= GRACE - 1e-6 do
    log_forgotten(list[i])
    list[i], list.since[i] = nil, nil
    i = i + 1
  end
  list.next = i
  if list[i] then
    list.timer = timers.after(math.max(0, GRACE - (now - list.since[i])), tell_due, root)
  else
    root.forgotten = nil
  end
end

local function tell_soon(root, future)
  local list = root.forgotten
  if not list then
    list = { since = {}, next = 1, last = 0 }
    root.forgotten = list
    list.timer = timers.after(GRACE, tell_due, root)
  end
  list.last = list.last + 1
  list[list.last], list.since[list.last] = future, native.now()
end

function settling.note_rejection(future)
  if on_purpose(future) then
    return
  end
  local scope = future._scope or settling.current_scope()[ROOT]
  if not scopes.is_request(scope) then
    local root = scope[ROOT]
    if root[CANCELLED] then
      log_forgotten(future)
    else
      tell_soon(root, future)
    end
  elseif scope[ENDED] then
    tell_at_once(scope, future)
  elseif not scope[CANCELLED] then
    scopes.reject(scope, future)
  elseif future._uncancellable or future._died then
    tell_at_once(scope, future)
  end
end

--- The work of a Future that has been settled already, mostly cancelled, failed.
function settling.tell_late(future, err)
  log.failure("the work of a Future failed after it was cancelled, made at " .. future:_where(),
    err)
end

--- A request has ended.
function M.end_scope(scope)
  local rest = scope[REST]
  local list = rest and rest[REJECTED]
  if list then
    rest[REJECTED] = false
    for i = 1, #list do
      log_forgotten(list[i])
    end
  end
end

--- The scripts of an app have ended.
function M.end_app(root)
  local list = root.forgotten
  root.forgotten = nil
  if list then
    timers.stop(list.timer)
    for i = list.next, list.last do
      log_forgotten(list[i])
    end
  end
end

return M
