--- Rows one by one, fetched in pieces from a session that holds a connection meanwhile. There is
--- none if all come in the first piece.
local native = require("moongate.native")
local holder = require("moongate.core.database.holder")
local sched = require("moongate.core.sched")
local statement = require("moongate.core.database.statement")
local transaction = require("moongate.core.database.transaction")

local M = {}

local BATCH = 100 -- rows fetched at once

---@class moongate.RowStream
local Rows = {}
Rows.__index = Rows

--- No more rows.
function Rows:close()
  self._closed, self._batch = true, false
  holder.let_go(self)
end

-- The operation that opens the rows, which gives the first ones as well.
local function open_rows(rows)
  holder.refuse_outside(4, "rows are read")
  statement.sweep()
  local args = rows._args
  local operation, session =
    native.database_open_rows(rows._name, sched.is_holding(), BATCH, rows._sql,
      unpack(args, 1, args.n))
  if not operation then
    holder.fail(rows, session)
  end
  holder.hold(rows, session)
  return operation
end

local function fetch_rows(rows)
  local operation, what = native.session_fetch(rows._session, BATCH)
  if not operation then
    holder.fail(rows, what)
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
  rows._batch, rows._at = holder.await(rows, operation), 0
  if not rows._batch.more then
    holder.let_go(rows)
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
  local rows = holder.new(scope, level + 1, name, sql)
  rows._args, rows._batch, rows._at = { n = select("#", ...), ... }, false, 0
  return setmetatable(rows, Rows)
end

return M
