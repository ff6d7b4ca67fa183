--- Future: a value that comes later. It settles once; whoever awaits it is resumed, whoever
--- registered a callback is called back, in the order of registration, never inside the call that
--- settled it.
local check = require("moongate.core.check")
local sched = require("moongate.core.sched")
local errors = require("moongate.core.errors")
local scopes = require("moongate.core.scope")
local settling = require("moongate.core.future.settle")
local combine = require("moongate.core.future.combine")
require("moongate.core.future.handover")
local missing = require("moongate.core.future.missing")
local cycle = require("moongate.core.future.cycle")
local forgotten = require("moongate.core.future.forgotten")
local coroutines = require("moongate.core.coroutines")
local boundary = require("moongate.core.boundary")
local timers = require("moongate.core.timer")

local yield, isyieldable = coroutine.yield, coroutine.isyieldable
local CANCELLED, ROOT = scopes.CANCELLED, scopes.ROOT
local new, values, current_scope = settling.new, settling.values, settling.current_scope
local enlist, leave = settling.enlist, settling.leave

local PENDING, RESOLVED, DORMANT = "pending", "resolved", settling.DORMANT
local IN_A_ROW = 1000 -- awaits that need not wait before the loop may turn
local DEAD_IN_A_ROW = 10 -- the same of a coroutine whose awaits all raise
local DEAD_MOST = 2000 -- of those in all, before the coroutine is ended
local LOADING = " while the app is loading, which only declares: put it into app:on_start(fn)"
local NO_TASK = "await outside a coroutine: await in a handler, a callback or moongate.spawn(fn)"
local STRANGER = "await inside a coroutine that the app's coroutine.wrap or resume does not run"

---@class moongate.Future
local Future = settling.Future

local M = Future -- require("moongate.future") is the class itself

M._new, M._resolved, M._settle, M._values = new, settling.resolved, settling.settle, values
M._fail, M._cancel_task = settling.fail, settling.cancel_task
M._react = settling.react
M._missing, M._named, M._named_if = missing.text, settling.named, settling.named_if
M.all, M.any, M.race, M.all_settled = combine.all, combine.any, combine.race, combine.all_settled
M._current_scope, M._end_scope, M._end_app = current_scope, forgotten.end_scope, forgotten.end_app

--- The app's scope.
function M._current_root()
  return current_scope()[ROOT]
end

--- The scope of what is begun without a ctx: the app's.
function M._app_scope()
  return scopes.for_others(current_scope())
end

--- From now on `root` is the scope of whatever runs outside of tasks.
function M._set_root(root)
  settling.root = root
end

-- A mistake that can be told while the app is loading.
local function refuse_loading(what, level)
  if sched.loading then
    error(what .. LOADING, level + 1)
  end
end
M._refuse_loading = refuse_loading

--- Rejects with code `cancelled`; the work beneath is stopped once its last consumer is gone.
---@param why string?
function Future:cancel(why)
  local state = self:state()
  if state == PENDING then
    local target = self._stand_in and settling.stand_in(self) or self
    target:_abandon(errors.new("cancelled", why or "cancelled", { where = self:_where() }))
  end
  return self
end

---@return "pending"|"resolved"|"rejected"
function Future:state()
  local state = self._state
  if state == DORMANT then
    return settling.stand_in(self)._state
  end
  return state
end

-- --- await ---

-- The error that the task dies of; false while it may go on.
local function death_of(task)
  return not task.shielded and task.scope[CANCELLED] or task.cancelled
end

local function may_yield(task)
  return isyieldable() and coroutines.may_await(task) and not boundary.entered()
end

local function give_up(task)
  sched.give_up(task, errors.new("stall", "it went on though it was cancelled: " .. DEAD_MOST
    .. " calls raised that, and none was let through", { where = sched.user_line(2) }))
end

-- Whoever swallows its cancellation and goes on does so while others are served, and not for ever.
local function raise_death(task, err)
  local count = task.streak + 1
  task.streak = count
  if count % DEAD_IN_A_ROW == 0 and may_yield(task) then
    if count >= DEAD_MOST then
      give_up(task)
    else
      sched.breathe(task)
    end
    yield(sched.AWAIT)
  end
  error(err, 0)
end

-- Behind so many that need not wait the loop may turn, unless something stands in the way of that.
local function count_settled(task)
  task.streak = task.streak + 1
  if task.streak < IN_A_ROW or not may_yield(task) then
    return
  end
  task.streak = 0
  sched.breathe(task)
  yield(sched.AWAIT)
  local death = death_of(task)
  if death then
    raise_death(task, death)
  end
end

--- Raises `err`, a table, like an await that failed, for calls that fail without one: whoever tries
--- again and again lets the loop turn.
function M._raise(err)
  local task = sched.current
  if task then
    local death = death_of(task)
    if death then
      raise_death(task, death)
    end
    count_settled(task)
  end
  error(err, 0)
end

local function check_task(task, future, level)
  if not task then
    refuse_loading("await", level + 1)
    error(NO_TASK, level + 1)
  end
  local death = death_of(task)
  if death then
    future._consumers = future._consumers + 1
    leave(future, task.scope)
    raise_death(task, death)
  end
end

local function refuse_boundary(task, level)
  local name, where = boundary.entered()
  if not name then
    name, where = boundary.find(level + 1)
  end
  if not name and coroutine.running() ~= task.co then -- outside of the user's own coroutine
    name, where = boundary.find(0, task.co)
  end
  error("await cannot cross " .. (name or "__gc")
    .. (where and (", called at " .. where) or "")
    .. ": collect the Futures first and await them outside of it", level + 1)
end

local function check_boundary(task, level)
  local may = coroutines.may_await(task)
  if may == false or not isyieldable() or boundary.entered() then
    refuse_boundary(task, level + 1)
  elseif not may then
    error(STRANGER, level + 1)
  end
end

-- Waits until the Future is settled. Raises if the task is cancelled.
local function wait(future, level)
  local task = sched.current
  check_task(task, future, level + 1)
  if future._state == DORMANT then
    settling.wake(future)
  end
  if future._state ~= PENDING then
    return count_settled(task)
  end
  check_boundary(task, level + 1)
  if task.holding then
    cycle.refuse(task, future, level + 1)
  end
  task.streak = 0
  enlist(future, task)
  future._consumers = future._consumers + 1
  task.waiting = future
  local trace = task.trace
  local told = trace and trace(future)
  yield(sched.AWAIT)
  task.waiting = false
  if told then
    trace(future, told)
  end
  if task.cancelled then
    error(task.cancelled, 0)
  end
end

-- Of a cancellation that many share, one that says which Future was cancelled. The task's own is
-- left as it is.
local function error_of(future)
  local err = future._value
  if not errors.is_cancellation(err) or err.where or err == death_of(sched.current) then
    return err
  end
  return errors.new(err.code, err.message, { where = future:_where(), cause = err })
end

--- The value or values; raises the error. Yields the coroutine, never the thread.
function Future:await()
  if self == nil then
    error("call it with a colon: future:await()", 2)
  end
  self._looked_at = true
  wait(self, 2)
  if self._state == RESOLVED then
    return values(self)
  end
  error(error_of(self), 0)
end

--- The value or values, or nil and the error (never nil then).
function Future:try_await()
  self._looked_at = true
  wait(self, 2)
  if self._state == RESOLVED then
    return values(self)
  end
  return nil, error_of(self)
end

-- --- derived Futures ---

local function check_callable(name, fn, optional)
  if fn == nil and optional then
    return
  end
  if type(fn) ~= "function" and not (getmetatable(fn) or {}).__call then
    error(name .. ": a function is wanted, not " .. check.describe(fn), 3)
  end
end

--- A new Future of what `on_value(values...)` or `on_error(err)` returns. A Future returned is
--- adopted.
---@param on_value function?
---@param on_error function?
---@return moongate.Future
function Future:and_then(on_value, on_error)
  check_callable("and_then", on_value, true)
  check_callable("and_then", on_error, true)
  return (settling.named("and_then", settling.derive(self, 2, on_value, on_error)))
end

---@param on_error function
---@return moongate.Future
function Future:catch(on_error)
  check_callable("catch", on_error)
  return (settling.named("catch", settling.derive(self, 2, nil, on_error)))
end

--- Calls `fn()` in either case, then settles like this one; an error that `fn` raises wins.
---@return moongate.Future
function Future:finally(fn)
  check_callable("finally", fn)
  return (settling.named("finally", settling.derive_finally(self, 2, fn)))
end

-- --- timeout ---

local function pass_on(reaction, future)
  timers.stop(reaction.timer)
  settling.settle(reaction.derived, future._state, future._n, future._value)
end

local function cancel_timeout(derived)
  local reaction = derived._reaction
  timers.stop(reaction.timer)
  settling.withdraw(reaction)
end

local function expire(derived)
  local message = "no result within " .. derived._reaction.seconds .. " s"
  derived:_abandon(errors.new("timeout", message, { where = derived:_where() }))
end

--- A derived Future, rejected with code `timeout` if `seconds` pass first.
---@param seconds number
---@return moongate.Future
function Future:timeout(seconds)
  if not (type(seconds) == "number" and seconds >= 0 and seconds < 1e10) then
    error("timeout: seconds are wanted, a number of at least 0, not " .. check.describe(seconds), 2)
  end
  local scope = current_scope()
  local derived = settling.named("timeout", new(scope, 2))
  local reaction = {
    direct = pass_on, derived = derived, scope = scope, seconds = seconds, timer = false,
    future = self, before = false, behind = false,
  }
  if self:state() == PENDING then
    reaction.timer = timers.after(seconds, expire, derived)
  end
  derived._reaction, derived._cancel = reaction, cancel_timeout
  settling.react(self, reaction)
  settling.end_with_scope(derived)
  return derived
end

--- A deferred: settle it with :resolve(...) or :reject(err). It belongs to whoever can settle it:
--- no scope ends it.
---@return moongate.Future
function M.deferred(level)
  refuse_loading("moongate.future()", (level or 1) + 1)
  local future = settling.named("future", new(nil, (level or 1) + 1))
  if M._deferreds then
    M._deferreds[future] = current_scope()
  end
  return future
end

--- In specs: all deferreds, and in which scope each was made, for the leak check.
M._deferreds = false

return M
