---@meta _

--- Redis, or a server that speaks as it does (Valkey, KeyDB). `redis` of the configuration names one
--- or several; without it `moongate.redis()` is where the cache is, if that is a Redis.
---
--- Commands of all who ask go one behind the other over a few connections that a worker's requests
--- share, so that hundreds cost one. A command that waits at the server (BLPOP, XREAD with BLOCK), a
--- watch and channels have connections of their own.
---
--- Replies: texts are strings, lists and sets arrays, maps tables (of a server before version 6, or
--- with `resp=2`, flat lists), integers beyond 2^53 LuaJIT's int64_t, big numbers their digits. A
--- null is nil, and `moongate.json.null` inside of others.
---
--- A failure has code `redis` and a `reason`: the first word of what the server says ("WRONGTYPE",
--- "NOAUTH"), or "down" (it is not asked, since it does not answer), "timeout", "closed" (the
--- connection was lost: what came of it is not known), "limit" (too much waits, or the reply is
--- larger than `max_reply`). No command is ever sent twice.
---@class moongate.Redis
local redis = {}

--- Runs one command, given as its words. What would change the connection for others (SELECT,
--- MULTI, SUBSCRIBE ...) raises, and says what to use instead.
---
--- ```lua
--- app:post("/visits", function()
---   local redis = moongate.redis()
---   return { visits = redis:command("HINCRBY", "visits", "today", 1):await() }
--- end)
--- --> with redis HINCRBY visits today 1 => 8
--- --> POST /visits => 200 {"visits":8}
--- ```
---@param verb string
---@param ... string|number its other words
---@return moongate.Future<any> the reply
function redis:command(verb, ...) end

--- Runs several commands, sent together. An error of one is its reply, a `moongate.Error`. If one of
--- them waits at the server, all go over a connection of their own, so that `{ "WAIT", 1, 100 }` tells
--- of what stands before it; in a cluster their keys lie in one slot then.
---
--- ```lua
--- app:get("/", function()
---   return moongate.redis():pipeline{ { "GET", "a" }, { "LLEN", "list" } }:await()
--- end)
--- --> with redis GET a => "1"
--- --> with redis LLEN list => 3
--- --> GET / => 200 ["1",3]
--- ```
---@param list (string|number)[][] commands, as lists of words
---@return moongate.Future<any[]> the replies
function redis:pipeline(list) end

--- Runs several commands as a transaction (MULTI, EXEC): no other one comes between them.
---
--- ```lua
--- app:post("/pay", function()
---   return moongate.redis():multi{ { "DECRBY", "ada", 5 }, { "INCRBY", "alan", 5 } }:await()
--- end)
--- --> with redis DECRBY ada 5 => 10
--- --> with redis INCRBY alan 5 => 15
--- --> POST /pay => 200 [10,15]
--- ```
---@param list (string|number)[][]
---@return moongate.Future<any[]> the replies
function redis:multi(list) end

--- Runs `fn(tx)` in a coroutine, on a connection of its own, while keys are watched. What it reads
--- with `tx:command` still holds when `tx:multi` writes, or that gives nil, and nothing was done.
---
--- ```lua
--- app:post("/stock", function()
---   local left = moongate.redis():watch("stock", function(tx)
---     local n = tonumber(tx:command("GET", "stock"):await())
---     return tx:multi{ { "SET", "stock", n - 1 } }
---   end):await()
---   return left and 204 or 409
--- end)
--- --> with redis GET stock => "5"
--- --> with redis SET stock 4 => "OK"
--- --> POST /stock => 204
--- ```
---@param keys string|string[]
---@param fn async fun(tx: moongate.RedisWatch): any
---@return moongate.Future<any> what fn returns; of a Future its value
function redis:watch(keys, fn) end

--- Runs a script at the server (EVAL), by its SHA once it is known there.
---
--- ```lua
--- local scale = "return redis.call('get', KEYS[1]) * ARGV[1]"
--- app:get("/scaled", function()
---   return tostring(moongate.redis():script(scale, { "n" }, { 2 }):await())
--- end)
--- --> with redis EVAL return redis.call('get', KEYS[1]) * ARGV[1] 1 n 2 => 42
--- --> GET /scaled => 200 42
--- ```
---@param source string Lua, for the server: `KEYS[1]`, `ARGV[1]`
---@param keys? string[] all that it touches
---@param args? (string|number)[]
---@return moongate.Future<any> what it returns
function redis:script(source, keys, args) end

---@class moongate.RedisScan
---@field match? string a pattern, as "user:*"
---@field count? integer how many are looked at at once (the server's default is 10)
---@field type? string of their values: "string" "list" "set" "zset" "hash" "stream"

--- Keys one by one, of a cluster those of all its servers, without holding the server up. A key that
--- is there from beginning to end comes at least once, in a cluster unless its slot moves meanwhile.
---
--- ```lua
--- app:get("/users", function()
---   local names = moongate.json.array()
---   for key in moongate.redis():scan{ match = "user:*", count = 500 } do
---     names[#names + 1] = key
---   end
---   return names
--- end)
--- --> with redis SCAN 0 MATCH user:* COUNT 500 => ["0",["user:1","user:2"]]
--- --> GET /users => 200 ["user:1","user:2"]
--- ```
---@param options? moongate.RedisScan
---@return async fun(): string? iterator which awaits
function redis:scan(options) end

---@class moongate.RedisChannels
---@field channels? string[] names of channels
---@field patterns? string[] as "news.*"
---@field sharded? string[] channels of a cluster's shards (Redis 7)

--- Hears what is published, until the loop's coroutine or the request ends. However many listen, a
--- worker has one connection for it. When that was lost it is opened again, and a message says that
--- something may have been missed.
---
--- ```lua
--- app:get("/news", function(ctx)
---   ctx:stream("text/plain", function(out)
---     for message in moongate.redis():subscribe("news") do
---       out:write(message.missed and "read all of it again\n" or message.payload .. "\n")
---     end
---   end)
--- end)
--- --> with redis SUBSCRIBE news => [{"channel":"news","payload":"hello"},{"missed":true}]
--- --> GET /news => 200 hello...
--- ```
---@param ... string|moongate.RedisChannels channels, or one table
---@return moongate.RedisMessages iterator which awaits
function redis:subscribe(...) end

---@class moongate.RedisStats
---@field state "idle"|"connecting"|"ready"|"down" of the service, as this worker knows it
---@field why string why it is down; ""
---@field connections integer that are open and shared
---@field leased integer connections that one holder has
---@field waiting integer commands whose replies have not come
---@field subscriptions integer channels and patterns that are listened to
---@field calls integer commands so far
---@field faults integer calls that failed without an answer of the server
---@field timeouts integer of these
---@field reconnects integer connections that were lost and opened again

--- How it stands, as far as this worker knows.
---
--- ```lua
--- app:get("/health", function()
---   local ok, stats = pcall(moongate.redis().stats, moongate.redis())
---   return { redis = ok and stats.state or "none is configured" }
--- end)
--- --> GET /health => 200 {"redis":"none is configured"}
--- ```
---@return moongate.RedisStats
function redis:stats() end

---@class moongate.RedisWatch what `redis:watch` gives to its function
local tx = {}

--- Runs a command at once, before the transaction.
---
--- ```lua
--- app:get("/n", function()
---   return tostring(moongate.redis():watch("n", function(tx)
---     return tx:command("GET", "n")
---   end):await())
--- end)
--- --> with redis GET n => "1"
--- --> GET /n => 200 1
--- ```
---@param ... string|number words
---@return moongate.Future<any>
function tx:command(...) end

--- Runs commands as a transaction, unless one of the watched keys has changed.
---
--- ```lua
--- app:post("/n", function()
---   return moongate.redis():watch("n", function(tx)
---     return tx:multi{ { "SET", "n", 1 } }
---   end):await()
--- end)
--- --> with redis SET n 1 => "OK"
--- --> POST /n => 200 ["OK"]
--- ```
---@param list (string|number)[][]
---@return moongate.Future<any[]?> the replies; nil: a key has changed, and nothing was done
function tx:multi(list) end

---@class moongate.RedisMessage
---@field channel string where it was published
---@field payload? string what was published
---@field missed? true it stands for what may have been missed: there was no connection, or the loop was too slow

---@overload async fun(): moongate.RedisMessage?
---@class moongate.RedisMessages what `redis:subscribe` gives: an iterator
local messages = {}

--- Resolved once all channels are listened to: what is published from then on is not missed.
---
--- ```lua
--- app:get("/next", function()
---   local messages = moongate.redis():subscribe("news")
---   messages:ready():await()
---   return messages().payload
--- end)
--- --> with redis SUBSCRIBE news => [{"channel":"news","payload":"hello"}]
--- --> GET /next => 200 hello
--- ```
---@return moongate.Future<nil>
function messages:ready() end

--- Hears no more: a loop over it ends.
---
--- ```lua
--- app:get("/first", function()
---   local messages = moongate.redis():subscribe("news")
---   local message = messages()
---   messages:close()
---   return message.payload
--- end)
--- --> with redis SUBSCRIBE news => [{"channel":"news","payload":"hello"}]
--- --> GET /first => 200 hello
--- ```
function messages:close() end
