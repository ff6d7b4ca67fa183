--- What rows and copies that go piece by piece have in common: a session that holds a connection
--- from the first piece to the last one.
local native = require("moongate.native")
local decoders = require("moongate.core.database.decoders")
local sched = require("moongate.core.sched")
local statement = require("moongate.core.database.statement")
local Future = require("moongate.future")
local time = require("moongate.time")

local M = {}

--- The beginning of an object that reads or writes; nothing is asked yet.
function M.new(scope, level, name, sql)
  local source, line = native.where(level + 1)
  return {
    _name = name, _scope = scope, _sql = sql, _session = false, _holder = false, _task = false,
    _closed = false, _source = source, _line = line,
  }
end

--- Raises where nothing can be awaited; `what` says what is done in a coroutine.
function M.refuse_outside(level, what)
  if not sched.current then
    error(what .. " in a coroutine: in a handler, a callback or moongate.spawn(fn)", level + 1)
  end
end

--- What holds the connection is given back.
function M.let_go(stream)
  local holder = stream._holder
  stream._holder = false
  if holder then
    sched.release(stream._task, holder)
    holder:cancel("the rows were closed")
  end
end

--- The session lives as long as its Future is pending: at most until the scope is cancelled or the
--- coroutine ends that asked for the first piece.
function M.hold(stream, session)
  local holder = Future._new(stream._scope, 5)
  holder._operation, holder._scarce = session, true
  holder._consumers = 1 -- whoever reads or writes
  holder._cancel = function()
    native.cancel(session)
  end
  statement.guard(stream, holder)
  stream._session, stream._holder, stream._task = session, holder, sched.current
  sched.hold(sched.current, holder)
end

--- Awaits an operation as if it was begun where the stream was; its failure closes that.
function M.await(stream, operation)
  local future = time.operation(operation, stream._scope, 2)
  decoders.heed(future, stream._name)
  future._source, future._line = stream._source, stream._line
  local value, err = future:try_await()
  if err then
    stream:close()
    if err.code == "database" then
      err.statement = err.statement or stream._sql:sub(1, 500)
    end
    error(err, 0)
  end
  return value
end

--- Raises what a native function did not start.
function M.fail(stream, what)
  local err = statement.refusal(stream._name, what, stream._source .. ":" .. stream._line)
  if what == "closed" and stream._session then
    err.message = "it was closed with the coroutine that began it"
  end
  Future._raise(err)
end

return M
