---@meta _

--- Databases: SQLite and PostgreSQL, by the same calls. `database` of the configuration names them.
---
--- A result is a list of rows, tables by column name. SQL's NULL is `moongate.json.null`, so that
--- each column is there; it counts as true, so compare: `if row.name ~= moongate.json.null`. Integers beyond 2^53 are LuaJIT's int64_t, exact; texts and bytes are
--- strings. Parameters are `$1`, `$2` ... in the statement, never parts of its text: nil and null are
--- NULL, a string is text, bytes go in as `moongate.blob(bytes)`.
---
--- A failure has code `database`, the `statement`, the library's own number `native`, and a
--- `reason`: "constraint", "syntax", "readonly", "busy" (locked by another process for too long),
--- "limit" (the result or the queue is too large), "error". PostgreSQL tells more: `sqlstate`,
--- `detail`, `hint`, `position`, `schema`, `table`, `column`. With reason "constraint" both kinds of
--- databases tell `constraint`, which is "unique", "foreign_key", "check" or "not_null", and as far as
--- they know `table`, `columns` (a list) and `constraint_name`.
---
--- The examples have a table `users (id INTEGER PRIMARY KEY, name TEXT UNIQUE)` with Ada and Alan.
---@class moongate.Database
local database = {}

---@class moongate.Rows: table[] what a statement gave
---@typescript Rows<Row = Record<string, any>> extends Array<Row>
---@field affected integer rows changed by an INSERT, UPDATE or DELETE
---@field last_id integer? of the last row inserted (SQLite)

--- Runs a statement.
---
--- ```lua
--- app:put("/users/:id<int>", function(ctx)
---   local rows = ctx:database():query("UPDATE users SET name = $1 WHERE id = $2",
---     ctx:body():await(), ctx.params.id):await()
---   return { changed = rows.affected }
--- end)
--- --> PUT /users/1 Augusta => 200 {"changed":1}
--- ```
---@param sql string `$1`, `$2` ... stand for the parameters
---@param ... any the parameters
---@return moongate.Future<moongate.Rows>
---@nodiscard
---@typescript query<Row = Record<string, any>>(sql: string, ...args: SqlValue[]): Future<Rows<Row>>
function database:query(sql, ...) end

--- The first row of a statement, or nil.
---
--- ```lua
--- app:get("/", function(ctx)
---   return ctx:database():one("SELECT name FROM users WHERE name LIKE $1", "Al%"):await()
--- end)
--- --> GET / => 200 {"name":"Alan"}
--- ```
---@param sql string `$1`, `$2` ... stand for the parameters
---@param ... any
---@return moongate.Future<table?> a row, or nil
---@nodiscard
---@typescript one<Row = Record<string, any>>(sql: string, ...args: SqlValue[]): Future<Row | undefined>
function database:one(sql, ...) end

---@overload async fun(): table?
---@typescript RowStream<Row = Record<string, any>> extends LuaIterable<Row>
---@class moongate.RowStream what `db:rows` gives: an iterator
local rows = {}

--- Ends it and gives its connection back at once.
---
--- ```lua
--- app:get("/", function(ctx)
---   local rows = ctx:database():rows("SELECT name FROM users ORDER BY id")
---   local first = rows()
---   rows:close()
---   return first
--- end)
--- --> GET / => 200 {"name":"Ada"}
--- ```
function rows:close() end

--- Row by row, for results of any size. It holds a connection until the last rows have come, if
--- they are more than 100; a loop that is left early holds it until its coroutine ends, or until
--- `rows:close()`.
---
--- ```lua
--- app:get("/", function(ctx)
---   local names = {}
---   for row in ctx:database():rows("SELECT name FROM users ORDER BY id") do
---     names[#names + 1] = row.name
---   end
---   return names
--- end)
--- --> GET / => 200 ["Ada","Alan"]
--- ```
---@param sql string `$1`, `$2` ... stand for the parameters
---@param ... any
---@return moongate.RowStream iterator which awaits
---@typescript rows<Row = Record<string, any>>(sql: string, ...args: SqlValue[]): RowStream<Row>
function database:rows(sql, ...) end

--- Values of a type become what `fn` makes of their text, which is as PostgreSQL writes it. It holds
--- for all statements of the app in that database, and is best said where the app is declared. NULL
--- stays null. SQLite has no such types, and nothing happens there.
---
--- ```lua
--- moongate.database():decoder("numeric", tonumber)
--- moongate.database():decoder("text[]", function(text) return text end)
---
--- app:get("/", function(ctx)
---   return ctx:database():one("SELECT 1.5 AS price"):await()
--- end)
--- --> GET / => 200 {"price":1.5}
--- ```
---@param kind string|integer a type of PostgreSQL's own ("numeric", "timestamptz", "int4[]"), or the number of another one: `SELECT 'mood'::regtype::oid::int8`
---@param fn? fun(text: string): any awaits nothing; nil: as it was
function database:decoder(kind, fn) end

---@class moongate.CopyReader what `db:copy_out` gives: an iterator
---@overload async fun(): string?
local reader = {}

--- Ends it and gives its connection back; what is left stays at the server.
---
--- ```lua
--- app:get("/peek", function(ctx)
---   local reader = ctx:database():copy_out("COPY users TO STDOUT")
---   local first = reader()
---   reader:close()
---   return first
--- end)
--- --> with statement COPY users TO STDOUT => ["1\tAda\n", "2\tAlan\n"]
--- --> GET /peek => 200 1...
--- ```
function reader:close() end

--- What `COPY ... TO STDOUT` gives, as bytes in pieces: some 64 KiB each, and whole lines in the
--- formats that have lines. The client's pace is the server's. It holds a connection as db:rows
--- does. PostgreSQL.
---
--- ```lua
--- app:get("/users.csv", function(ctx)
---   ctx:stream("text/csv", function(out)
---     for bytes in ctx:database():copy_out("COPY users TO STDOUT (FORMAT csv, HEADER)") do
---       out:write(bytes)
---     end
---   end)
--- end)
--- --> with statement COPY users TO STDOUT (FORMAT csv, HEADER) => ["id,name\n", "1,Ada\n"]
--- --> GET /users.csv => 200 id,name...
--- ```
---@param sql string `$1`, `$2` ... stand for the parameters
---@return moongate.CopyReader iterator which awaits
function database:copy_out(sql) end

---@class moongate.CopyWriter what `db:copy_in` gives
local writer = {}

--- Bytes as the statement's format says. They are gathered; suspends while the server is slow.
---
--- ```lua
--- app:post("/users.csv", function(ctx)
---   local copy = ctx:database():copy_in("COPY users FROM STDIN (FORMAT csv)")
---   for bytes in ctx:chunks() do
---     copy:write(bytes)
---   end
---   return { users = copy:finish():await() }
--- end)
--- --> with statement COPY users FROM STDIN (FORMAT csv) => []
--- --> POST /users.csv 3,Grace => 200 {"users":0}
--- ```
---@async
---@param data string|number
---@return moongate.CopyWriter
function writer:write(data) end

--- A row of values in COPY's text format, which a statement has that names no other.
---
--- ```lua
--- app:post("/users", function(ctx)
---   local copy = ctx:database():copy_in("COPY users (id, name) FROM STDIN")
---   for i, name in ipairs(ctx:body_json():await()) do
---     copy:row(i, name)
---   end
---   return { users = copy:finish():await() }
--- end)
--- --> with statement COPY users (id, name) FROM STDIN => []
--- --> POST /users ["Ada","Alan"] => 200 {"users":0}
--- ```
---@async
---@param ... any nil and null are NULL; booleans, numbers, strings, moongate.blob
---@return moongate.CopyWriter
function writer:row(...) end

--- All was written: it is kept. Without this nothing is, whatever ends the coroutine: one that ends
--- in good order is told so in the log, and a transaction fails instead of being committed.
---
--- ```lua
--- app:post("/", function(ctx)
---   local copy = ctx:database():copy_in("COPY users (name) FROM STDIN")
---   copy:write("Grace\n")
---   return tostring(copy:finish():await())
--- end)
--- --> with statement COPY users (name) FROM STDIN => []
--- --> POST / => 200 0
--- ```
---@return moongate.Future<integer> how many rows there were
---@nodiscard
function writer:finish() end

--- Gives it up: nothing is kept.
---
--- ```lua
--- app:post("/", function(ctx)
---   local copy = ctx:database():copy_in("COPY users (name) FROM STDIN")
---   copy:write("Grace\n")
---   copy:close()
---   return 204
--- end)
--- --> POST / => 204
--- ```
function writer:close() end

--- What `COPY ... FROM STDIN` takes, as one statement: all of it or nothing. PostgreSQL.
---
--- ```lua
--- app:post("/readings", function(ctx)
---   local copy = ctx:database():copy_in("COPY readings (at, celsius) FROM STDIN")
---   for _, reading in ipairs(ctx:body_json():await()) do
---     copy:row(reading.at, reading.celsius)
---   end
---   return { kept = copy:finish():await() }
--- end)
--- --> with statement COPY readings (at, celsius) FROM STDIN => []
--- --> POST /readings [{"at":"2024-02-29 12:00","celsius":7.5}] => 200 {"kept":0}
--- ```
---@param sql string `$1`, `$2` ... stand for the parameters
---@return moongate.CopyWriter
function database:copy_in(sql) end

---@class moongate.Note what was told on a channel
---@field channel string on which it was told
---@field payload? string what was told, "" if nothing
---@field pid? integer of whoever told, at the server
---@field missed? true it stands for what may have been missed: there was no connection, or the loop was too slow

---@class moongate.Notes what `db:listen` gives: an iterator
---@overload async fun(): moongate.Note?
local notes = {}

--- Resolved once it listens: what is told from then on is not missed. Who reads a table and then
--- follows its changes awaits this first.
---
--- ```lua
--- app:get("/users/next", function(ctx)
---   local notes = ctx:database():listen("users")
---   notes:ready():await()
---   local before = ctx:query_database("SELECT name FROM users"):await()
---   return { before = before, came = notes().payload }
--- end)
--- --> with statement LISTEN users => [{"payload":"Grace"}]
--- --> GET /users/next => 200 {"before":[{"name":"Ada"},{"name":"Alan"}],"came":"Grace"}
--- ```
---@return moongate.Future
function notes:ready() end

--- Hears no more: a loop over it ends.
---
--- ```lua
--- app:get("/next", function(ctx)
---   local notes = ctx:database():listen("users")
---   local note = notes()
---   notes:close()
---   return note.payload
--- end)
--- --> with statement LISTEN users => [{"payload":"Grace"}]
--- --> GET /next => 200 Grace
--- ```
function notes:close() end

--- Hears what is told on a channel, until the loop's coroutine or the request ends. However many
--- listen, a worker has one connection for it, beside the pool. When that was lost it is opened
--- again, and a note says that something may have been missed. PostgreSQL.
---
--- ```lua
--- app:get("/changes", function(ctx)
---   ctx:stream("text/plain", function(out)
---     for note in ctx:database():listen("users") do
---       out:write(note.missed and "read all of them again\n" or note.payload .. "\n")
---     end
---   end)
--- end)
--- --> with statement LISTEN users => [{"payload":"Grace"},{"missed":true}]
--- --> GET /changes => 200 Grace...
--- ```
---@param channel string exactly this name: SQL's own NOTIFY makes unquoted names lower case
---@return moongate.Notes iterator which awaits
function database:listen(channel) end

--- Tells all who listen on a channel, in all workers and machines. PostgreSQL.
---
--- ```lua
--- app:post("/users/:id/changed", function(ctx)
---   ctx:database():notify("users", ctx.params.id):await()
---   return 204
--- end)
--- --> with statement SELECT pg_notify($1, $2) => []
--- --> POST /users/1/changed => 204
--- ```
---@param channel string
---@param payload? string up to 7999 bytes
---@return moongate.Future<moongate.Rows>
function database:notify(channel, payload) end

---@class moongate.TransactionOptions
---@field read_only? boolean it only reads: the database refuses to write
---@field readonly? boolean the older name of read_only
---@field isolation? "read_committed"|"repeatable_read"|"serializable" as the server's settings say unless it is given; SQLite's are always serializable
---@field deferrable? boolean PostgreSQL, serializable and read_only: it waits until it cannot fail
---@field retry? integer how often `fn` is run again in a new transaction when it lost a race against another one (SQLSTATE 40001 and 40P01): up to 20, 0 unless it is given

--- Runs `fn(tx)` in a coroutine: committed when it returns, rolled back when it raises or is
--- cancelled. Statements beside it, inside of `fn`, are refused: they would wait for it. With
--- `retry` nothing of `fn` but its statements is undone when it is run again.
---
--- ```lua
--- app:post("/", function(ctx)
---   local _, err = ctx:database():transaction(function(tx)
---     tx:query("DELETE FROM users"):await()
---     error("second thoughts")
---   end):try_await()
---   return tostring(ctx:query_database("SELECT count(*) AS n FROM users"):await()[1].n)
--- end)
--- --> POST / => 200 2
--- ```
---@param fn async fun(tx: moongate.Transaction): any
---@param options? moongate.TransactionOptions
---@return moongate.Future<any> what fn returns
---@nodiscard
---@typescript transaction<R>(fn: (this: void, tx: Transaction) => R, options?: TransactionOptions): Future<R>
function database:transaction(fn, options) end

---@class moongate.Transaction what the function of a transaction gets
local tx = {}

--- Runs a statement in the transaction.
---
--- ```lua
--- app:post("/", function(ctx)
---   return { id = ctx:transaction(function(tx)
---     return tx:query("INSERT INTO users (name) VALUES ($1)", "Grace"):await().last_id
---   end):await() }
--- end)
--- --> POST / => 200 {"id":3}
--- ```
---@param sql string `$1`, `$2` ... stand for the parameters
---@param ... any
---@return moongate.Future<moongate.Rows>
---@nodiscard
---@typescript query<Row = Record<string, any>>(sql: string, ...args: SqlValue[]): Future<Rows<Row>>
function tx:query(sql, ...) end

--- The first row of a statement in the transaction, or nil.
---
--- ```lua
--- app:post("/", function(ctx)
---   return ctx:transaction(function(tx)
---     return tx:one("SELECT name FROM users WHERE id = $1", 2):await()
---   end):await()
--- end)
--- --> POST / => 200 {"name":"Alan"}
--- ```
---@param sql string `$1`, `$2` ... stand for the parameters
---@param ... any
---@return moongate.Future<table?> a row, or nil
---@nodiscard
---@typescript one<Row = Record<string, any>>(sql: string, ...args: SqlValue[]): Future<Row | undefined>
function tx:one(sql, ...) end

--- Runs `fn(part)` in a coroutine as a part of the transaction: a savepoint. It is undone alone when
--- it raises, and the transaction goes on; of a part that nobody awaited the transaction fails. One
--- at a time; parts nest. A statement that was cancelled spoils the whole transaction.
---
--- ```lua
--- app:post("/", function(ctx)
---   return ctx:transaction(function(tx)
---     tx:query("DELETE FROM users WHERE id = 1"):await()
---     local _, err = tx:transaction(function(part)
---       part:query("DELETE FROM users"):await()
---       error("not all of them")
---     end):try_await()
---     return tx:one("SELECT name FROM users"):await()
---   end):await()
--- end)
--- --> POST / => 200 {"name":"Alan"}
--- ```
---@param fn async fun(part: moongate.Transaction): any
---@return moongate.Future<any> what fn returns
---@nodiscard
---@typescript transaction<R>(fn: (this: void, part: Transaction) => R): Future<R>
function tx:transaction(fn) end

--- `COPY ... TO STDOUT` in the transaction, as `db:copy_out`. Until its end there is no other
--- statement; who leaves it before can only have the transaction rolled back. PostgreSQL.
---
--- ```lua
--- app:get("/users.csv", function(ctx)
---   return ctx:transaction(function(tx)
---     local pieces = {}
---     for bytes in tx:copy_out("COPY users TO STDOUT (FORMAT csv)") do
---       pieces[#pieces + 1] = bytes
---     end
---     return table.concat(pieces)
---   end, { read_only = true, isolation = "repeatable_read" }):await()
--- end)
--- --> with statement COPY users TO STDOUT (FORMAT csv) => ["1,Ada\n", "2,Alan\n"]
--- --> GET /users.csv => 200 1,Ada...
--- ```
---@param sql string `$1`, `$2` ... stand for the parameters
---@return moongate.CopyReader iterator which awaits
function tx:copy_out(sql) end

--- `COPY ... FROM STDIN` in the transaction, as `db:copy_in`: what was finished is kept when the
--- transaction is. Between its first piece and its end there is no other statement. PostgreSQL.
---
--- ```lua
--- app:put("/readings", function(ctx)
---   local readings = ctx:body_json():await()
---   return ctx:transaction(function(tx)
---     tx:query("DELETE FROM users"):await()
---     local copy = tx:copy_in("COPY readings (at, celsius) FROM STDIN")
---     for _, reading in ipairs(readings) do
---       copy:row(reading.at, reading.celsius)
---     end
---     return { kept = copy:finish():await() }
---   end):await()
--- end)
--- --> with statement COPY readings (at, celsius) FROM STDIN => []
--- --> PUT /readings [{"at":"2024-02-29 12:00","celsius":7.5}] => 200 {"kept":0}
--- ```
---@param sql string `$1`, `$2` ... stand for the parameters
---@return moongate.CopyWriter
function tx:copy_in(sql) end

--- Tells all who listen on a channel (`db:listen`), once the transaction is committed. PostgreSQL.
---
--- ```lua
--- app:post("/tasks", function(ctx)
---   ctx:transaction(function(tx)
---     tx:query("INSERT INTO users (name) VALUES ('Grace')"):await()
---     tx:notify("users", "Grace"):await()
---   end):await()
---   return 201
--- end)
--- --> with statement SELECT pg_notify($1, $2) => []
--- --> POST /tasks => 201
--- ```
---@param channel string exactly this name; SQL's own NOTIFY makes unquoted names lower case
---@param payload? string up to 7999 bytes
---@return moongate.Future<moongate.Rows>
function tx:notify(channel, payload) end
