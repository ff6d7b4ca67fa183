---@meta _

--- What a handler awaits: each call begins at once, belongs to the request, and is cancelled with it.
--- The guide [Awaiting](guide-awaiting.md) is the tour. For work without a request see
--- `moongate.sleep`, `moongate.http`, `moongate.database`, `moongate.cache`, `moongate.files`.
---@class moongate.Context
local ctx = {}

--- A Future that resolves, with nothing, after `seconds`.
---
--- ```lua
--- app:get("/", { timeout = 1 }, function(ctx) ctx:sleep(0.5):await() return "in time" end)
--- --> GET / => 200 in time
--- ```
---@param seconds number at least 0
---@return moongate.Future<any>
---@nodiscard
function ctx:sleep(seconds) end

--- Runs `fn(...)` in a coroutine of its own, as a child of the request: it is cancelled with it. An
--- error of it that nobody awaits is logged.
---
--- ```lua
--- app:get("/", function(ctx)
---   local a = ctx:spawn(function() ctx:sleep(0.3):await() return 1 end)
---   local b = ctx:spawn(function() ctx:sleep(0.3):await() return 2 end)
---   return tostring(a:await() + b:await())
--- end)
--- --> GET / => 200 3
--- ```
---@param fn async fun(...): any
---@param ... any its arguments
---@return moongate.Future<any> what it returns
---@nodiscard
---@typescript spawn<A extends any[], R>(fn: (this: void, ...args: A) => R | Future<R>, ...args: A): Future<R>
function ctx:spawn(fn, ...) end

--- `fn(err)` runs once when the request is over; `err` tells why if it was cancelled.
---
--- ```lua
--- app:get("/", function(ctx)
---   ctx:on_close(function(err) moongate.log.info("over", { why = tostring(err) }) end)
---   return "hello"
--- end)
--- --> GET / => 200 hello
--- ```
---@param fn async fun(err: moongate.Error?)
function ctx:on_close(fn) end

--- Sends a request to another server; see [HTTP calls](http.md) for the options. A status of 400
--- and more is no error.
---
--- ```lua
--- app:get("/users/:id", function(ctx)
---   local res = ctx:http_request("http://users.internal/" .. ctx.params.id):await()
---   return res.status, res.body
--- end)
--- --> with GET http://users.internal/7 => 200 Ada
--- --> GET /users/7 => 200 Ada
--- ```
---@param options string|moongate.HttpOptions the URL, or options
---@return moongate.Future<moongate.Response>
---@nodiscard
function ctx:http_request(options) end

--- Runs a statement in the default database; see [Databases](database.md).
---
--- ```lua
--- app:get("/users/:id<int>", function(ctx)
---   local rows = ctx:query_database("SELECT name FROM users WHERE id = $1", ctx.params.id):await()
---   return rows[1] or ctx:fail(404, "nobody of that number")
--- end)
--- --> GET /users/1 => 200 {"name":"Ada"}
--- --> GET /users/99 => 404 ...
--- ```
---@param sql string `$1`, `$2` ... stand for the parameters
---@param ... any the parameters: string, number, boolean, nil, blob
---@return moongate.Future<moongate.Rows>
---@nodiscard
---@typescript query_database<Row = Record<string, any>>(sql: string, ...args: SqlValue[]): Future<Rows<Row>>
function ctx:query_database(sql, ...) end

--- A database whose work ends with the request.
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
---@param name? string as of `moongate.database`
---@return moongate.Database
function ctx:database(name) end

--- A transaction of the default database: committed when `fn` returns, rolled back when it raises
--- or is cancelled.
---
--- ```lua
--- app:post("/users", function(ctx)
---   local name = ctx:body():await()
---   local id = ctx:transaction(function(tx)
---     return tx:query("INSERT INTO users (name) VALUES ($1)", name):await().last_id
---   end):await()
---   return 201, { id = id }
--- end)
--- --> POST /users Grace => 201 {"id":3}
--- ```
---@param fn async fun(tx: moongate.Transaction): any
---@param options? moongate.TransactionOptions
---@return moongate.Future<any> what fn returns
---@nodiscard
---@typescript transaction<R>(fn: (this: void, tx: Transaction) => R, options?: TransactionOptions): Future<R>
function ctx:transaction(fn, options) end

--- The value of a key of the shared [cache](cache.md), or nil.
---
--- ```lua
--- app:get("/", function(ctx) return ctx:query_cache("motd"):await() or "no news" end)
--- --> GET / => 200 no news
--- ```
---@param key string|number of at most 1 KiB
---@return moongate.Future<any> the value, or nil
---@nodiscard
---@typescript query_cache<V = any>(key: string | number): Future<V | undefined>
function ctx:query_cache(key) end

---@class moongate.CacheOptions
---@field ttl? number seconds; without it until it is evicted

--- Stores a value in the shared cache, of at most 1 MiB (of a small cache less).
---
--- ```lua
--- app:put("/motd", function(ctx)
---   ctx:update_cache("motd", ctx:body():await(), { ttl = 60 }):await()
---   return 204
--- end)
--- app:get("/motd", function(ctx) return ctx:query_cache("motd"):await() end)
--- --> PUT /motd hello => 204
--- --> GET /motd => 200 hello
--- ```
---@param key string|number of at most 1 KiB
---@param value any a string, or whatever JSON can say
---@param options? moongate.CacheOptions
---@return moongate.Future<true>
function ctx:update_cache(key, value, options) end

--- Forgets a key.
---
--- ```lua
--- app:delete("/motd", function(ctx) return { there = ctx:delete_cache("motd"):await() } end)
--- --> DELETE /motd => 200 {"there":false}
--- ```
---@param key string|number of at most 1 KiB
---@return moongate.Future<boolean> whether it was there
function ctx:delete_cache(key) end

---@class moongate.IncrementOptions
---@field initial? integer what a new counter begins at, 0 unless told
---@field ttl? number seconds that a new counter lives

--- Adds `by` to a counter in one step, over all workers. Also as `ctx:increment`.
---
--- ```lua
--- app:get("/", function(ctx) return tostring(ctx:increment_cache("visits"):await()) end)
--- --> GET / => 200 1
--- --> GET / => 200 2
--- ```
---@param key string|number of at most 1 KiB
---@param by? integer 1 unless told
---@param options? moongate.IncrementOptions
---@return moongate.Future<integer> the sum
function ctx:increment_cache(key, by, options) end

--- `ctx:increment_cache` by its shorter name.
---
--- ```lua
--- app:get("/", function(ctx) return tostring(ctx:increment("visits", 5):await()) end)
--- --> GET / => 200 5
--- ```
---@param key string|number of at most 1 KiB
---@param by? integer 1 unless told
---@param options? moongate.IncrementOptions
---@return moongate.Future<integer> the sum
function ctx:increment(key, by, options) end

--- The value of a key; if there is none, what `fn()` gives, which is stored for `ttl` seconds. It
--- is made once for all who ask meanwhile, in all workers: they wait. What cannot be stored is given
--- to all who wait, and a warning says so.
---
--- ```lua
--- app:get("/", function(ctx)
---   return ctx:cached("users", 60, function()
---     return ctx:query_database("SELECT count(*) AS users FROM users"):await()[1]
---   end):await()
--- end)
--- --> GET / => 200 {"users":2}
--- ```
---@param key string|number of at most 1 KiB
---@param ttl number? seconds; nil: until it is evicted
---@param fn async fun(): any a value, or a Future of one; nil is not stored
---@return moongate.Future<any> the value
---@nodiscard
---@typescript cached<V>(key: string | number, ttl: number | undefined, fn: (this: void) => V | Future<V>): Future<V>
function ctx:cached(key, ttl, fn) end

---@class moongate.ReadOptions
---@field max? integer|string|false the largest content, "16M" unless told, false: any; more is code `limit`

--- A whole file's content; see [Files](files.md). Paths are against the project's folder.
---
--- ```lua
--- app:get("/", function(ctx) return ctx:read_file("public/hello.txt"):await() end)
--- --> GET / => 200 hello from a file
--- ```
---@param path string against the project's folder
---@param options? moongate.ReadOptions
---@return moongate.Future<string>
---@nodiscard
function ctx:read_file(path, options) end

---@class moongate.ChunksOptions
---@field piece? integer|string bytes of each, "64K" unless told, "256K" at most

--- A file piece by piece.
---
--- ```lua
--- app:get("/", function(ctx)
---   local n = 0
---   for piece in ctx:file_chunks("public/hello.txt") do n = n + #piece end
---   return tostring(n)
--- end)
--- --> GET / => 200 17
--- ```
---@param path string against the project's folder
---@param options? moongate.ChunksOptions
---@return moongate.FileChunks iterator which awaits
function ctx:file_chunks(path, options) end

---@class moongate.WriteOptions
---@field mode? string of a new file, "0644" unless told
---@field append? boolean adds to the end, and may leave a part behind if it fails
---@field make_folders? boolean makes the folders that are missing above it
---@field sync? boolean waits for the disk; true unless told
---@field max? integer|string|false the largest data, "64M" unless told, false: any

--- Replaces a file's content: readers see the old content or the new, whatever happens, and after
--- success it is on the disk.
---
--- ```lua
--- app:put("/note", function(ctx)
---   ctx:write_file("var/note.txt", ctx:body():await(), { make_folders = true }):await()
---   return 204
--- end)
--- --> PUT /note remember => 204
--- ```
---@param path string against the project's folder
---@param data string
---@param options? moongate.WriteOptions
---@return moongate.Future<true>
function ctx:write_file(path, data, options) end

---@class moongate.StatOptions
---@field follow? boolean links are followed; true unless told

--- What is at a path: `{ kind, size, modified, mode }`: "file", "folder", "link" or "other"; bytes;
--- seconds since 1970; octal digits as "0644".
---
--- ```lua
--- app:get("/", function(ctx) return tostring(ctx:stat_file("public/hello.txt"):await().size) end)
--- --> GET / => 200 17
--- ```
---@param path string against the project's folder
---@param options? moongate.StatOptions
---@return moongate.Future<table>
---@nodiscard
function ctx:stat_file(path, options) end

---@class moongate.ListOptions
---@field max? integer|false most entries, 10,000 unless told, false: 100,000, the most there are; more is code `limit`

--- What is in a folder, sorted by name: a list of `{ name, kind, size }`.
---
--- ```lua
--- app:get("/", function(ctx) return ctx:list_folder("public"):await()[1].name end)
--- --> GET / => 200 hello.txt
--- ```
---@param path string against the project's folder
---@param options? moongate.ListOptions
---@return moongate.Future<table[]>
---@nodiscard
function ctx:list_folder(path, options) end

--- Makes a folder and those that are missing above it. One that is there already is fine.
---
--- ```lua
--- app:post("/", function(ctx) ctx:make_folder("var/a/b"):await() return 204 end)
--- --> POST / => 204
--- ```
---@param path string against the project's folder
---@return moongate.Future<true>
function ctx:make_folder(path) end

--- Renames a file or folder within its file system; a file of the new name is replaced.
---
--- ```lua
--- app:post("/", function(ctx)
---   ctx:write_file("var/old", "1", { make_folders = true }):await()
---   ctx:rename_file("var/old", "var/new"):await()
---   return ctx:read_file("var/new"):await()
--- end)
--- --> POST / => 200 1
--- ```
---@param from string against the project's folder
---@param to string likewise
---@return moongate.Future<true>
function ctx:rename_file(from, to) end

--- Deletes a file or a link, no folder.
---
--- ```lua
--- app:delete("/", function(ctx)
---   local ok, err = ctx:delete_file("var/none"):try_await()
---   return err.reason
--- end)
--- --> DELETE / => 200 ENOENT
--- ```
---@param path string against the project's folder
---@return moongate.Future<true>
function ctx:delete_file(path) end

--- Deletes an empty folder.
---
--- ```lua
--- app:delete("/", function(ctx)
---   ctx:make_folder("var/empty"):await()
---   ctx:delete_folder("var/empty"):await()
---   return 204
--- end)
--- --> DELETE / => 204
--- ```
---@param path string against the project's folder
---@return moongate.Future<true>
function ctx:delete_folder(path) end
