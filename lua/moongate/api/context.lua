---@meta _

--- One request and its answer: what handlers and middleware get.
---
--- A request is a scope: what `ctx:...` begins is cancelled when the client leaves, the deadline
--- passes or the handler fails. An unknown field raises; what belongs to the request lives in
--- `ctx.state`.
---@class moongate.Context
local ctx = {}

--- The method, as "GET".
---
--- ```lua
--- app:any("/", function(ctx) return ctx.method end)
--- --> PUT / => 200 PUT
--- ```
---@type string
ctx.method = nil

--- The path as it came, percent codes and all. Parameters in `ctx.params` are decoded.
---
--- ```lua
--- app:get("/*rest", function(ctx) return ctx.path .. " " .. ctx.params.rest end)
--- --> GET /a%20b => 200 /a%20b a b
--- ```
---@type string
ctx.path = nil

--- Path and query as they came.
---
--- ```lua
--- app:get("/search", function(ctx) return ctx.target end)
--- --> GET /search?q=a+b => 200 /search?q=a+b
--- ```
---@type string
ctx.target = nil

--- The version of HTTP, as "1.1".
---
--- ```lua
--- app:get("/", function(ctx) return ctx.version end)
--- --> GET / => 200 1.1
--- ```
---@type string
ctx.version = nil

--- The parameters of the route's pattern: texts, decoded. Those of kind `int` and `uint` are
--- integers, beyond 2^53 exact ones of 64 bits; what does not fit is not for that route.
---
--- ```lua
--- app:get("/users/:id/*rest", function(ctx) return ctx.params.id .. " " .. ctx.params.rest end)
--- app:get("/sum/:a<int>/:b<int>", function(ctx) return { sum = ctx.params.a + ctx.params.b } end)
--- app:get("/exact/:id<uint>", function(ctx) return { id = ctx.params.id } end)
--- --> GET /users/7/a/b => 200 7 a/b
--- --> GET /sum/-40/2 => 200 {"sum":-38}
--- --> GET /sum/1.5/2 => 404 ...
--- --> GET /exact/18446744073709551615 => 200 {"id":18446744073709551615}
--- --> GET /exact/18446744073709551616 => 404 ...
--- ```
---@type table<string, any>
ctx.params = nil

--- The query: keys to values, decoded; of a repeated key the last. See `ctx:query_all`.
---
--- ```lua
--- app:get("/", function(ctx) return ctx.query.q or "nothing asked" end)
--- --> GET /?q=a+b%21 => 200 a b!
--- --> GET / => 200 nothing asked
--- ```
---@type table<string, string>
ctx.query = nil

--- All values of a repeated key of the query, in order.
---
--- ```lua
--- app:get("/", function(ctx) return ctx:query_all("id") end)
--- --> GET /?id=1&id=2 => 200 ["1","2"]
--- --> GET / => 200 []
--- ```
---@param key string
---@return string[]
function ctx:query_all(key) end

--- The request's fields, looked up without regard to case. Repeated ones are joined with ", ".
---
--- ```lua
--- app:get("/", function(ctx) return ctx.headers["x-colour"] end)
--- --> GET / (X-Colour: grey) => 200 grey
--- ```
---@type table<string, string>
ctx.headers = nil

--- The request's cookies.
---
--- ```lua
--- app:get("/", function(ctx) return ctx.cookies.cart or "empty" end)
--- --> GET / (Cookie: a=1; cart=full) => 200 full
--- ```
---@type table<string, string>
ctx.cookies = nil

--- Fields that came behind a chunked body; empty before its end has come.
---
--- ```lua
--- app:post("/", function(ctx) ctx:body():await() return ctx.trailers end)
--- --> POST / hello => 200 {}
--- ```
---@type table<string, string>
ctx.trailers = nil

--- Content-Length in bytes; nil if the request does not say.
---
--- ```lua
--- app:post("/", function(ctx) return tostring(ctx.length) end)
--- --> POST / hello => 200 5
--- ```
---@type integer?
ctx.length = nil

--- Who asks: the address of the peer, or what a trusted proxy tells of it (`trusted_proxies`).
---
--- ```lua
--- app:get("/", function(ctx) return type(ctx.client_ip) end)
--- --> GET / => 200 string
--- ```
---@type string
ctx.client_ip = nil

--- "http" or "https", also as a trusted proxy tells it.
---
--- ```lua
--- app:get("/", function(ctx) return ctx.scheme end)
--- --> GET / => 200 http
--- ```
---@type string
ctx.scheme = nil

---@class moongate.TlsClient
---@field subject string of its verified certificate, as "CN=ada,O=Moon" (RFC 4514)
---@field names string[] DNS names, addresses, mail addresses and URIs
---@field fingerprint string SHA-256 of the certificate in hexadecimal digits
---@field not_after number seconds since 1970

---@class moongate.Tls
---@field version string "TLSv1.3"
---@field cipher string "TLS_AES_128_GCM_SHA256"
---@field server_name? string that the client asked for (SNI)
---@field alpn? string "http/1.1" or "h2"
---@field resumed boolean a session was resumed
---@field client? moongate.TlsClient if the endpoint asks for certificates and the client has shown one

--- What is known of the connection's TLS; nil where it speaks none.
---
--- ```lua
--- app:get("/", function(ctx) return ctx.tls and ctx.tls.version or "plain" end)
--- --> GET / => 200 plain
--- ```
---@type moongate.Tls?
ctx.tls = nil

--- The host that is asked for, with its port if there is one.
---
--- ```lua
--- app:get("/", function(ctx) return ctx.host end)
--- --> GET / (Host: moon.example:8080) => 200 moon.example:8080
--- ```
---@type string
ctx.host = nil

--- The request's id: 64 random bits in hexadecimal digits, in all its log lines.
---
--- ```lua
--- app:get("/", function(ctx) return tostring(#ctx.request_id) end)
--- --> GET / => 200 16
--- ```
---@type string
ctx.request_id = nil

--- Replaces the request's id: for middleware that believes an incoming one.
---
--- ```lua
--- app:get("/", function(ctx) ctx:set_request_id("abc-1") return ctx.request_id end)
--- --> GET / => 200 abc-1
--- ```
---@param id string 1 to 128 letters, digits or `-_.:/+=`
function ctx:set_request_id(id) end

--- A table for what belongs to the request: middleware leaves there what handlers need.
---
--- ```lua
--- app:use(function(ctx, next) ctx.state.user = "Ada" return next() end)
--- app:get("/", function(ctx) return ctx.state.user end)
--- --> GET / => 200 Ada
--- ```
---@type table
ctx.state = nil

--- The route that matched: `name`, `pattern`, and `where` it is declared.
---
--- ```lua
--- app:get("/users/:id", "user", function(ctx) return ctx.route.name .. " " .. ctx.route.pattern end)
--- --> GET /users/7 => 200 user /users/:id
--- ```
---@type { name: string?, pattern: string?, where: string? }
ctx.route = nil

--- Resolved, with "reload" or "stop", when these scripts are to go: a long stream ends well then. It is
--- one for all requests; `moongate.retiring` is the same without a request.
---
--- ```lua
--- app:get("/events", function(ctx)
---   ctx:stream("text/event-stream", function(out)
---     repeat
---       out:write("data: tick\n\n")
---       local why = moongate.Future.race({ ctx.retiring, ctx:sleep(1) }):await()
---     until why or ctx.query.once
---   end)
--- end)
--- --> GET /events?once=1 => 200 data: tick...
--- ```
---@type moongate.Future
ctx.retiring = nil

--- The answer as it is staged, for middleware behind `next()`. It is read here alone: what changes
--- it are `ctx:status`, `ctx:header` and another answer.
---
--- ```lua
--- app:use(function(ctx, next)
---   next()
---   ctx:header("X-Length", #ctx.answer.body)
--- end)
--- app:get("/", function() return { a = 1 } end)
--- --> GET / => 200 (X-Length: 7) {"a":1}
--- ```
---@type moongate.Answer
ctx.answer = nil

---@class moongate.Answer the answer as it is staged: `ctx.answer`
---@field status? integer nil as long as there is none
---@field headers table<string, string> by names in any case; lines of one name are joined. What the wire adds (Date, Content-Length) is not among them
---@field body? string the text that is going to be sent, of a table its JSON; nil of streams and files

--- A log whose lines carry the request's id; see [Log](log.md).
---
--- ```lua
--- app:get("/", function(ctx) ctx.log.info("seen", { who = ctx.client_ip }) return 204 end)
--- --> GET / => 204
--- ```
---@type moongate.Log
ctx.log = nil

---@class moongate.Connection the connection that the request came by: `ctx.connection`
---@field id integer counts the connections of the worker
---@field peer string the address at its other end, and its port
---@field requests integer so far, this one included
---@field bytes_in integer that have come over it so far
---@field bytes_out integer that have left over it so far
---@field opened_at number seconds since 1970

--- The connection that the request came by: `id`, `peer`, `requests`, `bytes_in`, `bytes_out`,
--- `opened_at`, and `ctx.connection:close()`, after which the answer under way is its last.
---
--- ```lua
--- app:get("/", function(ctx) ctx.connection:close() return tostring(ctx.connection.requests) end)
--- --> GET / => 200 (Connection: close) 1
--- ```
---@type moongate.Connection
ctx.connection = nil

--- The whole body. Rejected with the status that the request deserves if it is too large (413), too
--- slow (408) or malformed (400). May be asked for more than once.
---
--- ```lua
--- app:post("/shout", function(ctx) return ctx:body():await():upper() end)
--- --> POST /shout hello => 200 HELLO
--- ```
---@return moongate.Future<string>
---@nodiscard
function ctx:body() end

--- The body piece by piece, as it comes; while nobody takes a piece the client has to wait. Without
--- it or `ctx:body` an unread body is read away behind the answer, up to `limits.discard`.
---
--- ```lua
--- app:post("/count", function(ctx)
---   local n = 0
---   for piece in ctx:chunks() do n = n + #piece end
---   return tostring(n)
--- end)
--- --> POST /count hello => 200 5
--- ```
---@return async fun(): string? iterator which awaits
function ctx:chunks() end

---@class moongate.PartSaveOptions
---@field max? integer|string|false the largest file, any unless told; more is 413
---@field mode? string "0644", of a new file
---@field make_folders? boolean makes those that are missing above it

--- A part of a form that is being read, by `ctx:parts`. It is over when the next one begins.
---@class moongate.Part
---@field name string of the form's field
---@field filename string? of a file: without folders, and still nothing to be trusted as a path
---@field content_type string "text/plain" unless the client says
---@field transfer_encoding string? what it claims to be coded in; its content is as it came
local part = {}

--- The content piece by piece, as it comes.
---
--- ```lua spec
--- local test = require("moongate.test")
---
--- it("counts its bytes", function()
---   local app = test.app(function(app)
---     app:post("/", function(ctx)
---       for part in ctx:parts() do
---         local n = 0
---         for piece in part:chunks() do n = n + #piece end
---         return part.filename .. " has " .. n
---       end
---     end)
---   end)
---   local body = '--b\r\nContent-Disposition: form-data; name="f"; filename="a.txt"\r\n\r\nhello\r\n--b--\r\n'
---   local res = app:post("/", { headers = { ["Content-Type"] = "multipart/form-data; boundary=b" }, body = body })
---   assert.equal("a.txt has 5", res.body)
---   app:close()
--- end)
--- ```
---@return fun(): string? iterator which awaits
function part:chunks() end

--- The whole content; awaits it.
---
--- ```lua spec
--- local test = require("moongate.test")
---
--- it("reads a small one", function()
---   local app = test.app(function(app)
---     app:post("/", function(ctx)
---       for part in ctx:parts() do
---         return part:text("1K"):upper()
---       end
---     end)
---   end)
---   local body = '--b\r\nContent-Disposition: form-data; name="f"; filename="a.txt"\r\n\r\nhello\r\n--b--\r\n'
---   local res = app:post("/", { headers = { ["Content-Type"] = "multipart/form-data; boundary=b" }, body = body })
---   assert.equal("HELLO", res.body)
---   app:close()
--- end)
--- ```
---@param max? integer|string|false "1M" unless told; more is 413
---@return string
function part:text(max) end

--- Writes the content to a file, which is there whole or not at all, and gives its size; awaits it.
---
--- ```lua spec
--- local test = require("moongate.test")
---
--- it("writes it to a file", function()
---   local app = test.app(function(app)
---     app:post("/", function(ctx)
---       for part in ctx:parts() do
---         return tostring(part:save("uploads/one", { max = "10M", make_folders = true }))
---       end
---     end)
---   end, { files = os.tmpname() .. ".d" })
---   local body = '--b\r\nContent-Disposition: form-data; name="f"; filename="a.txt"\r\n\r\nhello\r\n--b--\r\n'
---   local res = app:post("/", { headers = { ["Content-Type"] = "multipart/form-data; boundary=b" }, body = body })
---   assert.equal("5", res.body)
---   app:close()
--- end)
--- ```
---@param path string against the project's folder
---@param options? moongate.PartSaveOptions
---@return integer bytes
function part:save(path, options) end

--- The parts of a multipart form one by one, as they come: only a piece of the body is kept at once,
--- and the client waits while nobody reads. What is not read of a part is left out. The body may be
--- as large as `limits.body` or the route's `body` allow. 415 if it is no multipart form, 400 if it is
--- malformed, 413 if it has more parts than `limits.form_parts`, or a part's head more than 8 KiB.
---
--- ```lua
--- app:post("/upload", { body = "1G" }, function(ctx)
---   local seen = {}
---   for part in ctx:parts() do
---     local bytes = 0
---     for piece in part:chunks() do bytes = bytes + #piece end
---     seen[#seen + 1] = part.name .. " " .. bytes
---   end
---   return seen
--- end)
--- --> POST /upload (Content-Type: multipart/form-data; boundary=b) x => 400 ...
--- --> POST /upload (Content-Type: text/plain) x => 415 ...
--- ```
---@return fun(): moongate.Part? iterator which awaits
function ctx:parts() end

--- The body as JSON, of at most 100 levels; 400 if it is none, 413 if it holds more values than
--- `limits.json_values`.
---
--- ```lua
--- app:post("/", function(ctx) return ctx:body_json():await().name end)
--- --> POST / {"name":"Ada"} => 200 Ada
--- --> POST / {"name" => 400 ...
--- ```
---@return moongate.Future<any> the value
---@nodiscard
---@typescript body_json<V = any>(): Future<V>
function ctx:body_json() end

--- The body as a form, urlencoded or multipart: names to values, of a repeated name the last. A
--- file is `{ name, filename, content_type, body }`. 415 if it is no form, 400 if it is malformed,
--- 413 if it has more parts than `limits.form_parts` or fields than `limits.form_fields`.
---
--- ```lua
--- app:post("/", function(ctx) return ctx:body_form():await().colour end)
--- --> POST / (Content-Type: application/x-www-form-urlencoded) colour=light+grey => 200 light grey
--- ```
---@return moongate.Future<table>
---@nodiscard
function ctx:body_form() end

--- The parts of a form in order, repeated names included: a list of `{ name, body, filename,
--- content_type, transfer_encoding }`. A filename has no folders. Failures as of `ctx:body_form`.
---
--- ```lua
--- app:post("/", function(ctx) return tostring(#ctx:body_parts():await()) end)
--- --> POST / (Content-Type: application/x-www-form-urlencoded) a=1&a=2 => 200 2
--- ```
---@return moongate.Future<table[]>
---@nodiscard
function ctx:body_parts() end
