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
---@param sql string
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
---@param sql string
---@param ... any
---@return moongate.RowStream iterator which awaits
---@typescript rows<Row = Record<string, any>>(sql: string, ...args: SqlValue[]): RowStream<Row>
function database:rows(sql, ...) end

---@class moongate.TransactionOptions
---@field readonly? boolean it only reads: the database refuses to write

--- Runs `fn(tx)` in a coroutine: committed when it returns, rolled back when it raises or is
--- cancelled. Statements beside it, inside of `fn`, are refused: they would wait for it.
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
---@param sql string
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
---@param sql string
---@param ... any
---@return moongate.Future<table?> a row, or nil
---@nodiscard
---@typescript one<Row = Record<string, any>>(sql: string, ...args: SqlValue[]): Future<Row | undefined>
function tx:one(sql, ...) end
