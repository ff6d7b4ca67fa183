--- How a Future settles, and how those who wait for it are told: the class without its methods.
---
--- Who waits is a node in the Future's list: a task that awaits it, or a reaction. A node leaves
--- the list when it is told, or when it does not want to know any more: a Future that lives long
--- keeps nothing of those that came and went. Nothing here recurs from one Future to the next,
--- however many hang on each other: what is left to be told is queued.
local sched = require("moongate.core.sched")
local errors = require("moongate.core.errors")
local scopes = require("moongate.core.scope")

local native = sched.native
local unpack, select = unpack, select
local CANCELLED, ROOT = scopes.CANCELLED, scopes.ROOT

local PENDING, RESOLVED, REJECTED = "pending", "resolved", "rejected"
local DORMANT = "dormant" -- pending, in truth: see M.adopt

---@class moongate.Future
---@field _uncancellable boolean? the scope's end does not stop it (a write under way)
---@field keep boolean? it goes on though its last consumer is gone
local Future = {} -- how its instances are indexed: core/future/missing.lua

local M = { Future = Future, DORMANT = DORMANT }

--- By the code of an error of C: function(fields, message) that adds to its fields.
M.completions = {}

--- A pending Future.
---@param scope table|nil the scope with which it is cancelled
---@param source string|false the place that "made" it; false: none is noted
---@param line integer|false
function M.placed(scope, source, line)
  local future = setmetatable({
    _state = PENDING,
    _n = 0,
    _value = nil, -- the value (of one), a table of values (of several), or the error
    _first = false, -- who waits for it, in the order in which they came
    _last = false,
    _consumers = 0,
    _looked_at = false,
    _scope = scope or false,
    _newer = false, -- among the scope's children
    _older = false,
    _cancel = false, -- function(future, err): stops the work beneath
    _source = source,
    _line = line,
    _what = false, -- the name of the call that made it
  }, Future)
  if scope then
    scopes.add(scope, future)
  end
  return future
end

local placed = M.placed

--- A pending Future.
---@param level integer|nil the stack level of the line that "made" it
function M.new(scope, level)
  local source, line = native.where((level or 1) + 1)
  return (placed(scope, source, line))
end

--- Makes a resolved one, which nobody else has, a pending one again: to make a new one costs more.
function M.renew(future, scope)
  future._state, future._n, future._value = PENDING, 0, nil
  future._consumers, future._looked_at, future._scope = 0, false, scope
  scopes.add(scope, future)
end

--- What _where() of one says whose place was not noted.
M.NOWHERE = "?:0"

--- A Future that has its value (nil: none) from the start and belongs to no scope.
--- Where it was made is not noted: that would cost more than all the rest of it.
function M.resolved(value)
  return setmetatable({
    _state = RESOLVED, _n = value == nil and 0 or 1, _value = value, _first = false,
    _last = false, _consumers = 0, _looked_at = true, _scope = false, _newer = false,
    _older = false, _cancel = false, _source = false, _line = false, _what = false,
  }, Future)
end

--- Notes the name of the call that made `future`.
---@param what string
function M.named(what, future)
  future._what = what
  return future
end

--- The same of whatever may be a Future.
function M.named_if(what, value)
  if getmetatable(value) == Future then
    value._what = what
  end
  return value
end

M.root = scopes.new_root() -- the scope of whatever runs outside of tasks; replaced by each app

--- The scope of the running task; outside of tasks the app's.
local function current_scope()
  local task = sched.current
  return task and task.scope or M.root
end
M.current_scope = current_scope

-- --- who waits ---

-- Behind all that came before.
local function enlist(future, node)
  local last = future._last
  if last then
    last.behind, node.before = node, last
  else
    future._first = node
  end
  future._last = node
end
M.enlist = enlist

-- False if it has been told.
local function unlink(future, node)
  local before, behind = node.before, node.behind
  if before then
    before.behind = behind or false
  elseif future._first == node then
    future._first = behind or false
  else
    return false
  end
  if behind then
    behind.before, node.behind = before, false
  else
    future._last = before or false
  end
  if before then
    node.before = false
  end
  return true
end

-- --- telling ---

local run_reaction, reaction_failed

local function tell(future, node)
  if node.co then
    sched.ready(node)
    return
  end
  node.future = false -- what was derived from it keeps nothing of it
  if node.direct then
    node.direct(node, future)
  else
    node.task = sched.start_soon(node.scope, run_reaction, reaction_failed, node, future)
    node.task.shielded = node.shielded or false
    node.task.holding = node.holding or node.task.holding
  end
end

local queue, head, tail = {}, 1, 0 -- settled Futures that have somebody to tell; pending ones that
-- nobody waits for any more

local go_back_to_sleep

local function end_unwanted(future)
  if future._stand_in then
    go_back_to_sleep(future)
  else
    future:_abandon(errors.new("cancelled", "nobody waits for it any more", {
      where = future:_where(),
    }))
  end
end

local function work_off(future)
  local node = future._first
  if future._state == PENDING or not node then
    queue[head] = nil
    head = head + 1
    if future._state == PENDING and future._consumers == 0 then
      end_unwanted(future)
    end
    return
  end
  local behind = node.behind
  future._first = behind or false
  if behind then
    behind.before, node.behind = false, false
  else
    future._last = false
  end
  tell(future, node)
end

-- Whoever begins tells all of them; what that settles comes behind. If a task is made to fail in
-- the middle of it, the next one goes on with the rest.
local function flush()
  local owner = sched.current or true
  if sched.settling == owner then
    return
  end
  sched.settling = owner
  while head <= tail do
    work_off(queue[head])
  end
  head, tail = 1, 0
  sched.settling = false
end
sched.settle_rest = flush

local function put_off(future)
  tail = tail + 1
  queue[tail] = future
  flush()
end

--- Settles it, once. False if that has been done.
local function settle(future, state, n, value)
  if future._state ~= PENDING then
    return false
  end
  future._state, future._n, future._value = state, n, value
  future._cancel = false
  local scope = future._scope
  if scope then
    scopes.remove(scope, future)
  end
  local first = future._first
  if first then
    if first == future._last and first.co then -- one task awaits it: the most frequent case
      future._first, future._last = false, false
      sched.ready(first)
    else
      put_off(future)
    end
  end
  if state == REJECTED and not future._looked_at then
    M.note_rejection(future)
  end
  return true
end
M.settle = settle

local function settle_like(derived, future)
  return settle(derived, future._state, future._n, future._value)
end

--- The value or values of a resolved one.
function M.values(future)
  local n = future._n
  if n <= 1 then
    if n == 0 then
      return
    end
    return future._value
  end
  return unpack(future._value, 1, n)
end

local function pack_values(...)
  local n = select("#", ...)
  if n <= 1 then
    return n, (...)
  end
  return n, { ... }
end

--- Rejects it and stops the work beneath it.
function Future:_abandon(err)
  local stop = self._cancel
  if settle(self, REJECTED, 1, err) and stop then
    stop(self, err)
  end
end

--- "file:line" of the call that made it.
function Future:_where()
  return (self._source or "?") .. ":" .. (self._line or 0)
end

-- --- consumers ---

-- A consumer that runs in `scope` is gone. A request's end stops only what is the request's, which
-- ends with it anyway: what is the app's may be awaited again. And no request stops what the app
-- does in the background.
local function leave(future, scope)
  local left = future._consumers - 1
  future._consumers = left
  if left > 0 or future._state ~= PENDING or scope[CANCELLED] or future.keep
    or future._uncancellable then
    return
  end
  local owner = future._scope
  if not owner or owner == scope or owner ~= owner[ROOT] then
    put_off(future)
  end
end
M.leave = leave

local wake

-- One more consumer. A reaction is { scope, before, behind } and either { direct = function(
-- reaction, future) } of the framework, which only settles other Futures, or functions of the user,
-- which run in a coroutine of their own: see M.derive.
local function react(future, reaction)
  if future._state == DORMANT then
    wake(future)
  end
  future._looked_at = true
  future._consumers = future._consumers + 1
  reaction.future = future
  if future._state == PENDING or future._first then
    enlist(future, reaction)
  else
    tell(future, reaction)
  end
end
M.react = react

--- The consumer that registered `reaction` is gone, unless it has been told.
local function withdraw(reaction)
  local future = reaction.future
  if future and unlink(future, reaction) then
    reaction.future = false
    leave(future, reaction.scope)
  end
end
M.withdraw = withdraw

--- Cancels a task: the error is raised at its pending await and at every later one.
function M.cancel_task(task, err)
  task.cancelled = err
  local future = task.waiting
  if future then
    task.waiting = false
    if unlink(future, task) then -- else it is in the scheduler's queue already
      sched.ready(task)
      leave(future, task.scope)
    end
  end
end

--- What is derived in a scope that is over ends at once, so that nothing keeps it.
function M.end_with_scope(derived)
  local task = sched.current
  local over = derived._scope[CANCELLED]
  if over and not (task and task.shielded) then
    derived:_abandon(over)
  end
end

-- --- and_then, catch, finally ---

local FINALLY = {} -- on_error of a reaction whose on_value is called in either case

function run_reaction(task)
  local r, future = task.a, task.b
  local derived = r.derived
  if r.on_error == FINALLY then
    r.on_value()
  elseif derived._state ~= PENDING then
    return
  elseif future._state == RESOLVED and r.on_value then
    return derived:resolve(r.on_value(M.values(future)))
  elseif future._state == REJECTED and r.on_error then
    return derived:resolve(r.on_error(future._value))
  end
  settle_like(derived, future)
end

function reaction_failed(task, err)
  M.fail(task, task.a.derived, err)
end

-- A cleanup runs all the same, now.
local function cancel_derived(derived, err)
  local r = derived._reaction
  local future, task = r.future, r.task
  if r.on_error == FINALLY then
    if future and unlink(future, r) then
      tell(future, r)
      leave(future, r.scope)
    end
  elseif task then
    M.cancel_task(task, err)
  else
    withdraw(r)
  end
end

local function derive(future, level, on_value, on_error)
  local scope = current_scope()
  local derived = M.new(scope, level + 1)
  local reaction = {
    on_value = on_value, on_error = on_error, derived = derived, scope = scope,
    future = future, task = false, before = false, behind = false,
  }
  local task = sched.current
  if task then
    reaction.shielded, reaction.holding = task.shielded, task.holding
  end
  derived._reaction, derived._cancel = reaction, cancel_derived
  react(future, reaction)
  M.end_with_scope(derived)
  return derived
end

--- A Future of what the callback that fits returns; false: it settles like `future`.
function M.derive(future, level, on_value, on_error)
  return (derive(future, level + 1, on_value or false, on_error or false))
end

--- A Future that settles like `future`, behind `fn()`.
function M.derive_finally(future, level, fn)
  return (derive(future, level + 1, fn, FINALLY))
end

--- The function that was to settle `future` raised `err` in `task`.
function M.fail(task, future, err)
  local on_purpose = errors.is_cancellation(err)
  if on_purpose and not (task.cancelled or task.scope[CANCELLED]) then
    future._died = true -- of what others cancelled: that is a failure like any other
  end
  if not settle(future, REJECTED, 1, err) and not on_purpose then
    M.tell_late(future, err)
  end
end

-- --- adoption ---

local function follow(reaction, future)
  reaction.derived._toward = false
  settle_like(reaction.derived, future)
end

local function cancel_adoption(derived)
  derived._toward = false
  withdraw(derived._reaction)
end

-- The one at the end of those that adopted each other.
local function tip_of(future)
  local tip = future
  while tip._toward do
    tip = tip._toward
  end
  while future ~= tip do -- the next look is short
    local next_one = future._toward
    future._toward = tip
    future = next_one
  end
  return tip
end

-- The one that settles like this dormant one.
local function stand_in(future)
  local other = future._stand_in
  while other._state == DORMANT do
    other = other._stand_in
  end
  future._stand_in = other
  return other
end
M.stand_in = stand_in

-- Somebody wants to know of a dormant one after all.
function wake(future)
  local other = stand_in(future)
  future._state = PENDING
  future._reaction = { direct = follow, derived = future, scope = current_scope() }
  future._cancel = cancel_adoption
  react(other, future._reaction)
end
M.wake = wake

-- Whoever wanted to know of it is gone; the other goes on for its own sake.
function go_back_to_sleep(future)
  local reaction = future._reaction
  local other = reaction.future
  if other and unlink(other, reaction) then
    other._consumers = other._consumers - 1
    future._state, future._cancel, future._reaction = DORMANT, false, false
  end
end

-- `follower`, the reaction of the one that adopted `future`, follows `other` itself. A loop that
-- returns its next round is so never more than two Futures long: nothing leads to the dormant one.
local function fall_asleep(future, follower, other)
  unlink(future, follower)
  future._state, future._consumers, future._cancel = DORMANT, 0, false
  future._reaction, future._toward = false, false
  future._stand_in = follower.derived
  if future._scope then
    scopes.remove(future._scope, future)
  end
  follower.derived._toward = other
  react(other, follower)
end

--- `self` settles like `other`.
local function adopt(self, other)
  if self._state ~= PENDING or self._toward then
    return false
  end
  if other._state == DORMANT then
    other = stand_in(other)
  end
  if tip_of(other) == self then
    return settle(self, REJECTED, 1,
      errors.new("error", "a Future cannot be resolved with itself", { where = self:_where() }))
  end
  local sole = self._first
  if sole and sole.direct == follow and self._consumers == 1 then
    fall_asleep(self, sole, other)
    return true
  end
  self._toward = other
  self._reaction = { direct = follow, derived = self, scope = current_scope() }
  self._cancel = cancel_adoption
  react(other, self._reaction)
  return true
end

--- Settles it with values. A second settle is ignored. A single Future as the value is adopted.
function Future:resolve(...)
  if self._toward then
    return false
  end
  local value = ...
  if getmetatable(value) == Future and select("#", ...) == 1 then
    return adopt(self, value)
  end
  return settle(self, RESOLVED, pack_values(...))
end

--- Settles it with an error: a table with code and message, or a text.
function Future:reject(err)
  if self._toward then
    return false
  end
  if err == nil then
    err = errors.new("error", "rejected without an error")
  end
  return settle(self, REJECTED, 1, errors.wrap(err))
end

-- An operation of C gives one value or none; or a code, a message and an errno or further fields.
function Future:_settle_operation(ok, a, b, c)
  self._operation = false
  if ok then
    settle(self, RESOLVED, a == nil and 0 or 1, a)
  else
    local fields = type(c) == "table" and c or { errno = c }
    local complete = M.completions[a]
    if complete then
      complete(fields, b)
    end
    fields.where = self:_where()
    settle(self, REJECTED, 1, errors.new(a, b, fields))
  end
end

return M
