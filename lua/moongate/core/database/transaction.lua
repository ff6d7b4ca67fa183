--- Transactions: a session of a database for one coroutine. It is committed when the coroutine's
--- function returns, and dropped, which rolls it back, by whatever else ends it.
local native = require("moongate.native")
local check = require("moongate.core.check")
local errors = require("moongate.core.errors")
local copy = require("moongate.core.database.copy")
local kept = require("moongate.core.kept")
local scopes = require("moongate.core.scope")
local sched = require("moongate.core.sched")
local notify = require("moongate.core.database.notify")
local statement = require("moongate.core.database.statement")
local suggest = require("moongate.core.suggest")
local Future = require("moongate.future")
local time = require("moongate.time")

local M = {}

local RETRIES_MAX = 20
local RETRY_LEAST, RETRY_MOST = 0.01, 0.5 -- seconds until another try, at most
-- Two transactions were in each other's way; the one that failed had no effect.
local LOST_A_RACE = { ["40001"] = true, ["40P01"] = true }
local CANCELLED = scopes.CANCELLED
local WRITING = {
  insert = true, update = true, delete = true, replace = true, create = true, drop = true,
  alter = true,
}

---@class moongate.Transaction
local Transaction = {}
Transaction.__index = Transaction

local function keep_statement(tx, future)
  kept.add(tx._statements, future)
end

local function check_transaction(tx, level, call)
  if type(tx) ~= "table" or getmetatable(tx) ~= Transaction then
    error("call it with a colon: tx:" .. call, level + 1)
  end
end

local function tx_query(tx, level, first, sql, ...)
  check_transaction(tx, level + 1, "query(...)")
  statement.check_sql(level + 1, sql)
  local stubbed = tx._open and statement.stub
    and statement.stub(tx._scope, level + 1, sql, first, ...)
  local future = stubbed or statement.started(tx._scope, level + 1, tx._name, sql,
    native.session_query(tx._session, first, sql, ...))
  if tx._open then
    keep_statement(tx, future)
  end
  return future
end

--- Runs a statement in the transaction.
---@return moongate.Future of moongate.Rows
function Transaction:query(sql, ...)
  return (Future._named("query", tx_query(self, 2, false, sql, ...)))
end

--- The first row, or nil.
---@return moongate.Future
function Transaction:one(sql, ...)
  return (Future._named("one", tx_query(self, 2, true, sql, ...)))
end

function Transaction.rows()
  error("a transaction's rows come all at once: tx:query; db:rows streams outside of one", 2)
end

--- What COPY ... TO STDOUT gives, as db:copy_out. Until its end there is no other statement; left
--- before, the transaction can only be rolled back. PostgreSQL.
---@param sql string
---@return moongate.CopyReader
function Transaction:copy_out(sql)
  check_transaction(self, 2, "copy_out(sql)")
  return (copy.out(self._scope, 2, self._name, sql, self))
end

--- What COPY ... FROM STDIN takes, as db:copy_in; what is finished is kept when the transaction is.
--- PostgreSQL.
---@param sql string
---@return moongate.CopyWriter
function Transaction:copy_in(sql)
  check_transaction(self, 2, "copy_in(sql)")
  return (copy.into(self._scope, 2, self._name, sql, self, keep_statement))
end

--- Tells those who listen on a channel, once it is committed (PostgreSQL).
---@param channel string
---@param payload string? at most 7999 bytes
---@return moongate.Future
function Transaction:notify(channel, payload)
  notify.check(2, channel, payload)
  return (Future._named("notify", tx_query(self, 2, false, notify.SQL, channel, payload or "")))
end

local nest -- below

--- Runs `fn(inner)` in a coroutine, as a part that is undone alone when it raises.
---@param fn fun(tx: moongate.Transaction): any
---@return moongate.Future of what fn returns
function Transaction:transaction(fn)
  return (Future._named("transaction", nest(self, 2, fn)))
end

suggest.close(Transaction, "a transaction")

local function new(values)
  values._session, values._open, values._inner, values._task = false, false, false, false
  values._depth = values._depth or 0
  values._statements = kept.new()
  return setmetatable(values, Transaction)
end

local function drop(tx)
  local session = tx._session
  tx._session, tx._open = false, false
  if session then
    native.cancel(session)
  end
end

-- What belongs to the transaction itself is said to be at the line that began it.
local function await_own(tx, operation)
  local future, outer = time.operation(operation, tx._scope, 2), tx._future
  future._source, future._line = outer._source, outer._line
  return future:await()
end

local function fail(tx, what)
  error(statement.refusal(tx._name, what, tx._future:_where()), 0)
end

local function open(tx, how)
  tx._open = true
  local operation, session = native.database_begin(tx._name, tx._write, tx._nested,
    how.isolation, how.deferrable)
  if not operation and session == "unknown" and statement.stub then
    return -- stubs answer
  elseif not operation then
    fail(tx, session)
  end
  tx._session = session
  await_own(tx, operation)
end

local function refuse_cancelled(task, tx)
  local death = task.cancelled or not task.shielded and tx._scope[CANCELLED]
  if death then
    error(death, 0)
  end
end

local function commit(task, tx, ...)
  local value = ...
  if getmetatable(value) == Future and select("#", ...) == 1 then
    return commit(task, tx, value:await())
  end
  kept.await(tx._statements)
  refuse_cancelled(task, tx)
  local session = tx._session
  tx._session, tx._open = false, false
  if session then
    local operation, what = native.session_commit(session)
    if not operation then
      fail(tx, what)
    end
    await_own(tx, operation)
  end
  tx._future:resolve(...)
end

local function attempt(task)
  local tx = task.a
  open(tx, task.c)
  commit(task, tx, task.b(tx))
end

-- The coroutine goes on with another transaction, after a while that is none of the others'.
local function begin_anew(task, tries)
  local before = task.a
  drop(before)
  local most = math.min(RETRY_LEAST * 2 ^ (tries - 1), RETRY_MOST)
  time.sleep_in(before._scope, most * (0.5 + math.random() / 2), 2):await()
  local tx = new({
    _name = before._name, _scope = before._scope, _future = before._future,
    _nested = before._nested, _write = before._write,
  })
  tx._task, task.a, task.holding = task, tx, tx
end

local function run(task)
  if task.cancelled then
    return -- before it began
  end
  for tries = 1, task.c.retry or 0 do
    local good, err = pcall(attempt, task)
    if good then
      return
    elseif not LOST_A_RACE[errors.field(err, "sqlstate")] then
      error(err, 0)
    end
    begin_anew(task, tries)
  end
  attempt(task)
end

local function failed(task, err)
  local tx = task.a
  drop(tx)
  Future._fail(task, tx._future, err)
end

-- --- parts of a transaction: savepoints ---

-- Nobody awaits it: what comes behind it in the session finds it done.
local function send_savepoint(tx, what)
  return native.session_savepoint(tx._session, what .. "moongate_" .. tx._depth)
end

local function savepoint(tx, what)
  local operation, why = send_savepoint(tx, what)
  if operation then
    await_own(tx, operation)
  elseif tx._session or not statement.stub then
    fail(tx, why)
  end
end

local function close_inner(tx)
  local open_before = tx._open
  tx._open, tx._outer._inner = false, false
  return open_before
end

local function undo(tx)
  if close_inner(tx) and send_savepoint(tx, "ROLLBACK TO SAVEPOINT ") then
    send_savepoint(tx, "RELEASE SAVEPOINT ")
  end
end

local function release(task, tx, ...)
  local value = ...
  if getmetatable(value) == Future and select("#", ...) == 1 then
    return release(task, tx, value:await())
  end
  kept.await(tx._statements)
  refuse_cancelled(task, tx)
  savepoint(tx, "RELEASE SAVEPOINT ")
  close_inner(tx)
  tx._future:resolve(...)
end

local function run_inner(task)
  if task.cancelled then
    return
  end
  local tx = task.a
  savepoint(tx, "SAVEPOINT ")
  release(task, tx, task.b(tx))
end

local function inner_failed(task, err)
  undo(task.a)
  Future._fail(task, task.a._future, err)
end

-- --- how one begins ---

local function boolean(name, value)
  return check.type(name, value, "boolean")
end

local ISOLATION = { read_committed = true, repeatable_read = true, serializable = true }

local OPTIONS = {
  read_only = boolean,
  readonly = boolean, -- the older name
  deferrable = boolean,
  isolation = function(name, value)
    return check.one_of(name, value, ISOLATION)
  end,
  retry = function(name, value)
    if type(value) ~= "number" or value < 0 or value > RETRIES_MAX or value % 1 ~= 0 then
      check.fail(("%s: an integer from 0 to %d is wanted, not %s"):format(name, RETRIES_MAX,
        check.describe(value)))
    end
    return value
  end,
}

local function check_arguments(level, fn, options)
  if type(fn) ~= "function" then
    error("transaction: a function is wanted, not " .. check.describe(fn), level + 1)
  end
  local checked = check.options("transaction", options or {}, OPTIONS)
  Future._refuse_loading("a transaction", level + 1)
  return checked
end

--- A statement beside the transaction that runs would wait for the one connection that writes, for
--- ever; one that only reads would not see what was written.
function M.refuse_inside(level, name)
  local task = sched.current
  local inside = task and (task.run == run or task.run == run_inner)
  if inside and task.a._open and task.a._name == name then
    error("inside a transaction statements go through it: tx:query(...)", level + 1)
  end
end

-- Readers wait for nobody.
local function writes(sql)
  local word = (sql:match("^[%s(]*(%a+)") or ""):lower()
  return WRITING[word] or word == "with" and ((sql .. " "):lower():find("%sinto%s")
    or sql:lower():find("%f[%a]update%s") or sql:lower():find("%f[%a]delete%s+from%s")) ~= nil
end

--- Notes that `future`, a statement that has just been started, may have to wait for the end of the
--- transaction that started the running coroutine.
function M.note_beside(future, name, sql)
  local task = sched.current
  local tx = task and task.holding
  if tx and tx ~= true and tx._open and tx._write and tx._name == name and writes(sql)
    and native.database_has_one_writer(name) then
    future._beside = tx
  end
end

-- Runs `fn(tx)` in a coroutine; `stop(tx)` undoes it when the Future is cancelled.
local function start(tx, fn, how, run_it, on_failure, stop)
  local future = tx._future
  local task = sched.start_soon(tx._scope, run_it, on_failure, tx, fn, how)
  task.shielded = sched.current and sched.current.shielded or false
  task.making = sched.current and sched.current.making
  task.holding, tx._task, future._task = tx, task, task
  future._cancel = function(_, err)
    stop(task.a)
    Future._cancel_task(task, err)
  end
end

--- Runs `fn(tx)` in a coroutine of `scope`.
---@return moongate.Future of what fn returns
function M.begin(scope, level, name, fn, options)
  local how = check_arguments(level + 1, fn, options)
  M.refuse_inside(level + 1, name)
  statement.sweep()
  local future = Future._new(scope, level + 1)
  if time.is_over(scope) then
    future:_abandon(scope[CANCELLED])
    return future
  end
  local tx = new({
    _name = name, _scope = scope, _future = future, _nested = sched.is_holding() and true,
    _write = not (how.read_only or how.readonly),
  })
  start(tx, fn, how, run, failed, drop)
  return future
end

function nest(outer, level, fn)
  check_transaction(outer, level + 1, "transaction(fn)")
  check_arguments(level + 1, fn)
  if outer._inner then
    error("a transaction has one part at a time: await the one that was begun at "
      .. outer._inner._future:_where(), level + 1)
  end
  local future = Future._new(outer._scope, level + 1)
  if time.is_over(outer._scope) then
    future:_abandon(outer._scope[CANCELLED])
    return future
  elseif not outer._open then
    future:reject(statement.refusal(outer._name, "closed", future:_where()))
    return future
  end
  local tx = new({
    _name = outer._name, _scope = outer._scope, _future = future, _write = outer._write,
    _outer = outer, _depth = outer._depth + 1,
  })
  tx._session, tx._open, outer._inner = outer._session, true, tx
  start(tx, fn, false, run_inner, inner_failed, undo)
  keep_statement(outer, future)
  return future
end

return M
