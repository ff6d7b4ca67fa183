--- Transactions: a session of a database for one coroutine. It is committed when the coroutine's
--- function returns, and dropped, which rolls it back, by whatever else ends it.
local native = require("moongate.native")
local check = require("moongate.core.check")
local scopes = require("moongate.core.scope")
local sched = require("moongate.core.sched")
local statement = require("moongate.core.database.statement")
local suggest = require("moongate.core.suggest")
local Future = require("moongate.future")
local time = require("moongate.time")

local M = {}

local STATEMENTS_KEPT = 64 -- before those that are through are forgotten
local CANCELLED = scopes.CANCELLED
local WRITING = {
  insert = true, update = true, delete = true, replace = true, create = true, drop = true,
  alter = true,
}

---@class moongate.Transaction
local Transaction = {}
Transaction.__index = Transaction

-- A statement that failed unseen must not be committed around: those that nobody awaited are.
local function keep_statement(tx, future)
  local list = tx._statements
  list[#list + 1] = future
  if #list < tx._most then
    return
  end
  local kept = {}
  for _, each in ipairs(list) do
    if not each._looked_at then
      kept[#kept + 1] = each
    end
  end
  tx._statements, tx._most = kept, STATEMENTS_KEPT + 2 * #kept
end

local function tx_query(tx, level, first, sql, ...)
  if type(tx) ~= "table" or getmetatable(tx) ~= Transaction then
    error("call it with a colon: tx:query(...)", level + 1)
  end
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

function Transaction.transaction()
  error("transactions do not nest: use the tx that there is", 2)
end

suggest.close(Transaction, "a transaction")

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

local function open(tx, write)
  tx._open = true
  local operation, session = native.database_begin(tx._name, write, tx._nested)
  if not operation and session == "unknown" and statement.stub then
    return -- stubs answer
  elseif not operation then
    fail(tx, session)
  end
  tx._session = session
  await_own(tx, operation)
end

local function await_statements(tx)
  for _, each in ipairs(tx._statements) do
    if not each._looked_at then
      each:await()
    end
  end
end

local function commit(task, tx, ...)
  local value = ...
  if getmetatable(value) == Future and select("#", ...) == 1 then
    return commit(task, tx, value:await())
  end
  await_statements(tx)
  local death = task.cancelled or not task.shielded and tx._scope[CANCELLED]
  if death then
    error(death, 0)
  end
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

local function run(task)
  if task.cancelled then
    return -- before it began
  end
  local tx = task.a
  open(tx, task.c)
  commit(task, tx, task.b(tx))
end

local function failed(task, err)
  local tx = task.a
  drop(tx)
  Future._fail(task, tx._future, err)
end

local OPTIONS = {
  readonly = function(name, value)
    return check.type(name, value, "boolean")
  end,
}

local function check_arguments(level, fn, options)
  if type(fn) ~= "function" then
    error("transaction: a function is wanted, not " .. type(fn), level + 1)
  end
  check.options("transaction", options or {}, OPTIONS)
  Future._refuse_loading("a transaction", level + 1)
end

--- A statement beside the transaction that runs would wait for the one connection that writes, for
--- ever; one that only reads would not see what was written.
function M.refuse_inside(level, name)
  local task = sched.current
  if task and task.run == run and task.a._open and task.a._name == name then
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

--- Runs `fn(tx)` in a coroutine of `scope`.
---@return moongate.Future of what fn returns
function M.begin(scope, level, name, fn, options)
  check_arguments(level + 1, fn, options)
  M.refuse_inside(level + 1, name)
  statement.sweep()
  local future = Future._new(scope, level + 1)
  if time.is_over(scope) then
    future:_abandon(scope[CANCELLED])
    return future
  end
  local write = not (options and options.readonly)
  local tx = setmetatable({
    _name = name, _scope = scope, _future = future, _session = false, _statements = {},
    _most = STATEMENTS_KEPT, _open = false, _nested = sched.is_holding() and true,
    _write = write, _task = false,
  }, Transaction)
  local task = sched.start_soon(scope, run, failed, tx, fn, write)
  task.shielded = sched.current and sched.current.shielded or false
  task.holding, tx._task, future._task = tx, task, task
  task.making = sched.current and sched.current.making
  future._cancel = function(_, err)
    drop(tx)
    Future._cancel_task(task, err)
  end
  return future
end

return M
