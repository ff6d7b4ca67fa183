--- COPY: the data of many rows as bytes, out of a table and into it. Each holds a connection from
--- its first piece to its last one; one in a transaction has that one's, and is left before its end
--- only by rolling that back.
local native = require("moongate.native")
local holder = require("moongate.core.database.holder")
local statement = require("moongate.core.database.statement")
local suggest = require("moongate.core.suggest")
local tally = require("moongate.core.database.tally")
local text = require("moongate.core.text")
local Future = require("moongate.future")
local sched = require("moongate.core.sched")
local time = require("moongate.time")

local M = {}

local PIECE = 65536 -- bytes that are gathered before they are sent
local BLOB = debug.getmetatable(native.database_blob(""))
local null = native.json.null

local function begin(scope, level, name, sql, tx)
  statement.check_sql(level + 1, sql)
  local copy = holder.new(scope, level + 1, name, sql)
  copy._tx = tx or false
  return copy
end

local function start(copy, takes)
  local tx = copy._tx
  if tx then
    return native.session_copy(tx._session, takes, copy._sql), tx._session or "closed"
  end
  return native.database_open_copy(copy._name, sched.is_holding(), takes, copy._sql)
end

-- The operation that opens it.
local function open(copy, takes)
  statement.sweep()
  local operation, session = start(copy, takes)
  if not operation then
    holder.fail(copy, session)
  elseif copy._tx then
    copy._session = session
  else
    holder.hold(copy, session)
  end
  return operation
end

-- --- out ---

---@class moongate.CopyReader
local Reader = {}
Reader.__index = Reader

--- No more pieces: what is left stays at the server.
function Reader:close()
  self._closed = true
  holder.let_go(self)
end

local function next_operation(reader)
  if not reader._session then
    return open(reader, false)
  end
  local operation, what = native.session_fetch(reader._session, 1)
  if not operation then
    holder.fail(reader, what)
  end
  return operation
end

local function stubbed_pieces(reader)
  local stubbed = not reader._pieces and statement.stub
    and statement.stub(reader._scope, 3, reader._sql, false)
  if stubbed then
    reader._pieces = stubbed:await()
  end
  return reader._pieces
end

function Reader:__call()
  if self._closed then
    return nil
  elseif stubbed_pieces(self) then
    return table.remove(self._pieces, 1)
  end
  holder.refuse_outside(2, "a copy is read")
  local piece = holder.await(self, next_operation(self))
  if not piece.more then
    self:close()
  end
  return piece[1] and piece[1].data
end

---@param tx moongate.Transaction? in which it goes
---@return moongate.CopyReader
function M.out(scope, level, name, sql, tx)
  local reader = begin(scope, level + 1, name, sql, tx)
  reader._pieces = false
  return setmetatable(reader, Reader)
end

-- --- in ---

---@class moongate.CopyWriter
local Writer = {}
Writer.__index = Writer

--- Gives it up: nothing of it is kept, unless it was finished.
function Writer:close()
  self._closed = true
  self._tally:settle()
  self._list, self._bytes = {}, 0
  holder.let_go(self)
end

-- Sends what was gathered; suspends while the server is slow.
local function send(writer, last)
  if not writer._session then
    holder.await(writer, open(writer, true))
  end
  local bytes = table.concat(writer._list)
  writer._list, writer._bytes = {}, 0
  local operation, what = native.session_write(writer._session, bytes, last)
  if not operation then
    holder.fail(writer, what)
  end
  return holder.await(writer, operation)
end

local function check_writer(writer, name)
  if type(writer) ~= "table" or getmetatable(writer) ~= Writer then
    error("call it with a colon: copy:" .. name .. "(...)", 3)
  elseif writer._closed or writer._finished then
    Future._raise(statement.refusal(writer._name, "copied", writer._source .. ":"
      .. writer._line))
  end
  holder.refuse_outside(3, "a copy is written")
end

local function gather(writer, rows, bytes)
  writer._tally:add(writer, rows, rows == 0 and #bytes or 0)
  writer._list[#writer._list + 1] = bytes
  writer._bytes = writer._bytes + #bytes
  if writer._bytes >= PIECE and not statement.stub then
    send(writer, false)
  end
  return writer
end

--- Bytes as the statement's format says. They are gathered; suspends while the server is slow.
---@param data string|number
---@return moongate.CopyWriter
function Writer:write(data)
  check_writer(self, "write")
  local bytes, wrong = text.of(data)
  if not bytes then
    error("copy:write: " .. wrong, 2)
  end
  return gather(self, 0, bytes)
end

local ESCAPES = { ["\\"] = "\\\\", ["\t"] = "\\t", ["\n"] = "\\n", ["\r"] = "\\r" }

-- In COPY's text format; nil, what is wrong.
local function field(value)
  if value == nil or value == null then
    return "\\N"
  elseif type(value) == "string" then
    return (value:gsub("[\\\t\n\r]", ESCAPES))
  elseif type(value) == "boolean" then
    return value and "t" or "f"
  elseif debug.getmetatable(value) == BLOB then
    return "\\\\x" .. native.tools.hex_encode(value[1])
  end
  return text.of(value)
end

--- A row of values, for COPY in its text format (which it has unless the statement names another).
---@param ... any nil, a boolean, a number, a string or moongate.blob
---@return moongate.CopyWriter
function Writer:row(...)
  check_writer(self, "row")
  local fields = {}
  for i = 1, select("#", ...) do
    local written, wrong = field((select(i, ...)))
    if not written then
      error("copy:row: value " .. i .. ": " .. wrong, 2)
    end
    fields[i] = written
  end
  return gather(self, 1, table.concat(fields, "\t") .. "\n")
end

local function finish(writer)
  local stubbed = statement.stub
    and statement.stub(writer._scope, 3, writer._sql, false, table.concat(writer._list))
  local rows = stubbed and stubbed:await() or send(writer, true)
  writer:close()
  return rows.affected or 0
end

-- What the connection is held for goes on though whoever wrote may end meanwhile.
local function hand_over(writer, task)
  if writer._holder then
    sched.release(writer._task, writer._holder)
    sched.hold(task, writer._holder)
    writer._task = task
  end
end

--- All was written: keeps it.
---@return moongate.Future of how many rows there were
function Writer:finish()
  check_writer(self, "finish")
  self._finished = true
  self._tally:settle()
  local future = Future._named("finish", time.spawn_in(self._scope, 2, finish, self))
  if future._task then -- else the scope is over
    hand_over(self, future._task)
  end
  if self._tx then
    self._keep(self._tx, future)
  end
  return future
end

suggest.close(Writer, "a copy")

---@param tx moongate.Transaction? in which it goes
---@param keep fun(tx: moongate.Transaction, future: moongate.Future)? has it await its end
---@return moongate.CopyWriter
function M.into(scope, level, name, sql, tx, keep)
  local writer = begin(scope, level + 1, name, sql, tx)
  writer._list, writer._bytes, writer._keep, writer._finished = {}, 0, keep, false
  writer._tally = tally.new(writer._source .. ":" .. writer._line, sql, keep)
  return setmetatable(writer, Writer)
end

return M
