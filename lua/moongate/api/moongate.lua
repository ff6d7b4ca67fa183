---@meta moongate

--- What a script gets from `require("moongate")`.
---
--- Everything that takes time returns a [Future](future.md): `:await()` waits for it and gives its
--- values. Wrong use raises at the caller's line; what the world may do rejects the Future with an
--- [error](errors.md) that has a `code`.
---@class moongate
local moongate = {}

--- A new app: routes, middleware and jobs are declared on it, and the script returns it.
---
--- ```lua
--- app:get("/", function() return "hello" end)
--- --> GET / => 200 hello
--- ```
---@return moongate.App
function moongate.app() end

--- The class [Future](future.md), for `moongate.Future.all` and its like.
---@type moongate.FutureClass
moongate.Future = nil

--- The [middleware](middleware.md) that comes with Moongate: `moongate.middleware.cors{ ... }`.
---@type moongate.middleware
moongate.middleware = nil

--- Resolved, with "reload" or "stop", when the scripts that ask are to go: work in the background ends
--- well then. A reload and a stop wait for it within `timeouts.drain`.
---
--- ```lua
--- app:on_start(function()
---   moongate.spawn(function()
---     repeat
---       local why = moongate.Future.race({ moongate.retiring, moongate.sleep(60) }):await()
---     until why
---   end)
--- end)
--- app:get("/", function() return moongate.retiring:state() end)
--- --> GET / => 200 pending
--- ```
---@type moongate.Future
moongate.retiring = nil

--- The [log](log.md): `moongate.log.info("started", { port = 8080 })`.
---@type moongate.Log
moongate.log = nil

--- [JSON](json.md), strictly as RFC 8259 has it.
---@type moongate.json
moongate.json = nil

--- [Templates](template.md) with escaping.
---@type moongate.template
moongate.template = nil

--- [Signatures](crypto.md): RS256, PS256, ES256, EdDSA.
---@type moongate.crypto
moongate.crypto = nil

--- [Hashes of passwords](password.md).
---@type moongate.password
moongate.password = nil

--- [Files](files.md) for work without a request.
---@type moongate.files
moongate.files = nil

--- [WebSockets](websocket_client.md) to other servers.
---@type moongate.websocket
moongate.websocket = nil

--- [Raw streams](tcp.md) to servers of other protocols.
---@type moongate.tcp
moongate.tcp = nil

--- [HTTP calls](http.md) to other servers for work without a request.
---@type moongate.http
moongate.http = nil

--- The shared [cache](cache.md), for work without a request; with a request see
--- `ctx:query_cache` and its like.
---
--- ```lua
--- app:on_start(function()
---   moongate.cache():set("greeting", "hello", { ttl = 60 }):await()
--- end)
--- app:get("/", function(ctx) return ctx:query_cache("greeting"):await() end)
--- --> GET / => 200 hello
--- ```
---@return moongate.Cache
function moongate.cache() end

---@class moongate.RedisOptions
---@field timeout? number seconds of each command, instead of the URL's

--- The [Redis](redis.md) of that name; without a name the default one, which is where the cache is,
--- unless the key `redis` of the configuration says another.
---
--- ```lua
--- app:get("/", function()
---   return moongate.redis():command("GET", "motd"):await() or "none"
--- end)
--- --> with redis GET motd => "be kind"
--- --> GET / => 200 be kind
--- ```
---@param name? string
---@param options? moongate.RedisOptions
---@return moongate.Redis
---@nodiscard
function moongate.redis(name, options) end

--- [Topics](topics.md): who subscribes is told what is published, in every worker.
---@type moongate.topics
moongate.topics = nil

--- Sends a message to whoever subscribes to `topic`: [moongate.topics.publish](topics.md).
---
--- ```lua
--- app:post("/news", function(ctx)
---   moongate.publish("news", { text = ctx:body():await() })
---   return 202, "told"
--- end)
--- --> POST /news "hello" => 202 told
--- ```
---@param topic string of 1 to 255 bytes, without control characters
---@param value string|number|table a table becomes JSON
---@param options? moongate.PublishOptions
function moongate.publish(topic, value, options) end

--- The [upstream](upstream.md) of that name: its servers, and others than those of the configuration.
--- A name that the configuration does not have raises.
---
--- ```lua
--- app:get("/users/*path", function(ctx)
---   if moongate.upstream("users"):status().circuit == "open" then return 503, "come later" end
---   return ctx:proxy("users")
--- end)
--- --> with upstream users => 200 Ada
--- --> GET /users/7 => 200 Ada
--- ```
---@param name string
---@return moongate.Upstream
---@nodiscard
function moongate.upstream(name) end

--- A [database](database.md) of the configuration, for work without a request.
---
--- ```lua
--- app:on_start(function()
---   moongate.database():query("INSERT INTO users (name) VALUES ($1)", "Grace"):await()
--- end)
--- app:get("/count", function(ctx)
---   return tostring(ctx:query_database("SELECT count(*) AS n FROM users"):await()[1].n)
--- end)
--- --> GET /count => 200 3
--- ```
---@param name? string one of those that `database` of the configuration names; without it the default one
---@return moongate.Database
function moongate.database(name) end

--- Bytes as a parameter of a statement: a string alone is text.
---
--- ```lua
--- app:get("/bytes", function(ctx)
---   local row = ctx:query_database("SELECT typeof($1) AS kind", moongate.blob("\0\1")):await()[1]
---   return row.kind
--- end)
--- --> GET /bytes => 200 blob
--- ```
---@param bytes string
---@return userdata blob for a parameter
function moongate.blob(bytes) end

--- A Future that resolves, with nothing, after `seconds`. It belongs to the app: no client that
--- leaves ends it. In a handler `ctx:sleep` is what is mostly wanted.
---
--- ```lua
--- app:get("/", function() moongate.sleep(0.1):await() return "rested" end)
--- --> GET / => 200 rested
--- ```
---@param seconds number at least 0
---@return moongate.Future<any>
---@nodiscard
function moongate.sleep(seconds) end

--- Runs `fn(...)` in a coroutine of its own that outlives the request: background work of the app.
--- It ends by itself, by a reload after `timeouts.drain`, or by a stop. A failure that nobody
--- awaits is logged.
---
--- ```lua
--- local done = 0
--- app:post("/work", function()
---   moongate.spawn(function(n) done = done + n end, 2)
---   return 202, "begun"
--- end)
--- app:get("/work", function() return tostring(done) end)
--- --> POST /work => 202 begun
--- --> GET /work => 200 2
--- ```
---@param fn async fun(...): any
---@param ... any its arguments
---@return moongate.Future<any> what it returns
---@typescript spawn<A extends any[], R>(this: void, fn: (this: void, ...args: A) => R | Future<R>, ...args: A): Future<R>
function moongate.spawn(fn, ...) end

--- Calls `fn()` in a coroutine of the app after `seconds`. Cancel the Future to prevent it.
---
--- ```lua
--- app:get("/", function() return moongate.after(0.05, function() return "later" end):await() end)
--- --> GET / => 200 later
--- ```
---@param seconds number at least 0
---@param fn async fun(): any
---@return moongate.Future<any> what it returns
---@typescript after<R>(this: void, seconds: number, fn: (this: void) => R | Future<R>): Future<R>
function moongate.after(seconds, fn) end

--- A Future to be settled by hand with `future:resolve(...)` or `future:reject(err)`. It belongs to
--- whoever settles it: no scope ends it.
---
--- ```lua
--- local waiting
--- app:get("/wait", function() waiting = moongate.future(); return waiting:timeout(5):await() end)
--- app:on_start(function()
---   moongate.spawn(function()
---     while not waiting do moongate.sleep(0.01):await() end
---     waiting:resolve("here you are")
---   end)
--- end)
--- --> GET /wait => 200 here you are
--- ```
---@return moongate.Future<any>
---@nodiscard
---@typescript future<T = any>(this: void): Future<T>
function moongate.future() end

--- Seconds since 1970 with a fraction. In specs the clock is virtual.
---
--- ```lua
--- app:get("/", function() return { year = os.date("!%Y", moongate.now()) >= "2024" } end)
--- --> GET / => 200 {"year":true}
--- ```
---@return number
function moongate.now() end

--- Seconds of a clock that never jumps, for durations. In specs it is virtual.
---
--- ```lua
--- app:get("/", function(ctx)
---   local start = moongate.monotonic()
---   ctx:sleep(0.2):await()
---   return ("%.1f"):format(moongate.monotonic() - start)
--- end)
--- --> GET / => 200 0.2
--- ```
---@return number
function moongate.monotonic() end

--- Moongate's version, "1.2.3".
---@type string
moongate.version = nil

--- What a script may know of the process that runs it.
---
--- ```lua
--- app:get("/", function() return { generation = moongate.info().generation } end)
--- --> GET / => 200 {"generation":1}
--- ```
---@return moongate.Info
function moongate.info() end

---@class moongate.Info
---@field version string of Moongate
---@field generation integer counts the reloads of the scripts, from 1
---@field worker integer from 1; 0: the server is one process
---@field pid integer of the worker

--- Base64 (RFC 4648).
---
--- ```lua
--- app:get("/", function() return moongate.base64_encode("moon") end)
--- --> GET / => 200 bW9vbg==
--- ```
---@param bytes string
---@param variant? "standard"|"url" with "url": the alphabet with - and _, and no padding
---@return string
function moongate.base64_encode(bytes, variant) end

--- The bytes of a Base64 text. Padding may be absent, but nothing else is forgiven.
---
--- ```lua
--- app:get("/", function() return moongate.base64_decode("bW9vbg") end)
--- --> GET / => 200 moon
--- ```
---@param text string
---@param variant? "standard"|"url"
---@return string? bytes nil if it is malformed
---@return string? message then
function moongate.base64_decode(text, variant) end

--- Bytes as hexadecimal digits in lower case.
---
--- ```lua
--- app:get("/", function() return moongate.hex_encode("AZ") end)
--- --> GET / => 200 415a
--- ```
---@param bytes string
---@return string
function moongate.hex_encode(bytes) end

--- The bytes of hexadecimal digits, in either case.
---
--- ```lua
--- app:get("/", function() return moongate.hex_decode("415A") end)
--- --> GET / => 200 AZ
--- ```
---@param text string
---@return string? bytes nil if it is malformed
---@return string? message then
function moongate.hex_decode(text) end

--- The text of a number or 64-bit integer, exact: what fields, URLs, queries, bodies and keys get.
--- (`"id " .. 1700000000123456` is Lua's own text, of 14 digits.) Raises for nan and infinities.
---
--- ```lua
--- app:get("/", function() return moongate.number_text(1700000000123456) end)
--- --> GET / => 200 1700000000123456
--- ```
---@param n number|integer
---@return string
function moongate.number_text(n) end

--- Whether a text is UTF-8: what a client sends need not be.
---
--- ```lua
--- app:get("/", function(ctx)
---   if not moongate.is_utf8(ctx.query.q) then ctx:fail(400, "q is not UTF-8") end
---   return ctx.query.q
--- end)
--- --> GET /?q=moon => 200 moon
--- --> GET /?q=%ff => 400 ...
--- ```
---@param text string
---@return boolean
function moongate.is_utf8(text) end

--- One component of a URL: all but letters, digits and `-._~` is written as %XX.
---
--- ```lua
--- app:get("/", function() return moongate.url_encode("a b/ü") end)
--- --> GET / => 200 a%20b%2F%C3%BC
--- ```
---@param text string
---@return string
function moongate.url_encode(text) end

--- Undoes `url_encode`. A plus sign stays one: it means a space in forms only.
---
--- ```lua
--- app:get("/", function() return moongate.url_decode("a%20b+c") end)
--- --> GET / => 200 a b+c
--- ```
---@param text string
---@return string? text nil if it is malformed
---@return string? message then
function moongate.url_decode(text) end

--- A query: "a=1&b=x%20y" with sorted keys. A list repeats its key; an empty one is left out.
---
--- ```lua
--- app:get("/", function() return moongate.query_encode({ b = "x y", a = { 1, 2 } }) end)
--- --> GET / => 200 a=1&a=2&b=x%20y
--- ```
---@param fields table<string, string|number|boolean|(string|number|boolean)[]>
---@return string
function moongate.query_encode(fields) end

--- The SHA-256 digest: 32 raw bytes.
---
--- ```lua
--- app:get("/", function() return moongate.hex_encode(moongate.sha256("moon")):sub(1, 8) end)
--- --> GET / => 200 9e78b43e
--- ```
---@param bytes string
---@return string
function moongate.sha256(bytes) end

--- HMAC with SHA-256 (RFC 2104): 32 raw bytes. Compare it with `constant_time_equal`.
---
--- ```lua
--- app:post("/hook", function(ctx)
---   local mac = moongate.hex_encode(moongate.hmac_sha256("secret", ctx:body():await()))
---   if not moongate.constant_time_equal(mac, ctx.headers["x-signature"] or "") then
---     ctx:fail(401, "the signature is wrong")
---   end
---   return 204
--- end)
--- --> POST /hook hello => 401 ...
--- --> POST /hook (X-Signature: 88aab3ede8d3adf94d26ab90d3bafd4a2083070c3bcce9c014ee04a443847c0b) hello => 204
--- ```
---@param key string
---@param bytes string
---@return string
function moongate.hmac_sha256(key, bytes) end

--- The SHA-1 digest: 20 raw bytes, for old protocols. No protection against forgery.
---
--- ```lua
--- app:get("/", function() return moongate.hex_encode(moongate.sha1("moon")):sub(1, 8) end)
--- --> GET / => 200 46dcd4dd
--- ```
---@param bytes string
---@return string
function moongate.sha1(bytes) end

--- The MD5 digest: 16 raw bytes, for old protocols. No protection against forgery.
---
--- ```lua
--- app:get("/", function() return moongate.hex_encode(moongate.md5("moon")):sub(1, 8) end)
--- --> GET / => 200 6d4db5ff
--- ```
---@param bytes string
---@return string
function moongate.md5(bytes) end

--- Bytes of the kernel's randomness, fit for keys.
---
--- ```lua
--- app:get("/", function() return tostring(#moongate.random_bytes(16)) end)
--- --> GET / => 200 16
--- ```
---@param count integer 1 to 65536
---@return string
function moongate.random_bytes(count) end

--- A random UUID (version 4, RFC 9562).
---
--- ```lua
--- app:get("/", function() return moongate.uuid():sub(15, 15) end)
--- --> GET / => 200 4
--- ```
---@return string
function moongate.uuid() end

--- A UUID that begins with the real time (version 7): later ones of a worker sort behind earlier
--- ones.
---
--- ```lua
--- app:get("/", function() return tostring(moongate.uuid7() < moongate.uuid7()) end)
--- --> GET / => 200 true
--- ```
---@return string
function moongate.uuid7() end

--- Compares secrets in a time that tells nothing but whether their lengths differ.
---
--- ```lua
--- app:get("/", function(ctx)
---   return tostring(moongate.constant_time_equal(ctx.query.key or "", "open sesame"))
--- end)
--- --> GET /?key=open+sesame => 200 true
--- ```
---@param a string
---@param b string
---@return boolean
function moongate.constant_time_equal(a, b) end

return moongate
