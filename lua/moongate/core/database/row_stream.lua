--- Rows one by one, fetched in pieces from a session that holds a connection meanwhile. There is
--- none if all come in the first piece.
local native = require("moongate.native")
local sched = require("moongate.core.sched")
local statement = require("moongate.core.database.statement")
local transaction = require("moongate.core.database.transaction")
local Future = require("moongate.future")
local time = require("moongate.time")

local M = {}

local BATCH = 100 -- rows fetched at once

---@class moongate.RowStream
local Rows = {}
Rows.__index = Rows

-- What holds the connection is given back.
local function let_go(rows)
  local holder = rows._holder
  rows._holder = false
  if holder then
    sched.release(rows._task, holder)
    holder:cancel("the rows were closed")
  end
end

--- No more rows.
function Rows:close()
  self._closed, self._batch = true, false
  let_go(self)
end

-- The session lives as long as this Future is pending: at most until the scope is cancelled or the
-- coroutine ends that asked for the first row.
local function hold_session(rows, session)
  local holder = Future._new(rows._scope, 4)
  holder._operation, holder._scarce = session, true
  holder._consumers = 1 -- whoever reads the rows
  holder._cancel = function()
    native.cancel(session)
  end
  statement.guard(rows, holder)
  rows._session, rows._holder, rows._task = session, holder, sched.current
  sched.hold(sched.current, holder)
end

local function await_at(rows, operation)
  local future = time.operation(operation, rows._scope, 2)
  future._source, future._line = rows._source, rows._line
  local value, err = future:try_await()
  if err then
    rows:close()
    if err.code == "database" then
      err.statement = err.statement or rows._sql:sub(1, 500)
    end
    error(err, 0)
  end
  return value
end

local function fail(rows, what)
  local err = statement.refusal(rows._name, what, rows._source .. ":" .. rows._line)
  if what == "closed" and rows._session then
    err.message = "the rows were closed with the coroutine that began to read them"
  end
  Future._raise(err)
end

-- The operation that opens the rows, which gives the first ones as well.
local function open_rows(rows)
  if not sched.current then
    error("rows are read in a coroutine: in a handler, a callback or moongate.spawn(fn)", 4)
  end
  statement.sweep()
  local args = rows._args
  local operation, session =
    native.database_open_rows(rows._name, sched.is_holding(), BATCH, rows._sql,
      unpack(args, 1, args.n))
  if not operation then
    fail(rows, session)
  end
  hold_session(rows, session)
  return operation
end

local function fetch_rows(rows)
  local operation, what = native.session_fetch(rows._session, BATCH)
  if not operation then
    fail(rows, what)
  end
  return operation
end

local function fetch(rows)
  local stubbed = not rows._session and statement.stub
    and statement.stub(rows._scope, 3, rows._sql, false, unpack(rows._args, 1, rows._args.n))
  if stubbed then
    rows._batch, rows._at = stubbed:await(), 0
    return
  end
  local operation = rows._session and fetch_rows(rows) or open_rows(rows)
  rows._batch, rows._at = await_at(rows, operation), 0
  if not rows._batch.more then
    let_go(rows)
  end
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

--- The rows of a statement: an iterator. Nothing is asked before the first row is.
---@return moongate.RowStream
function M.open(scope, level, name, sql, ...)
  statement.check_sql(level + 1, sql)
  transaction.refuse_inside(level + 1, name)
  local good, _, number, what = native.database_check(...)
  if not good then
    statement.fail_parameter(level + 1, number, what)
  end
  local source, line = native.where(level + 1)
  return setmetatable({
    _name = name, _scope = scope, _sql = sql, _args = { n = select("#", ...), ... },
    _session = false, _holder = false, _batch = false, _at = 0, _closed = false,
    _source = source, _line = line,
  }, Rows)
end

return M
