--- Databases: ctx:query_database and ctx:database; moongate.database for work without a request.
---
--- Rows are an array of tables by column name. SQL's NULL is moongate.json.null, so that each
--- column is there; integers beyond 2^53 are LuaJIT's int64_t; texts and bytes are strings.
--- Parameters are `$1`, `$2` ... in the statement, never parts of its text: nil and null are NULL,
--- a string is text, bytes go in as moongate.blob(bytes).
---
--- A failure has code "database", the `statement`, the library's own number `native`, and a
--- `reason`: "constraint", "syntax", "readonly", "busy" (locked by another process for too long),
--- "limit" (the result or the queue is too large), "error".
local native = require("moongate.native")
local errors = require("moongate.core.errors")
local scopes = require("moongate.core.scope")
local sched = require("moongate.core.sched")
local suggest = require("moongate.core.suggest")
local Future = require("moongate.future")
local time = require("moongate.time")

local M = {}

local DEFAULT = "default"
local BATCH = 100 -- rows fetched at once by rows()
local STATEMENTS_KEPT = 64 -- of a transaction, before those that are through are forgotten
local CANCELLED = scopes.CANCELLED
local NONE = 'no database is configured: database = "sqlite:build/var/app.db" in the configuration'

--- In specs: function(scope, level, sql, first, ...) -> the Future of what a statement is stubbed
--- with, or nil.
M._stub = false

---@class moongate.Rows: table[] what a statement gave
---@field affected integer rows changed by an INSERT, UPDATE or DELETE
---@field last_id integer? of the last row inserted

-- --- what cannot be started ---

local function unknown(name)
  local names, known = native.database_names(), {}
  if #names == 0 then
    return errors.new("database", NONE, { reason = "error" })
  end
  for _, other in ipairs(names) do
    known[other] = true
  end
  return errors.new("database", "there is no database '" .. name .. "'"
    .. suggest.for_name(name, known) .. "; configured: " .. table.concat(names, ", "),
    { reason = "error" })
end

local function refusal(name, what)
  if what == "unknown" then
    return unknown(name)
  elseif what == "limit" then
    return errors.new("database", "too many statements wait for the database", { reason = "limit" })
  elseif what == "closed" then
    return errors.new("closed", "the database or its transaction is closed", { reason = "closed" })
  end
  return errors.new("database", "the statement cannot be started", { reason = "error" })
end

local function rejected(scope, level, err, sql)
  local future = Future._new(scope, level + 1)
  err.where, err.statement = future:_where(), sql and sql:sub(1, 500)
  Future._settle(future, "rejected", 1, err)
  return future
end

local function fail_parameter(level, number, what)
  error("parameter $" .. number .. ": " .. what, level + 1)
end

local function check_sql(level, sql)
  if type(sql) ~= "string" then
    error("the statement is wanted as a string, not " .. type(sql), level + 1)
  end
  Future._refuse_loading("a database's statement", level + 1)
end

local run_transaction

-- A transaction holds the one connection that writes: what waits for that in its function waits for
-- ever, and what only reads does not see what it wrote.
local function refuse_inside(level, name)
  local task = sched.current
  if task and task.run == run_transaction and task.a._open and task.a._name == name then
    error("inside a transaction statements go through it: tx:query(...)", level + 1)
  end
end

-- The Future of what a native function has started, or has not.
local function started(scope, level, name, sql, handle, what, number, text)
  if handle then
    return (time.operation(handle, scope, level + 1))
  elseif what == "parameter" then
    fail_parameter(level + 1, number, text)
  end
  return (rejected(scope, level + 1, refusal(name, what), sql))
end

-- Sessions of rows that nobody can ask for any more. A finalizer only writes them down: it runs in
-- the middle of anything.
local abandoned = {}

local function close_abandoned()
  local list = abandoned
  abandoned = {}
  for _, holder in ipairs(list) do
    holder:cancel("nobody reads the rows any more")
  end
end

local function query(scope, level, name, first, sql, ...)
  check_sql(level + 1, sql)
  refuse_inside(level + 1, name)
  if abandoned[1] then
    close_abandoned()
  end
  local stubbed = M._stub and M._stub(scope, level + 1, sql, first, ...)
  if stubbed then
    return stubbed
  end
  return (started(scope, level + 1, name, sql, native.database_query(name, first, sql, ...)))
end

-- --- transactions ---

---@class moongate.Transaction
local Transaction = {}
Transaction.__index = Transaction

-- A statement that failed unseen must not be committed around: those that nobody awaited are.
local function keep_statement(tx, future)
  local list = tx._statements
  list[#list + 1] = future
  if #list < STATEMENTS_KEPT then
    return
  end
  local kept = {}
  for _, statement in ipairs(list) do
    if not statement._looked_at then
      kept[#kept + 1] = statement
    end
  end
  tx._statements = kept
end

local function tx_query(tx, level, first, sql, ...)
  if type(tx) ~= "table" or getmetatable(tx) ~= Transaction then
    error("call it with a colon: tx:query(...)", level + 1)
  end
  check_sql(level + 1, sql)
  local stubbed = M._stub and tx._open and M._stub(tx._scope, level + 1, sql, first, ...)
  local future = stubbed or started(tx._scope, level + 1, tx._name, sql,
    native.session_query(tx._session, first, sql, ...))
  if tx._open then
    keep_statement(tx, future)
  end
  return future
end

--- Runs a statement in the transaction.
---@return moongate.Future of moongate.Rows
function Transaction:query(sql, ...)
  return (tx_query(self, 2, false, sql, ...))
end

--- The first row, or nil.
---@return moongate.Future
function Transaction:one(sql, ...)
  return (tx_query(self, 2, true, sql, ...))
end

function Transaction.rows()
  error("a transaction's rows come all at once: tx:query; db:rows streams outside of one", 2)
end

function Transaction.transaction()
  error("transactions do not nest: use the tx that there is, or SAVEPOINT with tx:query", 2)
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

local function open(tx, write)
  tx._open = true
  local operation, session = native.database_begin(tx._name, write)
  if not operation and session == "unknown" and M._stub then
    return -- stubs answer
  elseif not operation then
    error(refusal(tx._name, session), 0)
  end
  tx._session = session
  await_own(tx, operation)
end

local function await_statements(tx)
  for _, statement in ipairs(tx._statements) do
    if not statement._looked_at then
      statement:await()
    end
  end
end

local function commit(task, tx, ...)
  local value = ...
  if getmetatable(value) == Future and select("#", ...) == 1 then
    return commit(task, tx, value:await())
  end
  await_statements(tx)
  local death = task.cancelled or tx._scope[CANCELLED]
  if death then
    error(death, 0)
  end
  local session = tx._session
  tx._session, tx._open = false, false
  if session then
    local operation, what = native.session_commit(session)
    if not operation then
      error(refusal(tx._name, what), 0)
    end
    await_own(tx, operation)
  end
  tx._future:resolve(...)
end

function run_transaction(task)
  if task.cancelled then
    return -- before it began
  end
  local tx = task.a
  open(tx, task.c)
  commit(task, tx, task.b(tx))
end

local function transaction_failed(task, err)
  local tx = task.a
  drop(tx)
  if not err.where then
    err.where = tx._future:_where()
  end
  Future._settle(tx._future, "rejected", 1, err)
end

local function check_transaction(level, fn, options)
  if type(fn) ~= "function" then
    error("transaction: a function is wanted, not " .. type(fn), level + 1)
  end
  for key in pairs(options or {}) do
    if key ~= "readonly" then
      error("transaction: unknown option '" .. tostring(key) .. "', allowed is readonly", level + 1)
    end
  end
  Future._refuse_loading("a transaction", level + 1)
  if abandoned[1] then
    close_abandoned()
  end
end

local function transaction(scope, level, name, fn, options)
  check_transaction(level + 1, fn, options)
  refuse_inside(level + 1, name)
  local future = Future._new(scope, level + 1)
  if time.is_over(scope) then
    future:_abandon(scope[CANCELLED])
    return future
  end
  local tx = setmetatable({
    _name = name, _scope = scope, _future = future, _session = false, _statements = {},
    _open = false,
  }, Transaction)
  local write = not (options and options.readonly)
  local task = sched.start_soon(scope, run_transaction, transaction_failed, tx, fn, write)
  future._cancel = function(_, err)
    drop(tx)
    Future._cancel_task(task, err)
  end
  return future
end

-- --- rows, one by one ---

---@class moongate.RowStream
local Rows = {}
Rows.__index = Rows

--- No more rows: what holds the connection is given back.
function Rows:close()
  local holder = self._holder
  self._closed, self._batch, self._holder = true, false, false
  if holder then
    sched.release(self._task, holder)
    holder:cancel("the rows were closed")
  end
end

-- The session lives as long as this Future is pending: at most until the scope is cancelled or the
-- coroutine ends that asked for the first row.
local function hold_session(rows, session)
  local holder = Future._new(rows._scope, 4)
  holder._operation = session
  holder._cancel = function()
    native.cancel(session)
  end
  local guard = newproxy(true)
  getmetatable(guard).__gc = function()
    abandoned[#abandoned + 1] = holder
  end
  rows._session, rows._holder, rows._task, rows._guard = session, holder, sched.current, guard
  sched.hold(sched.current, holder)
end

local function await_at(rows, operation)
  local future = time.operation(operation, rows._scope, 2)
  future._source, future._line = rows._source, rows._line
  local value, err = future:try_await()
  if err then
    rows:close()
    error(err, 0)
  end
  return value
end

local function open_rows(rows)
  if not sched.current then
    error("rows are read in a coroutine: in a handler, a callback or moongate.spawn(fn)", 4)
  end
  if abandoned[1] then
    close_abandoned()
  end
  local args = rows._args
  local operation, session =
    native.database_open_rows(rows._name, rows._sql, unpack(args, 1, args.n))
  if not operation then
    error(refusal(rows._name, session), 0)
  end
  hold_session(rows, session)
  await_at(rows, operation)
end

local function fetch(rows)
  local stubbed = not rows._session and M._stub
    and M._stub(rows._scope, 3, rows._sql, false, unpack(rows._args, 1, rows._args.n))
  if stubbed then
    rows._batch, rows._at = stubbed:await(), 0
    return
  end
  if not rows._session then
    open_rows(rows)
  end
  local operation, what = native.session_fetch(rows._session, BATCH)
  if not operation then
    error(errors.new(what, "the rows were closed with the coroutine that began to read them"), 0)
  end
  rows._batch, rows._at = await_at(rows, operation), 0
end

function Rows:__call()
  while not self._closed do
    local batch = self._batch
    if batch then
      local at = self._at + 1
      local row = batch[at]
      if row then
        self._at = at
        return row
      elseif not batch.more then
        self:close()
        return nil
      end
    end
    fetch(self)
  end
end

local function rows_of(scope, level, name, sql, ...)
  check_sql(level + 1, sql)
  refuse_inside(level + 1, name)
  local good, _, number, what = native.database_check(...)
  if not good then
    fail_parameter(level + 1, number, what)
  end
  local source, line = native.where(level + 1)
  return setmetatable({
    _name = name, _scope = scope, _sql = sql, _args = { n = select("#", ...), ... },
    _session = false, _holder = false, _batch = false, _at = 0, _closed = false,
    _source = source, _line = line,
  }, Rows)
end

-- --- the object ---

---@class moongate.Database
local Database = {}
Database.__index = Database

local function scope_of(self, level)
  if type(self) ~= "table" or getmetatable(self) ~= Database then
    error("call it with a colon: db:query(...)", level + 1)
  end
  return self._scope or Future._current_scope()
end

--- Runs a statement.
---@param sql string `$1`, `$2` ... stand for the parameters
---@return moongate.Future of moongate.Rows
function Database:query(sql, ...)
  return (query(scope_of(self, 2), 2, self._name, false, sql, ...))
end

--- The first row of a statement, or nil.
---@return moongate.Future
function Database:one(sql, ...)
  return (query(scope_of(self, 2), 2, self._name, true, sql, ...))
end

--- Row by row, for results of any size: for row in db:rows("SELECT ...") do ... end. A loop that is
--- left early holds a connection until its coroutine ends; rows:close() gives it back at once.
---@return moongate.RowStream
function Database:rows(sql, ...)
  return (rows_of(scope_of(self, 2), 2, self._name, sql, ...))
end

--- Runs `fn(tx)` in a coroutine; tx:query and tx:one are its statements. It is committed when fn
--- returns, and rolled back when it raises or is cancelled.
---@param fn fun(tx: moongate.Transaction): any
---@param options { readonly?: boolean }?
---@return moongate.Future of what fn returns
function Database:transaction(fn, options)
  return (transaction(scope_of(self, 2), 2, self._name, fn, options))
end

local function open_database(scope, level, name)
  if name ~= nil and type(name) ~= "string" then
    error("database: a name is wanted, not " .. type(name), level + 1)
  end
  return setmetatable({ _name = name or DEFAULT, _scope = scope }, Database)
end

--- The database of that name; without a name the default one.
---@param name string?
---@return moongate.Database
function M.open(name)
  return (open_database(false, 2, name))
end

--- Bytes as a parameter: a string alone is text.
---@param bytes string
function M.blob(bytes)
  if type(bytes) ~= "string" then
    error("blob: a string is wanted, not " .. type(bytes), 2)
  end
  return native.database_blob(bytes)
end

-- --- what ctx has: functions of (scope, level, ...) ---

M.calls = {}

--- Runs a statement in the default database.
---@return moongate.Future of moongate.Rows
function M.calls.query_database(scope, level, sql, ...)
  return (query(scope, level + 1, DEFAULT, false, sql, ...))
end

--- A database whose work ends with the request.
---@return moongate.Database
function M.calls.database(scope, level, name)
  return (open_database(scope, level + 1, name))
end

--- A transaction of the default database.
---@return moongate.Future
function M.calls.transaction(scope, level, fn, options)
  return (transaction(scope, level + 1, DEFAULT, fn, options))
end

return M
