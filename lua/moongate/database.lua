--- Databases: ctx:query_database and ctx:database; moongate.database for work without a request.
---
--- Rows are an array of tables by column name. SQL's NULL is moongate.json.null, so that each
--- column is there; integers beyond 2^53 are LuaJIT's int64_t; texts and bytes are strings; columns
--- declared BOOLEAN are booleans.
--- Parameters are `$1`, `$2` ... in the statement, never parts of its text: nil and null are NULL,
--- a string is text, bytes go in as moongate.blob(bytes).
---
--- A failure has code "database", the `statement`, the library's own number `native`, and a
--- `reason`: "constraint", "syntax", "readonly", "busy" (locked by another process for too long),
--- "limit" (the result or the queue is too large), "error". PostgreSQL tells more: `sqlstate`,
--- `detail`, `hint`, `position`, `schema`, `table`, `column`. Of a constraint both tell
--- `constraint`: "unique", "foreign_key", "check" or "not_null", and as far as they know `table`,
--- `columns` (a list) and `constraint_name`.
local native = require("moongate.native")
local check = require("moongate.core.check")
local copy = require("moongate.core.database.copy")
local decoders = require("moongate.core.database.decoders")
local listening = require("moongate.core.database.listening")
local notify = require("moongate.core.database.notify")
local statement = require("moongate.core.database.statement")
local transaction = require("moongate.core.database.transaction")
local row_stream = require("moongate.core.database.row_stream")
local suggest = require("moongate.core.suggest")
local Future = require("moongate.future")

local M = {}

local DEFAULT = "default"

---@class moongate.Rows: table[] what a statement gave
---@field affected integer rows changed by an INSERT, UPDATE or DELETE
---@field last_id integer? of the last row inserted

local function query(scope, level, name, first, sql, ...)
  statement.check_sql(level + 1, sql)
  transaction.refuse_inside(level + 1, name)
  statement.sweep()
  local stubbed = statement.stub and statement.stub(scope, level + 1, sql, first, ...)
  if stubbed then
    return stubbed
  end
  local future = statement.started(scope, level + 1, name, sql,
    native.database_query(name, first, sql, ...))
  transaction.note_beside(future, name, sql)
  return future
end

---@class moongate.Database
local Database = {}
Database.__index = Database

local function scope_of(self, level)
  if type(self) ~= "table" or getmetatable(self) ~= Database then
    error("call it with a colon: db:query(...)", level + 1)
  end
  return self._scope or Future._app_scope()
end

--- Runs a statement.
---@param sql string `$1`, `$2` ... stand for the parameters
---@return moongate.Future of moongate.Rows
function Database:query(sql, ...)
  return (Future._named("query", query(scope_of(self, 2), 2, self._name, false, sql, ...)))
end

--- The first row of a statement, or nil.
---@return moongate.Future
function Database:one(sql, ...)
  return (Future._named("one", query(scope_of(self, 2), 2, self._name, true, sql, ...)))
end

--- Row by row, for results of any size: for row in db:rows("SELECT ...") do ... end. It holds a
--- connection until the last rows have come, if they are more than 100. A loop that is left early
--- holds it until its coroutine ends; rows:close() gives it back at once.
--- Loops may nest, and statements go on inside of them: one that reads never waits for loops or
--- transactions; an inner loop or transaction gets a connection of its own, or is refused at once
--- (reason "limit") when there are no more.
--- The rows of a statement that writes, and those of a database in memory, come as a whole.
---@return moongate.RowStream
function Database:rows(sql, ...)
  return (row_stream.open(scope_of(self, 2), 2, self._name, sql, ...))
end

--- What COPY ... TO STDOUT gives, piece by piece: for bytes in db:copy_out("COPY t TO STDOUT") do.
--- A piece has some 64 KiB, and whole lines in the formats that have lines. It holds a connection
--- as db:rows does. PostgreSQL.
---@return moongate.CopyReader
function Database:copy_out(sql)
  local scope = scope_of(self, 2)
  transaction.refuse_inside(2, self._name)
  return (copy.out(scope, 2, self._name, sql))
end

--- What COPY ... FROM STDIN takes: copy:write(bytes), copy:row(...), then copy:finish(). Nothing of
--- it is kept without that. PostgreSQL.
---@return moongate.CopyWriter
function Database:copy_in(sql)
  local scope = scope_of(self, 2)
  transaction.refuse_inside(2, self._name)
  return (copy.into(scope, 2, self._name, sql))
end

--- Values of that type are what `fn` makes of their text, which is as PostgreSQL writes it:
--- db:decoder("numeric", tonumber). It holds for all of the app; SQLite has no such types.
---@param kind string|integer a type of PostgreSQL's own, or the number of another one
---@param fn fun(text: string): any awaits nothing; nil: as before
function Database:decoder(kind, fn)
  scope_of(self, 2)
  decoders.set(2, self._name, kind, fn)
end

--- Hears what is told on a channel: for note in db:listen("jobs") do. A note has `payload`, `pid`
--- (of whoever told, at the server) and `channel`; `missed` is true in one that stands for what may
--- have been missed while there was no connection. All that listen share one. PostgreSQL.
---@param channel string exactly this name
---@return moongate.Notes
function Database:listen(channel)
  return (listening.open(scope_of(self, 2), 2, self._name, channel))
end

--- Tells all who listen on a channel. PostgreSQL.
---@param channel string
---@param payload string? at most 7999 bytes
---@return moongate.Future
function Database:notify(channel, payload)
  notify.check(2, channel, payload)
  if not statement.stub then
    listening.refuse_notify(2, self._name)
  end
  return (Future._named("notify",
    query(scope_of(self, 2), 2, self._name, false, notify.SQL, channel, payload or "")))
end

--- Runs `fn(tx)` in a coroutine; tx:query and tx:one are its statements. It is committed when fn
--- returns, and rolled back when it raises or is cancelled.
---@param fn fun(tx: moongate.Transaction): any
---@param options moongate.TransactionOptions?
---@return moongate.Future of what fn returns
function Database:transaction(fn, options)
  return (Future._named("transaction",
    transaction.begin(scope_of(self, 2), 2, self._name, fn, options)))
end

suggest.close(Database, "a database")

local function open_database(scope, level, name)
  if name ~= nil and type(name) ~= "string" then
    error("database: a name is wanted, not " .. check.describe(name), level + 1)
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
    error("blob: a string is wanted, not " .. check.describe(bytes), 2)
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
  return (transaction.begin(scope, level + 1, DEFAULT, fn, options))
end

return M
