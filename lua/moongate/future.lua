--- Future: a value that comes later. It settles once; whoever awaits it is resumed, whoever
--- registered a callback is called back, in the order of registration, never inside the call that
--- settled it.
local sched = require("moongate.core.sched")
local errors = require("moongate.core.errors")
local scopes = require("moongate.core.scope")
local coroutines = require("moongate.core.coroutines")
local boundary = require("moongate.core.boundary")

local native = sched.native
local yield, isyieldable = coroutine.yield, coroutine.isyieldable
local unpack, select = unpack, select
local CANCELLED, ROOT = scopes.CANCELLED, scopes.ROOT

local PENDING, RESOLVED, REJECTED = "pending", "resolved", "rejected"
local IN_A_ROW = 1000 -- awaits of settled Futures before the loop may turn
local GRACE = 5 -- seconds that a rejection outside of a scope may stay unnoticed
local LOADING = " while the app is loading, which only declares: put it into app:on_start(fn)"
local NO_TASK = "await outside a coroutine: await in a handler, a callback or moongate.spawn(fn)"
local STRANGER = "await inside a coroutine that the app's coroutine.wrap or resume does not run"

---@class moongate.Future
---@field uncancellable boolean? the scope's end does not stop it (a write under way)
---@field keep boolean? it goes on though its last consumer is gone
local Future = {}
Future.__index = Future

local M = Future -- require("moongate.future") is the class itself

-- Where log lines about forgotten rejections go; set by log.lua.
M._log = function(_) end

--- A pending Future.
---@param scope table|nil the scope with which it is cancelled
---@param level integer|nil the stack level of the line that "made" it
local function new(scope, level)
  local source, line = native.where((level or 1) + 1)
  local future = setmetatable({
    _state = PENDING,
    _n = 0,
    _value = nil, -- the value (of one), a table of values (of several), or the error
    _first = false, -- the task that awaits it, or the reaction, that came first
    _reactions = false, -- list of those that came later
    _consumers = 0,
    _looked_at = false,
    _scope = scope or false,
    _cancel = false, -- function(future): stops the work beneath
    _source = source,
    _line = line,
  }, Future)
  if scope then
    scopes.add(scope, future)
  end
  return future
end
M._new = new

--- A Future that has its value (nil: none) from the start and belongs to no scope.
function M._resolved(value)
  return setmetatable({
    _state = RESOLVED, _n = value == nil and 0 or 1, _value = value, _first = false,
    _reactions = false, _consumers = 0, _looked_at = true, _scope = false, _cancel = false,
    _source = false, _line = false,
  }, Future)
end

--- "file:line" of the call that made it.
function Future:_where()
  return (self._source or "?") .. ":" .. (self._line or 0)
end

M._root = scopes.new_root() -- the scope of whatever runs outside of tasks; replaced by each app

--- The scope of the running task; outside of tasks the app's.
local function current_scope()
  local task = sched.current
  return task and task.scope or M._root
end
M._current_scope = current_scope

--- The app's scope.
function M._current_root()
  return current_scope()[ROOT]
end

-- A mistake that can be told while the app is loading.
local function refuse_loading(what, level)
  if sched.loading then
    error(what .. LOADING, level + 1)
  end
end
M._refuse_loading = refuse_loading

-- --- settling ---

local function log_forgotten(future)
  if not future._looked_at and not errors.is_cancellation(future._value) then
    future._looked_at = true
    M._log(future)
  end
end

--- Logs what nobody looked at in a scope that has ended.
function M._end_scope(scope)
  local list = scope[scopes.REJECTED]
  scope[scopes.REJECTED] = false
  for i = 1, list and #list or 0 do
    log_forgotten(list[i])
  end
end

local function note_rejection(future)
  if future._looked_at or errors.is_cancellation(future._value) then
    return
  end
  local scope = future._scope
  local in_request = scope and scope[ROOT] ~= scope
  if in_request and not scope[scopes.ENDED] then
    if not scope[CANCELLED] then
      scopes.reject(scope, future)
    elseif future.uncancellable then
      log_forgotten(future)
    end
  elseif in_request then
    log_forgotten(future) -- detached work: nobody is left who could look
  else
    M._after(GRACE, log_forgotten, future)
  end
end

local run_reaction, reaction_failed

local function notify(future, r)
  if r.co then
    sched.ready(r)
  elseif r.gone then -- luacheck: ignore 542
    -- its derived Future was cancelled
  elseif r.direct then
    r.direct(future)
  else
    r.task = sched.start_soon(r.scope, run_reaction, reaction_failed, r, future)
  end
end

local function settle(future, state, n, value)
  if future._state ~= PENDING then
    return false
  end
  future._state, future._n, future._value = state, n, value
  future._cancel = false
  if future._scope then
    scopes.remove(future._scope, future)
  end
  local first, reactions = future._first, future._reactions
  future._first, future._reactions = false, false
  if first then
    notify(future, first)
  end
  if reactions then
    for i = 1, #reactions do
      notify(future, reactions[i])
    end
  end
  if state == REJECTED then
    note_rejection(future)
  end
  return true
end

local function pack_values(...)
  local n = select("#", ...)
  if n <= 1 then
    return n, (...)
  end
  return n, { ... }
end

--- Settles it with values. A second settle is ignored. A single Future as the value is adopted.
function Future:resolve(...)
  if self._adopted then
    return false
  end
  local value = ...
  if getmetatable(value) == Future and select("#", ...) == 1 then
    return self:_adopt(value)
  end
  return settle(self, RESOLVED, pack_values(...))
end

--- Settles it with an error: a table with code and message, or a text.
function Future:reject(err)
  if err == nil then
    err = errors.new("error", "rejected without an error")
  end
  return settle(self, REJECTED, 1, errors.wrap(err))
end

-- An operation of C gives one value or none; or a code, a message and an errno or further fields.
function Future:_settle_operation(ok, a, b, c)
  self._operation = nil
  if ok then
    settle(self, RESOLVED, a == nil and 0 or 1, a)
  else
    local fields = type(c) == "table" and c or { errno = c }
    fields.where = self:_where()
    settle(self, REJECTED, 1, errors.new(a, b, fields))
  end
end

-- --- consumers ---

local function look_at(future)
  future._looked_at = true
end

-- A consumer that runs in `scope` is gone. A scope that is cancelled as a whole stops its own work
-- by itself; what belongs to others goes on.
local function leave(future, scope)
  future._consumers = future._consumers - 1
  if future._consumers > 0 or future._state ~= PENDING or scope[CANCELLED] then
    return
  end
  if not (future.keep or future.uncancellable) then
    future:_abandon(errors.new("cancelled", "nobody waits for it any more"))
  end
end

--- Rejects it and stops the work beneath it.
function Future:_abandon(err)
  local stop = self._cancel
  if settle(self, REJECTED, 1, err) and stop then
    stop(self, err)
  end
end

--- Rejects with code `cancelled`; the work beneath is stopped once its last consumer is gone.
---@param why string?
function Future:cancel(why)
  if self._state == PENDING then
    self:_abandon(errors.new("cancelled", why or "cancelled", { where = self:_where() }))
  end
  return self
end

---@return "pending"|"resolved"|"rejected"
function Future:state()
  return self._state
end

-- --- await ---

local function values(future)
  local n = future._n
  if n <= 1 then
    if n == 0 then
      return
    end
    return future._value
  end
  return unpack(future._value, 1, n)
end

-- The error that the task dies of; false while it may go on.
local function death_of(task)
  return not task.shielded and task.scope[CANCELLED] or task.cancelled
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
    error(death, 0)
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

-- Behind so many settled ones the loop may turn, unless something stands in the way of that.
local function count_settled(task)
  task.streak = task.streak + 1
  if task.streak < IN_A_ROW then
    return
  end
  if not (isyieldable() and coroutines.may_await(task)) or boundary.entered() then
    return
  end
  task.streak = 0
  sched.breathe(task)
  yield(sched.AWAIT)
  if death_of(task) then
    error(death_of(task), 0)
  end
end

-- Behind all that came before.
local function enlist(future, reaction)
  local reactions = future._reactions
  if reactions then
    reactions[#reactions + 1] = reaction
  elseif future._first then
    future._reactions = { reaction }
  else
    future._first = reaction
  end
end

-- Waits until the Future is settled. Raises if the task is cancelled.
local function wait(future, level)
  local task = sched.current
  check_task(task, future, level + 1)
  if future._state ~= PENDING then
    return count_settled(task)
  end
  check_boundary(task, level + 1)
  task.streak = 0
  enlist(future, task)
  future._consumers = future._consumers + 1
  task.waiting = future
  yield(sched.AWAIT)
  task.waiting = false
  if task.cancelled then
    error(task.cancelled, 0)
  end
end

--- The value or values; raises the error. Yields the coroutine, never the thread.
function Future:await()
  look_at(self)
  wait(self, 2)
  if self._state == RESOLVED then
    return values(self)
  end
  error(self._value, 0)
end

--- The value or values, or nil and the error (never nil then).
function Future:try_await()
  look_at(self)
  wait(self, 2)
  if self._state == RESOLVED then
    return values(self)
  end
  return nil, self._value
end

--- Cancels a task: the error is raised at its pending await and at every later one.
function M._cancel_task(task, err)
  task.cancelled = err
  local future = task.waiting
  if not future then
    return
  end
  task.waiting = false
  if future._state ~= PENDING then
    return -- settled meanwhile: the task is in the queue already
  end
  if future._first == task then
    future._first = false
  end
  local reactions = future._reactions or {}
  for i = #reactions, 1, -1 do
    if reactions[i] == task then
      table.remove(reactions, i)
    end
  end
  sched.ready(task)
  leave(future, task.scope)
end

-- --- derived Futures ---

-- Registers a reaction: { on_value, on_error, finally, derived } with functions of the user, which
-- run in a coroutine of their own, or { direct = function(future) } of the framework, which only
-- settles other Futures.
local function react(future, reaction)
  look_at(future)
  reaction.scope = current_scope()
  future._consumers = future._consumers + 1
  if future._state == PENDING then
    enlist(future, reaction)
  else
    notify(future, reaction)
  end
  return reaction
end
M._react = react

-- The consumer that registered `reaction` is gone.
local function withdraw(future, reaction)
  reaction.gone = true
  leave(future, reaction.scope)
end
M._withdraw = withdraw

local function settle_like(derived, future)
  settle(derived, future._state, future._n, future._value)
end

function run_reaction(task)
  local r, future = task.a, task.b
  local derived = r.derived
  if r.finally then
    r.finally()
  elseif derived._state ~= PENDING then
    return
  elseif future._state == RESOLVED and r.on_value then
    return derived:resolve(r.on_value(values(future)))
  elseif future._state == REJECTED and r.on_error then
    return derived:resolve(r.on_error(future._value))
  end
  settle_like(derived, future)
end

function reaction_failed(task, err)
  settle(task.a.derived, REJECTED, 1, err)
end

local function derive(future, reaction)
  local derived = new(current_scope(), 3)
  reaction.derived = derived
  derived._cancel = function(_, err)
    if reaction.finally then
      leave(future, reaction.scope) -- it runs all the same
    elseif reaction.task then
      M._cancel_task(reaction.task, err)
    else
      withdraw(future, reaction)
    end
  end
  react(future, reaction)
  return derived
end

local function check_callable(name, fn, optional)
  if fn == nil and optional then
    return
  end
  if type(fn) ~= "function" and not (getmetatable(fn) or {}).__call then
    error(name .. ": a function is wanted, not " .. type(fn), 3)
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
  return (derive(self, { on_value = on_value or false, on_error = on_error or false }))
end

---@param on_error function
---@return moongate.Future
function Future:catch(on_error)
  check_callable("catch", on_error)
  return (derive(self, { on_value = false, on_error = on_error }))
end

--- Calls `fn()` in either case, then settles like this one; an error that `fn` raises wins.
---@return moongate.Future
function Future:finally(fn)
  check_callable("finally", fn)
  return (derive(self, { finally = fn }))
end

-- Settles like `other`.
function Future:_adopt(other)
  if other == self then
    return self:reject(errors.new("error", "a Future cannot be resolved with itself"))
  end
  if self._state ~= PENDING or self._adopted then
    return false
  end
  self._adopted = true
  local reaction = {
    direct = function(settled)
      settle_like(self, settled)
    end,
  }
  self._cancel = function()
    withdraw(other, reaction)
  end
  react(other, reaction)
  return true
end

--- A derived Future, rejected with code `timeout` if `seconds` pass first.
---@param seconds number
---@return moongate.Future
function Future:timeout(seconds)
  if not (type(seconds) == "number" and seconds >= 0 and seconds < 1e10) then
    error("timeout: seconds are wanted, a number of at least 0", 2)
  end
  local derived = new(current_scope(), 2)
  local timer
  local reaction = {
    direct = function(settled)
      M._stop_timer(timer)
      settle_like(derived, settled)
    end,
  }
  derived._cancel = function()
    M._stop_timer(timer)
    withdraw(self, reaction)
  end
  if self._state == PENDING then
    timer = M._after(seconds, function()
      local message = "no result within " .. seconds .. " s"
      derived:_abandon(errors.new("timeout", message, { where = derived:_where() }))
    end)
  end
  react(self, reaction)
  return derived
end

--- A deferred: settle it with :resolve(...) or :reject(err).
---@return moongate.Future
function M.deferred(level)
  refuse_loading("moongate.future()", (level or 1) + 1)
  return (new(current_scope(), (level or 1) + 1)) -- no tail call: it would lose a level
end

M._settle = settle
M._values = values

return Future
