---@meta _

--- What a service declares. A script makes an app, declares on it while it loads, and returns it;
--- nothing can be declared later. Methods return the app, so that they can be chained.
---
--- The pattern of a route consists of segments: `/users/:id` has a parameter, `/users/:id<int>` has
--- one that must be a whole number and is one in `ctx.params`, `/files/*path` takes all that follows. The most
--- specific route wins, whatever the order; two that could not be told apart are refused. The guide
--- [Routing](guide-routing.md) says more.
---@class moongate.App
local app = {}

--- What answers a request. It returns a string (text), a table (JSON), a status alone or with one
--- of these behind it, or nothing once ctx has the answer.
---@alias moongate.Handler async fun(ctx: moongate.Context): any, any
---@typescript Handler<R extends Returned = Returned> = (this: void, ctx: Context) => R & Settled<R>

--- What wraps handlers: it acts before and after `next()`, or answers without calling it.
---@alias moongate.Middleware async fun(ctx: moongate.Context, next: async fun(): nil): any, any
---@typescript Middleware = (this: void, ctx: Context, next: (this: void) => void) => Replaced

---@class moongate.RouteOptions of a route
---@field name? string for `app:url`, the access log and `moongate routes`
---@field timeout? number seconds until the answer begins, instead of `timeouts.handler`; then 504
---@field body? integer|string|false the largest body, instead of `limits.body`: bytes, or "64K"; beyond it 413; false: any
---@field stream_max? number seconds that a streamed answer may last
---@field middleware? moongate.Middleware|moongate.Middleware[] around this handler alone, inside that of the app and its groups

--- A route for GET; a HEAD is answered by it too, without content. `app:head`, `app:post`,
--- `app:put`, `app:patch`, `app:delete` and `app:options` declare routes for the other methods.
---
--- ```lua
--- app:get("/hello/:name", function(ctx) return "hello, " .. ctx.params.name end)
--- app:get("/slow", { timeout = 1, name = "slow" }, function(ctx) ctx:sleep(9):await() end)
--- --> GET /hello/moon => 200 hello, moon
--- --> GET /slow => 504 ...
--- ```
---@param pattern string such as "/users/:id"
---@param options? moongate.RouteOptions|string options, or the route's name; may be left out
---@param handler moongate.Handler function(ctx), which returns the answer or gives it to ctx
---@return moongate.App self
---@overload fun(self: moongate.App, pattern: string, handler: moongate.Handler): moongate.App
function app:get(pattern, options, handler) end

--- A route for HEAD alone. Without one the route for GET answers it.
---
--- ```lua
--- app:head("/file", function(ctx) ctx:header("X-Size", 7) return 200 end)
--- --> HEAD /file => 200 (X-Size: 7)
--- ```
---@param pattern string such as "/users/:id"
---@param options? moongate.RouteOptions|string options, or the route's name
---@param handler moongate.Handler function(ctx), which returns the answer or gives it to ctx
---@return moongate.App self
---@overload fun(self: moongate.App, pattern: string, handler: moongate.Handler): moongate.App
function app:head(pattern, options, handler) end

--- A route for POST.
---
--- ```lua
--- app:post("/sum", function(ctx)
---   local numbers = ctx:body_json():await()
---   return 201, { sum = numbers.a + numbers.b }
--- end)
--- --> POST /sum {"a":1,"b":2} => 201 {"sum":3}
--- ```
---@param pattern string such as "/users/:id"
---@param options? moongate.RouteOptions|string options, or the route's name
---@param handler moongate.Handler function(ctx), which returns the answer or gives it to ctx
---@return moongate.App self
---@overload fun(self: moongate.App, pattern: string, handler: moongate.Handler): moongate.App
function app:post(pattern, options, handler) end

--- A route for PUT.
---
--- ```lua
--- app:put("/users/:id<int>", function(ctx) return 204 end)
--- --> PUT /users/7 {"name":"Ada"} => 204
--- --> PUT /users/ada {"name":"Ada"} => 404 ...
--- ```
---@param pattern string such as "/users/:id"
---@param options? moongate.RouteOptions|string options, or the route's name
---@param handler moongate.Handler function(ctx), which returns the answer or gives it to ctx
---@return moongate.App self
---@overload fun(self: moongate.App, pattern: string, handler: moongate.Handler): moongate.App
function app:put(pattern, options, handler) end

--- A route for PATCH.
---
--- ```lua
--- app:patch("/users/:id", function(ctx) return { id = ctx.params.id, changed = true } end)
--- --> PATCH /users/7 {"name":"Ada"} => 200 {"changed":true,"id":"7"}
--- ```
---@param pattern string such as "/users/:id"
---@param options? moongate.RouteOptions|string options, or the route's name
---@param handler moongate.Handler function(ctx), which returns the answer or gives it to ctx
---@return moongate.App self
---@overload fun(self: moongate.App, pattern: string, handler: moongate.Handler): moongate.App
function app:patch(pattern, options, handler) end

--- A route for DELETE.
---
--- ```lua
--- app:delete("/users/:id", function(ctx) return 204 end)
--- --> DELETE /users/7 => 204
--- --> GET /users/7 => 405 ...
--- ```
---@param pattern string such as "/users/:id"
---@param options? moongate.RouteOptions|string options, or the route's name
---@param handler moongate.Handler function(ctx), which returns the answer or gives it to ctx
---@return moongate.App self
---@overload fun(self: moongate.App, pattern: string, handler: moongate.Handler): moongate.App
function app:delete(pattern, options, handler) end

--- A route for OPTIONS. Without one Moongate answers it with the path's methods in `Allow`, through
--- the middleware of the path's group, so that `cors()` sees it.
---
--- ```lua
--- app:options("/", function(ctx) ctx:header("Allow", "GET, OPTIONS, BREW") return 204 end)
--- --> OPTIONS / => 204 (Allow: GET, OPTIONS, BREW)
--- ```
---@param pattern string such as "/users/:id"
---@param options? moongate.RouteOptions|string options, or the route's name
---@param handler moongate.Handler function(ctx), which returns the answer or gives it to ctx
---@return moongate.App self
---@overload fun(self: moongate.App, pattern: string, handler: moongate.Handler): moongate.App
function app:options(pattern, options, handler) end

--- Every method that has no route of its own on that pattern, declared before or after: those of
--- HTTP (GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS) and all that any route of the app names.
---
--- ```lua
--- app:any("/echo", function(ctx) return ctx.method end)
--- app:get("/echo", function() return "my own" end)
--- --> PUT /echo => 200 PUT
--- --> GET /echo => 200 my own
--- ```
---@param pattern string such as "/users/:id"
---@param options? moongate.RouteOptions|string options, or the route's name
---@param handler moongate.Handler function(ctx), which returns the answer or gives it to ctx
---@return moongate.App self
---@overload fun(self: moongate.App, pattern: string, handler: moongate.Handler): moongate.App
function app:any(pattern, options, handler) end

--- A route for several methods. Any token may be one; one that no route of the app names is 501.
---
--- ```lua
--- app:route({ "GET", "PURGE" }, "/page", function(ctx) return ctx.method end)
--- --> PURGE /page => 200 PURGE
--- --> BREW /page => 501 ...
--- ```
---@param methods string|string[] "GET", or { "GET", "PURGE" }
---@param pattern string such as "/users/:id"
---@param options? moongate.RouteOptions|string options, or the route's name
---@param handler moongate.Handler function(ctx), which returns the answer or gives it to ctx
---@return moongate.App self
---@overload fun(self: moongate.App, methods: string|string[], pattern: string, handler: moongate.Handler): moongate.App
function app:route(methods, pattern, options, handler) end

--- Answers CONNECT, which has no path. `ctx.host` is what the client wants to be connected to;
--- `ctx:tunnel(fn)` opens the tunnel.
---
--- ```lua
--- app:connect(function(ctx) ctx:fail(403, "no tunnel to " .. ctx.host) end)
--- --> CONNECT moon.example:443 => 403 ...
--- ```
---@param options? moongate.RouteOptions|string options, or the route's name
---@param handler moongate.Handler function(ctx), which returns the answer or gives it to ctx
---@return moongate.App self
---@overload fun(self: moongate.App, handler: moongate.Handler): moongate.App
function app:connect(options, handler) end

--- Routes below `prefix`, with middleware of their own. That runs around what is answered in place
--- of a route there as well (404, 405, OPTIONS).
---
--- ```lua
--- local function only_friends(ctx, next)
---   if ctx.query.friend ~= "yes" then ctx:fail(403, "friends only") end
---   return next()
--- end
--- app:group("/club", { only_friends }, function(club)
---   club:get("/", function() return "welcome" end)
--- end)
--- --> GET /club?friend=yes => 200 welcome
--- --> GET /club => 403 ...
--- ```
---@param prefix string as "/admin"
---@param middleware? moongate.Middleware|moongate.Middleware[] may be left out
---@param fn fun(group: moongate.App) declares the group's routes
---@return moongate.App self
---@overload fun(self: moongate.App, prefix: string, fn: fun(group: moongate.App)): moongate.App
function app:group(prefix, middleware, fn) end

--- Routes for requests of one host, or of all that are below one: `*.example.org` is
--- `a.example.org` and `a.b.example.org`, not `example.org`. Case and port do not matter; a trusted
--- proxy's Forwarded counts. A host's own routes go before those of wildcards, the longest of these
--- first, and they before routes of any host, which answer what the host has no route for. 405,
--- OPTIONS and 404 follow the same order. Groups may be inside.
---
--- ```lua
--- app:get("/", function() return "any host" end)
--- app:host("*.example.org", function(below)
---   below:get("/", function(ctx) return "below: " .. ctx.host end)
--- end)
--- app:host("api.example.org", function(api)
---   api:get("/", function() return "the api" end)
--- end)
--- --> GET / => 200 any host
--- --> GET / (Host: api.example.org:8080) => 200 the api
--- --> GET / (Host: a.example.org) => 200 below: a.example.org
--- ```
---@param name string "api.example.org" or "*.example.org"
---@param middleware? moongate.Middleware|moongate.Middleware[] may be left out
---@param fn fun(host: moongate.App) declares them
---@return moongate.App self
---@overload fun(self: moongate.App, name: string, fn: fun(host: moongate.App)): moongate.App
function app:host(name, middleware, fn) end

--- Middleware for the routes of this app or group that are declared after it, and for what is
--- answered in place of a route.
---
--- ```lua
--- app:use(function(ctx, next)
---   next()
---   ctx:header("X-Seen-By", "the gate")
--- end)
--- app:get("/", function() return "hello" end)
--- --> GET / => 200 (X-Seen-By: the gate) hello
--- ```
---@param middleware moongate.Middleware function(ctx, next)
---@return moongate.App self
---@typescript use<R extends Returned>(middleware: (this: void, ctx: Context, next: (this: void) => void) => R & Settled<R>): App
function app:use(middleware) end

---@class moongate.StaticOptions of `app:static`
---@field index? string|false what is sent for a folder, "index.html" unless told; false: none
---@field cache? number seconds that everybody may keep a file (Cache-Control)
---@field dotfiles? boolean files whose name begins with a dot are served too; false unless told
---@field well_known? boolean `.well-known` is served; true unless told

--- Files of a folder below `prefix`, with ranges, validators and media types. Without middleware
--- no Lua runs for them. What is no file is a 404 of the app.
---
--- ```lua
--- app:static("/pages", "public", { cache = 60 })
--- --> GET /pages/hello.txt => 200 (Cache-Control: public, max-age=60) hello from a file
--- --> GET /pages/none.txt => 404 ...
--- ```
---@param prefix string
---@param folder string against the project's folder
---@param options? moongate.StaticOptions
---@return moongate.App self
function app:static(prefix, folder, options) end

---@class moongate.ProxyRouteOptions: moongate.RouteOptions of `app:proxy`
---@field strip? string segments that are taken off the front of the path: "/users"
---@field path? string instead of the path, ":id" and "*path" are the route's parameters; with "?" instead of the query too
---@field host? string what Host tells: "client", "upstream" or a literal; as the upstream says unless told
---@field headers? table<string, string|string[]|false> instead of the client's of these names; false: none
---@field timeouts? table `connect`, `first_byte`, `idle`, `total`: seconds; as the upstream says unless told
---@field buffer? "request" the upstream is asked once the request's body has come
---@field methods? string[] instead of HTTP's own and those that routes name

--- Passes on what comes for `pattern` to an upstream of the configuration, and relays its answer.
--- Content goes both ways as it comes. Without middleware no Lua runs for it. A wildcard takes here
--- what ends in front of it as well: `/users/*path` is for `/users/` too, `/*path` for all there is.
---
--- ```lua
--- app:proxy("/users/*path", "users", { strip = "/users" })
--- --> with upstream users => 200 Ada
--- --> GET /users/7 => 200 Ada
--- --> GET /users/ => 200 Ada
--- ```
---@param pattern string such as "/users/:id"
---@param upstream string a name of the configuration's `upstreams`
---@param options? moongate.ProxyRouteOptions
---@return moongate.App self
function app:proxy(pattern, upstream, options) end

---@class moongate.WebSocketOptions: moongate.RouteOptions of `app:websocket`
---@field max_message? integer|string bytes of a message, "1G" at most; "1M" unless told
---@field connections? integer|false WebSockets of the route at once, in each worker; beyond it 503 with Retry-After. Any number unless told
---@field rate? integer|false messages and control frames in a second; any unless told
---@field idle? number|false seconds in which nothing comes from the peer, not even what answers a ping; 300 unless told; false: as `timeouts.tunnel` says
---@field ping? number|false seconds of silence before the peer is pinged; 30 unless told
---@field protocols? string[] subprotocols that are spoken
---@field origins? string[]|"*" pages that may open it, such as "https://*.example.org"; those of the same host unless told
---@field deflate? boolean permessage-deflate is agreed to; false unless told
---@field slow? "close"|"skip" what happens to a peer that does not take what is published (limits.outbox); "close" unless told

---@class moongate.WebSocketFunctions each may await
---@field open? async fun(ws: moongate.WebSocket, ctx: moongate.Context) before the connection is a WebSocket: may `ctx:fail(403)`
---@field message async fun(ws: moongate.WebSocket, data: string, kind: "text"|"binary") a message has come
---@field close? async fun(ws: moongate.WebSocket, code: integer, reason: string) it has ended: 1006 without a word
---@field reload? async fun(ws: moongate.WebSocket) first of all, once these scripts have taken it over from others

--- A WebSocket, over HTTP/1.1 and HTTP/2: the route for GET of that pattern, which answers 426 to who
--- asks for none. Middleware runs before it is opened, and may refuse.
---
--- In the table form messages of one socket are handled one after the other, and nothing of the
--- scripts is held between two of them: a reload takes the socket over there, with its `ws.state` and
--- its topics. A function instead has the socket to itself, and keeps its scripts until
--- `timeouts.drain` has passed.
---
--- ```lua spec
--- local test = require("moongate.test")
---
--- it("answers who is there", function()
---   local app = test.app(function(app)
---     app:websocket("/chat/:room", { max_message = "64K", protocols = { "chat.v1" } }, {
---       open = function(ws, ctx) ws.state.user = ctx.query.user end,
---       message = function(ws, data) ws:send(ws.state.user .. " in " .. ws.params.room) end,
---     })
---   end)
---   local ws = assert(app:websocket("/chat/1?user=Ada"))
---   assert.equal("Ada in 1", ws:send("?"):receive())
---   app:close()
--- end)
--- ```
---@param pattern string such as "/users/:id"
---@param options? moongate.WebSocketOptions may be left out
---@param functions moongate.WebSocketFunctions|async fun(ws: moongate.WebSocket)
---@return moongate.App self
---@overload fun(self: moongate.App, pattern: string, functions: moongate.WebSocketFunctions|async fun(ws: moongate.WebSocket)): moongate.App
function app:websocket(pattern, options, functions) end

--- Answers what no route takes, instead of the 404 that Moongate gives.
---
--- ```lua
--- app:not_found(function(ctx) return 404, { missing = ctx.path } end)
--- --> GET /nowhere => 404 {"missing":"/nowhere"}
--- ```
---@param fn moongate.Handler function(ctx), as of a route
---@return moongate.App self
function app:not_found(fn) end

--- The one place that maps errors to answers. `err` is whatever was raised; see
--- [Errors](errors.md). What it returns is the answer, as of a handler.
---
--- ```lua
--- app:on_error(function(ctx, err)
---   if err.status then return err.status, { error = err.message } end
---   return 500, { error = "our fault" }
--- end)
--- app:get("/", function(ctx) ctx:fail(409, "taken") end)
--- --> GET / => 409 {"error":"taken"}
--- ```
---@param fn async fun(ctx: moongate.Context, err: any): any, any
---@return moongate.App self
---@typescript on_error<R extends Returned>(fn: (this: void, ctx: Context, err: Error) => R & Settled<R>): App
function app:on_error(fn) end

--- `fn()` runs in a coroutine in each worker, and must finish before requests are taken. A failure
--- refuses the start or the reload.
---
--- ```lua
--- local motd
--- app:on_start(function() motd = moongate.files.read_file("public/hello.txt"):await() end)
--- app:get("/", function() return motd end)
--- --> GET / => 200 hello from a file
--- ```
---@param fn async fun()
---@return moongate.App self
function app:on_start(fn) end

--- `fn()` runs in a coroutine when these scripts end, after their last request: at a stop, or when
--- a reload has replaced them.
---
--- ```lua
--- app:on_stop(function() moongate.log.info("good night") end)
--- app:get("/", function() return "hello" end)
--- --> GET / => 200 hello
--- ```
---@param fn async fun()
---@return moongate.App self
function app:on_stop(fn) end

--- `fn(ctx, answer)` runs in the background when an answer has ended: all of it was given to the
--- connection, or it was broken off. ctx can be read there still; the answer cannot be changed. A
--- failure is logged.
---
--- ```lua
--- app:on_response(function(ctx, answer)
---   moongate.log.info("served", { path = ctx.path, status = answer.status, bytes = answer.bytes })
--- end)
--- app:get("/", function() return "hello" end)
--- --> GET / => 200 hello
--- ```
---@param fn async fun(ctx: moongate.Context, answer: moongate.EndedAnswer)
---@return moongate.App self
function app:on_response(fn) end

---@class moongate.EndedAnswer what became of an answer: of `app:on_response`
---@field status integer 0: the client left before one began
---@field headers table<string, string> as of `ctx.answer`
---@field bytes integer of content, that were given to the connection
---@field seconds number since the request's head had come
---@field aborted boolean the client left, or the handler failed in the middle of it

---@class moongate.StreamOptions of `app:stream`
---@field idle? number seconds without a byte either way, after which the connection is closed; not beyond timeouts.tunnel
---@field connections? integer at once in a worker; what is beyond is cut off, and logged
---@field max_line? integer bytes that `read_line` and `read_until` look through: 65536 unless given

--- A connection that came to `app:stream`.
---@class moongate.ServerStream: moongate.Stream
---@field client_ip string as the PROXY protocol tells it where that is spoken; "unix" of a Unix socket
---@field address string of the endpoint, as declared
---@field tls string|false the version, such as "TLSv1.3"

--- Serves another protocol than HTTP at an address of its own: `fn(s)` runs in a coroutine for each
--- connection, which ends when it returns, is cut off if it fails, and is cancelled when the client
--- leaves. A failure is logged. The address needs no entry in the configuration; what only an
--- operator can say of it is said there, in an item of `listen` with `stream = true`:
--- `{ address = "0.0.0.0:7000", stream = true, tls = { cert = ..., key = ... } }`, and likewise
--- `proxy_protocol` and `mode`.
---
--- A reload: connections go on with the scripts that they began on, for timeouts.drain at most; new
--- ones get the new function. An address that is new is bound before anything is swapped, or the
--- reload is refused; one that is gone takes whoever waits there first.
---
--- ```lua spec
--- local test = require("moongate.test")
---
--- it("counts lines", function()
---   local app = test.app(function(app)
---     app:stream("0.0.0.0:7000", { idle = 60 }, function(s)
---       local n = 0
---       for _ in function() return s:read_line():await() end do
---         n = n + 1
---         s:write(n .. "\n")
---       end
---     end)
---   end)
---   local client = app:stream_connect("0.0.0.0:7000")
---   assert.equal("1\n2\n", (client:send("a\nb\n"):read()))
---   client:disconnect()
---   app:assert_no_leaks()
--- end)
--- ```
---@param address string "0.0.0.0:7000", "[::]:7000", "unix:run/x.sock"
---@param options? moongate.StreamOptions may be left out
---@param fn async fun(s: moongate.ServerStream)
---@return moongate.App self
---@overload fun(self: moongate.App, address: string, fn: async fun(s: moongate.ServerStream)): moongate.App
function app:stream(address, options, fn) end

---@class moongate.JobOptions of `app:every`
---@field each_worker? boolean a run in each worker, instead of one in the whole service
---@field jitter? number each tick comes 0 to so many seconds later, at random, so that not all services ask a third one at once; at most the seconds between two ticks

--- A job: `fn()` every so many seconds, or whenever a cron expression says, once in the service
--- whatever the number of workers. One run at a time: the next one never begins before the last has
--- ended. Of seconds the next tick comes so long after that end; of cron the ticks meanwhile are
--- left out. Ticks go on over reloads. A failure is logged, and the next tick comes all the same.
---
--- A cron expression has five fields: minute (0-59), hour (0-23), day of the month (1-31), month
--- (1-12 or `jan`-`dec`), weekday (0-7 or `sun`-`sat`; 0 and 7 are Sunday). A field is `*`, a
--- number, a range `1-5`, either with a step `*/15`, or several of them with commas. Where both days
--- are restricted, either will do. `@hourly`, `@daily`, `@weekly`, `@monthly` and `@yearly` stand
--- for the first minute of each. All times are UTC.
---
--- ```lua
--- local beats = 0
--- app:every("heartbeat", 60, function() beats = beats + 1 end)
--- app:every("report", "30 3 * * mon-fri", { jitter = 60 }, function() beats = 0 end)
--- app:get("/", function(ctx) ctx:sleep(25):await() return tostring(beats) end)
--- --> GET / => 200 0
--- ```
---@param name string unique in the app; shown by `moongate status`
---@param when number|string seconds, or a cron expression
---@param options? moongate.JobOptions may be left out
---@param fn async fun()
---@return moongate.App self
---@overload fun(self: moongate.App, name: string, when: number|string, fn: async fun()): moongate.App
function app:every(name, when, options, fn) end

--- The path of a named route with its parameters filled in and encoded.
---
--- ```lua
--- app:get("/users/:id", "user", function(ctx) return ctx.params.id end)
--- app:get("/me", function(ctx) return ctx:redirect(app:url("user", { id = 7 })) end)
--- --> GET /me => 302 (Location: /users/7)
--- ```
---@param name string
---@param params? table<string, string|number>
---@return string
function app:url(name, params) end
