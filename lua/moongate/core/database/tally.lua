--- What was written into a COPY. It outlives the writer, which may be forgotten: one that is
--- neither finished nor closed when its coroutine has ended in good order, or when nobody can reach
--- it any more, has lost all that was written, and whoever wrote it is told. A transaction fails of
--- it.
local errors = require("moongate.core.errors")
local log = require("moongate.log")
local sched = require("moongate.core.sched")
local scopes = require("moongate.core.scope")
local statement = require("moongate.core.database.statement")
local Future = require("moongate.future")

local M = {}

local CANCELLED = scopes.CANCELLED

---@class moongate.Tally
---@field _looked_at boolean it is settled: nobody needs to be told
local Tally = {}
Tally.__index = Tally

local function count(n, what)
  return n .. " " .. what .. (n == 1 and "" or "s")
end

local function text_of(tally)
  local rows, bytes = tally._rows, tally._bytes
  local parts = {}
  if rows > 0 then
    parts[1] = count(rows, "row")
  end
  if bytes > 0 then
    parts[#parts + 1] = count(bytes, "byte")
  end
  return "nothing of " .. table.concat(parts, " and ") .. " was stored: the copy was never "
    .. "finished (copy:finish() keeps it, copy:close() gives it up)"
end

local function error_of(tally)
  return errors.new("database", text_of(tally),
    { reason = "error", where = tally._where, statement = tally._sql:sub(1, 500) })
end

local function leave(tally)
  local task = tally._task
  tally._task, tally._looked_at = false, true
  if task then
    sched.release(task, tally)
  end
end

--- It was finished or closed.
function Tally:settle()
  leave(self)
end

--- Its coroutine has ended, of `err` if it failed; or nobody can reach the writer any more.
function Tally:cancel(_, err)
  local task = self._task
  local told = err or not task or task.cancelled or task.scope[CANCELLED]
  leave(self)
  if not told then
    log.failure("a COPY", error_of(self))
  end
end

--- What a transaction does with whatever was begun in it, before it is committed.
function Tally:await()
  leave(self)
  Future._raise(error_of(self))
end

--- Counts what is written. The coroutine that writes first holds it, or the transaction.
function Tally:add(writer, rows, bytes)
  self._rows, self._bytes = self._rows + rows, self._bytes + bytes
  if self._begun then
    return
  end
  self._begun = true
  if self._keep then
    self._keep(writer._tx, self)
  else
    self._task = sched.current
    sched.hold(sched.current, self)
    statement.guard(writer, self)
  end
end

---@param where string "file:line" of whoever began the copy
---@param keep? fun(tx: moongate.Transaction, tally: moongate.Tally) of a transaction
---@return moongate.Tally
function M.new(where, sql, keep)
  return setmetatable({
    _where = where, _sql = sql, _keep = keep or false, _rows = 0, _bytes = 0, _task = false,
    _begun = false, _looked_at = false,
  }, Tally)
end

return M
