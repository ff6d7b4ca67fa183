---@meta _

--- The answer's half of `ctx`: it is staged, and leaves when all middleware has unwound. A handler
--- may return its answer instead; the guide [Answers and errors](guide-answers.md) says how.
---@class moongate.Context
local ctx = {}

--- Sets the status of the answer.
---
--- ```lua
--- app:get("/", function(ctx) ctx:status(203):text("hearsay") end)
--- --> GET / => 203 hearsay
--- ```
---@param status integer 200 to 599
---@return moongate.Context self
function ctx:status(status) end

--- Sets a field of the answer, instead of any of that name; nil removes it, a list gives several
--- lines. `Vary` alone is added to: what middleware put there holds as well. What a URL cannot hold
--- is encoded in `Location` and `Content-Location`. Framing fields (Content-Length,
--- Transfer-Encoding, Keep-Alive, Upgrade) are Moongate's; `Connection: close` ends the connection.
---
--- ```lua
--- app:get("/", function(ctx) ctx:header("X-Moons", 1) return "one" end)
--- --> GET / => 200 (X-Moons: 1) one
--- ```
---@param name string
---@param value string|number|boolean|(string|number)[]|nil
---@return moongate.Context self
function ctx:header(name, value) end

--- Adds a line beside those of the same name.
---
--- ```lua
--- app:get("/", function(ctx)
---   ctx:add_header("Link", "</a.css>; rel=preload")
---   ctx:add_header("Link", "</b.css>; rel=preload")
---   return "x"
--- end)
--- --> GET / => 200 (Link: </a.css>; rel=preload, </b.css>; rel=preload) x
--- ```
---@param name string
---@param value string|number|boolean
---@return moongate.Context self
function ctx:add_header(name, value) end

--- What has been set so far of a field of the answer; of several lines the first.
---
--- ```lua
--- app:use(function(ctx, next)
---   next()
---   if not ctx:answer_header("Cache-Control") then ctx:header("Cache-Control", "no-store") end
--- end)
--- app:get("/", function() return "x" end)
--- --> GET / => 200 (Cache-Control: no-store) x
--- ```
---@param name string
---@return string?
function ctx:answer_header(name) end

--- Adds a field to the request's line in the access log as JSON, in place of one of that name.
--- `log.fields` chooses which a line has.
---
--- ```lua
--- app:get("/users/:id", function(ctx)
---   ctx:log_field("user", ctx.params.id)
---   return "x"
--- end)
--- --> GET /users/7 => 200 x
--- ```
---@param name string a token, such as `user_id`; of 8 KiB in all
---@param value any what JSON can say
---@return moongate.Context self
function ctx:log_field(name, value) end

--- Answers with plain text. A handler may return a string instead.
---
--- ```lua
--- app:get("/", function(ctx) ctx:text("gone fishing", 503) end)
--- --> GET / => 503 (Content-Type: text/plain; charset=utf-8) gone fishing
--- ```
---@param body string|number
---@param status? integer 200 unless told
function ctx:text(body, status) end

--- Answers with HTML, as it is given: what came from elsewhere is to be escaped first.
---
--- ```lua
--- app:get("/", function(ctx) ctx:html("<h1>Moon</h1>") end)
--- --> GET / => 200 (Content-Type: text/html; charset=utf-8) <h1>Moon</h1>
--- ```
---@param body string|number
---@param status? integer 200 unless told
function ctx:html(body, status) end

--- Answers with JSON. A handler may return a table instead.
---
--- ```lua
--- app:get("/", function(ctx) ctx:json({ moons = 1 }, 201) end)
--- --> GET / => 201 (Content-Type: application/json) {"moons":1}
--- ```
---@param value any what `moongate.json.encode` takes
---@param status? integer 200 unless told
function ctx:json(value, status) end

--- Answers with bytes of any media type.
---
--- ```lua
--- app:get("/", function(ctx) ctx:bytes("text/csv", "a,b\n1,2\n") end)
--- --> GET / => 200 (Content-Type: text/csv) a,b
--- ```
---@param content_type string
---@param bytes string
function ctx:bytes(content_type, bytes) end

--- Sends the client elsewhere. Spaces and characters beyond ASCII of `url` are encoded.
---
--- ```lua
--- app:get("/old", function(ctx) ctx:redirect("/new place", 301) end)
--- --> GET /old => 301 (Location: /new%20place)
--- ```
---@param url string
---@param status? 301|302|303|307|308 302 unless told
function ctx:redirect(url, status) end

---@class moongate.CookieOptions of `ctx:cookie`
---@field path? string that it is sent to, with all below; the path of the request unless told
---@field domain? string that it is sent to, with all below; this host alone unless told
---@field max_age? integer seconds
---@field expires? number seconds since 1970
---@field secure? boolean over TLS alone
---@field http_only? boolean not for the page's scripts
---@field same_site? "strict"|"lax"|"none" whether other sites' pages send it; as the browser thinks unless told
---@field partitioned? boolean kept for each site that embeds this one (CHIPS); wants `secure`
---@field on_error? boolean it is sent though the handler fails with a status of 500 or more; others are not

--- Sets a cookie. Its value may not hold white space, quotes, commas, semicolons or backslashes:
--- `moongate.url_encode` it where it may.
---
--- ```lua
--- app:get("/", function(ctx) ctx:cookie("cart", "full", { path = "/", http_only = true }) return 204 end)
--- --> GET / => 204 (Set-Cookie: cart=full; Path=/; HttpOnly)
--- ```
---@param name string a token
---@param value string|number without white space, quotes, commas, semicolons and backslashes
---@param options? moongate.CookieOptions
---@return moongate.Context self
function ctx:cookie(name, value, options) end

---@class moongate.SendFileOptions of `ctx:send_file`
---@field root? string a folder of the project that the path is below and cannot leave
---@field type? string the media type, instead of what the name says
---@field download? string the file's name for the user, in any script
---@field cache? number seconds that everybody may keep it (Cache-Control)

--- Answers with a file, with ranges, validators and its media type; 404 if it is not there. Without
--- `root` a path lies below `public/` or `lua/public/`, or begins with "/" and is taken as it is:
--- never make such a one of what a request says.
---
--- ```lua
--- app:get("/file/*name", function(ctx) ctx:send_file(ctx.params.name, { root = "public" }) end)
--- --> GET /file/hello.txt => 200 hello from a file
--- --> GET /file/hello.txt (Range: bytes=0-4) => 206 hello
--- --> GET /file/none => 404 ...
--- ```
---@param path string
---@param options? moongate.SendFileOptions
function ctx:send_file(path, options) end

---@class moongate.Out what the function of `ctx:stream` gets
local out = {}

--- Sends a piece; suspends while the client is slow. Raises with code `closed` once it has left.
---
--- ```lua
--- app:get("/", function(ctx)
---   ctx:stream("text/plain", function(out) out:write("one "):write("two") end)
--- end)
--- --> GET / => 200 one two
--- ```
---@param data string|number
---@return moongate.Out self
function out:write(data) end

--- A field behind the last piece: what is known only then, such as a digest. Of HTTP/1.1 clients that
--- do not ask for trailers many drop them.
---
--- ```lua spec
--- local moongate = require("moongate")
--- local test = require("moongate.test")
---
--- it("tells a digest behind the content", function()
---   local app = test.app(function(app)
---     app:get("/", function(ctx)
---       ctx:stream("text/plain", function(out)
---         out:write("moon")
---         out:trailer("X-Digest", moongate.hex_encode(moongate.sha256("moon")):sub(1, 8))
---       end)
---     end)
---   end)
---   local bytes = app:start("GET", "/"):read()
---   assert.equal("0\r\nX-Digest: 9e78b43e\r\n\r\n", bytes:match("0\r\n.*$"))
---   app:close()
--- end)
--- ```
---@param name string a token
---@param value string|number|boolean without CR, LF and NUL
---@return moongate.Out self
function out:trailer(name, value) end

--- An answer in pieces: `fn(out)` runs when the middleware has unwound, and may await. It is not
--- bound by `timeouts.handler`, but by the client's pace (`timeouts.send`, `limits.answer_rate`) and
--- the route's `stream_max`. An error in it cuts the answer off, so that the client can tell.
---
--- ```lua
--- app:get("/count", function(ctx)
---   ctx:stream("text/plain", function(out)
---     for i = 1, 3 do out:write(i .. " "); ctx:sleep(0.1):await() end
---   end)
--- end)
--- --> GET /count => 200 1 2 3
--- ```
---@param content_type string
---@param fn async fun(out: moongate.Out)
function ctx:stream(content_type, fn) end

---@class moongate.Event what `out:send` of `ctx:events` takes
---@field data? string|number|table a table becomes JSON; a text may have several lines
---@field event? string its name; browsers call a stream's `message` listeners if there is none
---@field id? string|number what a client that comes again says in Last-Event-ID
---@field retry? number seconds after which a client that was cut off comes again

---@class moongate.EventsOut what the function of `ctx:events` gets
local events_out = {}

--- Sends an event at once; suspends while the client is slow. Raises with code `closed` or
--- `cancelled` once it has left. A text alone is the event's data.
---
--- ```lua
--- app:get("/", function(ctx)
---   return ctx:events(function(out) out:send({ event = "tick", data = { n = 1 }, id = "7" }) end)
--- end)
--- --> GET / => 200 id: 7
--- ```
---@param event moongate.Event|string
---@return moongate.EventsOut self
function events_out:send(event) end

---@class moongate.EventsOptions of `ctx:events`
---@field topics? string|string[] what is published under one of these is sent, by C: no function, no coroutine
---@field heartbeat? number|false seconds of silence until a comment is sent, 15 unless told; false: none is
---@field retry? number seconds after which a client that was cut off comes again
---@field slow? "close"|"skip" of topics: a client behind which more than `limits.outbox` waits is cut off, or misses what is published meanwhile

--- Answers with an event stream (Server-sent events, `EventSource` in browsers): of a function, which
--- stays on its scripts until it returns; or of topics, which no reload touches: the request is over
--- for the scripts once it has begun, `ctx:on_close` and `app:on_response` functions run then. A stop
--- ends streams of topics at once, so that their clients find another server. See the
--- [guide](guide-live.md).
---
--- ```lua
--- app:get("/ticks", function(ctx)
---   return ctx:events(function(out)
---     for n = 1, 2 do out:send({ data = { n = n } }); ctx:sleep(1):await() end
---   end)
--- end)
--- app:get("/feed", { stream_max = 1 }, function(ctx) return ctx:events({ topics = { "news" } }) end)
--- --> GET /ticks => 200 data: {"n":1}
--- --> GET /feed => 200 (Cache-Control: no-cache)
--- ```
---@param what (async fun(out: moongate.EventsOut))|moongate.EventsOptions
---@param options? moongate.EventsOptions of a function: `heartbeat` and `retry`
function ctx:events(what, options) end

--- Ends the handler with an error answer: problem+json (RFC 9457) of that status, or what
--- `app:on_error` makes of it. Never returns.
---
--- ```lua
--- app:get("/", function(ctx) ctx:fail(422, "that is no moon", { field = "name" }) end)
--- --> GET / => 422 (Content-Type: application/problem+json) ...
--- ```
---@param status integer 400 to 599
---@param message? string for the client
---@param details? table members that are added to the problem
---@return never
function ctx:fail(status, message, details) end

--- Switches to another protocol (101) if the client asks for it; else the answer is 426.
--- `fn(stream)` runs when the middleware has unwound, with a [raw stream](stream.md); the connection
--- ends with it. `ctx.params`, `headers`, `query`, `cookies`, `state` and `log` are there in it.
---
--- ```lua
--- app:get("/echo", function(ctx)
---   ctx:upgrade("echo", function(stream) stream:write(stream:read():await()) end)
--- end)
--- --> GET /echo => 426 (Upgrade: echo) ...
--- ```
---@param protocol string as in the Upgrade field, such as "echo" or "chat/2"
---@param fn async fun(stream: moongate.Stream)
function ctx:upgrade(protocol, fn) end

--- Answers a CONNECT (`app:connect`) with 200; then as `ctx:upgrade`.
---
--- ```lua
--- app:connect(function(ctx)
---   if ctx.host ~= "moon.example:443" then ctx:fail(403) end
---   ctx:tunnel(function(stream) stream:write("you are through") end)
--- end)
--- --> CONNECT mars.example:443 => 403 ...
--- ```
---@param fn async fun(stream: moongate.Stream)
function ctx:tunnel(fn) end

--- Has a server of an upstream answer. Awaits its head and stages it like any answer; the content is
--- relayed, both ways as it comes, once all middleware has unwound. Until then the status and the
--- fields can be changed. What is staged later (a redirect, ctx:text, ...) stands in the place of the
--- server's whole answer, whose status stays unless another one is set. What it gives may be
--- returned, alone or behind a status, and need not be. Raises an error with code
--- "status" if no server answered: 503 if none may be asked, 502, or 504 after a timeout.
---
--- ```lua spec
--- local test = require("moongate.test")
---
--- it("relays the shop, but for what it does not know", function()
---   local app = test.app(function(app)
---     app:any("/shop/*path", function(ctx)
---       local answer = ctx:proxy("shop", { path = "/v2/" .. ctx.params.path })
---       if answer.status == 404 then return ctx:redirect("/shop/") end
---       ctx:header("X-Shop", "2")
---     end)
---   end, { upstreams = { shop = { "http://127.0.0.1:9001" } } })
---   app:stub_upstream("shop", { test.sequence({ "a chair", { status = 404 } }) })
---   assert.equal("a chair", app:get("/shop/chair").body)
---   assert.equal(302, app:get("/shop/unicorn").status)
---   app:close()
--- end)
--- ```
---
--- A URL in the name's place asks a server that no upstream names, if the configuration says
--- `proxy = { open = true }`: for the URL's path, or without one for the client's. Private addresses
--- are not asked unless `http.allow` names them.
---
--- ```lua spec
--- local test = require("moongate.test")
---
--- it("fetches what the tenant keeps elsewhere", function()
---   local app = test.app(function(app)
---     app:get("/logo", function(ctx) ctx:proxy("https://cdn.example.com/acme/logo.png") end)
---   end, { proxy = { open = true } })
---   app:stub_upstream("https://cdn.example.com", { body = "a picture" })
---   assert.equal("a picture", app:get("/logo").body)
---   assert.equal(1, #app:requests_to("https://cdn.example.com/acme/logo.png"))
---   app:close()
--- end)
--- ```
---@param upstream string a name of the configuration's `upstreams`, or the URL of a server
---@param options? moongate.ProxyOptions
---@return moongate.ProxyAnswer
function ctx:proxy(upstream, options) end

--- How a request is passed on.
---@class moongate.ProxyOptions
---@field path? string instead of the request's path, whose query stays unless there is a "?"; what no path has, such as spaces, is encoded
---@field strip? string segments that are taken off the front of the path, such as "/users"
---@field host? string what Host says: "client", "upstream" (the server's own), or a literal
---@field headers? table<string, string|number|(string|number)[]|false> instead of the request's fields of these names; false takes one away
---@field timeouts? table connect, first_byte, idle (between two pieces), total: seconds
---@field buffer? string "request": the server is asked once the whole body has come
---@field body? string instead of the request's own

--- What a server has answered.
---@class moongate.ProxyAnswer
---@field status integer that of the server
---@field headers table<string, string> as the server sent them, looked up in any case
