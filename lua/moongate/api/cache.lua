---@meta _

--- The cache in shared memory: all workers see it, and reloads keep it. Keys are texts of 1 to 1,000
--- bytes, or numbers. When it is full, what was not used for longest goes first. In a request see
--- `ctx:query_cache`, `ctx:update_cache`, `ctx:delete_cache`, `ctx:increment_cache`, `ctx:cached`.
---
--- Failures have code `cache`, or `limit` if a value is too large.
---@class moongate.Cache
local cache = {}

--- The value of a key, or nil.
---
--- ```lua
--- app:get("/", function() return moongate.cache():get("motd"):await() or "none" end)
--- --> GET / => 200 none
--- ```
---@param key string|number of at most 1 KiB
---@return moongate.Future<any> the value, or nil
---@nodiscard
---@typescript get<V = any>(key: string | number): Future<V | undefined>
function cache:get(key) end

--- Stores a value.
---
--- ```lua
--- app:get("/", function()
---   moongate.cache():set("user", { name = "Ada" }, { ttl = 60 }):await()
---   return moongate.cache():get("user"):await().name
--- end)
--- --> GET / => 200 Ada
--- ```
---@param key string|number of at most 1 KiB
---@param value any a string, or whatever JSON can say
---@param options? moongate.CacheOptions
---@return moongate.Future<true>
function cache:set(key, value, options) end

--- Forgets a key.
---
--- ```lua
--- app:get("/", function() return { there = moongate.cache():delete("user"):await() } end)
--- --> GET / => 200 {"there":false}
--- ```
---@param key string|number of at most 1 KiB
---@return moongate.Future<boolean> whether it was there
function cache:delete(key) end

--- Adds to a counter in one step.
---
--- ```lua
--- app:get("/", function() return tostring(moongate.cache():increment("n", 2, { initial = 40 }):await()) end)
--- --> GET / => 200 42
--- ```
---@param key string|number of at most 1 KiB
---@param by? integer 1 unless told
---@param options? moongate.IncrementOptions
---@return moongate.Future<integer> the sum
function cache:increment(key, by, options) end

--- The value of a key, made by `fn()` if there is none; see `ctx:cached`.
---
--- ```lua
--- app:get("/", function()
---   return moongate.cache():cached("answer", 60, function() return "42" end):await()
--- end)
--- --> GET / => 200 42
--- ```
---@param key string|number of at most 1 KiB
---@param ttl number? seconds
---@param fn async fun(): any
---@return moongate.Future<any> the value
---@nodiscard
---@typescript cached<V>(key: string | number, ttl: number | undefined, fn: (this: void) => V | Future<V>): Future<V>
function cache:cached(key, ttl, fn) end

--- Figures of the whole cache: `entries`, `bytes`, `capacity`, `hits`, `misses`, `sets`, `evicted`,
--- `expired`, `busy` (calls that found a shard locked), `emptied` (shards, since a worker died in
--- them). Of one in Redis with `near`: `near_hits` among the hits, `near_keys` and `near_flushes` of
--- this worker.
---
--- ```lua
--- app:get("/", function() return tostring(moongate.cache():stats().entries) end)
--- --> GET / => 200 0
--- ```
---@return table<string, integer>
function cache:stats() end

--- Forgets everything, for all workers.
---
--- ```lua
--- app:post("/clear", function() moongate.cache():clear():await() return 204 end)
--- --> POST /clear => 204
--- ```
---@return moongate.Future<true>
function cache:clear() end
