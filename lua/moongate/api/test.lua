---@meta moongate.test

--- Specs: an app through the real parser, router and scheduler. Only sockets and the clock are
--- replaced: connections are in memory, and time stands still until nothing else can happen, then
--- jumps. `moongate test` runs them, and so does plain `busted`. The guide
--- [Specs](guide-specs.md) is the tour.
---
--- ```lua spec
--- local test = require("moongate.test")
---
--- describe("hello", function()
---   it("says so", function()
---     local app = test.app(function(app) app:get("/", function() return "hello" end) end)
---     assert.equal("hello", app:get("/").body)
---     app:assert_no_leaks()
---   end)
--- end)
--- ```
---@class moongate.test
local test = {}

---@class moongate.TestOptions of `test.app`
---@field root? string the project's folder
---@field limits? table as in the configuration
---@field timeouts? table as in the configuration
---@field trusted_proxies? string[] as in the configuration
---@field forwarded? string|string[] as in the configuration
---@field database? string "sqlite::memory:" is empty and ends with the app; "postgres://..." is a server that is there
---@field cache? string "memory:1M": a real cache answers what is not stubbed
---@field configuration? true|string the project's conf/moongate.lua, or another file: limits, timeouts, trusted_proxies, forwarded, upstreams and proxy are as it says
---@field upstreams? table as in the configuration; see app:stub_upstream
---@field proxy? table as in the configuration: { open = true } for ctx:proxy(url)
---@field http2? boolean requests come over HTTP/2
---@field files? string the folder that the app's files are written into, as below the project's, and where they are found again; without it they are stubbed, or refused
---@field jobs? boolean false: jobs run only by `app:run_job`
---@field migrations? string the folder of .sql files that are run in the database before the app starts

--- Loads an app and starts it: no network, virtual time.
---
--- ```lua spec
--- local test = require("moongate.test")
---
--- it("takes a function that declares routes", function()
---   local app = test.app(function(app)
---     app:get("/", { timeout = 1 }, function(ctx) ctx:sleep(60):await() end)
---   end)
---   assert.equal(504, app:get("/").status)
---   assert.near(1, app.clock:elapsed(), 0.001)
---   app:close()
--- end)
--- ```
---@param source? string|fun(app: moongate.App)|moongate.TestOptions the script that returns the app, or a function that declares routes on the app it is given; without one it is the app that the project's configuration names, and options may stand here
---@param options? moongate.TestOptions
---@return moongate.test.App
function test.app(source, options) end

--- As a stub's answer: a Future that never settles by itself.
---
--- ```lua spec
--- local test = require("moongate.test")
---
--- it("waits for ever", function()
---   local app = test.app(function(app)
---     app:get("/", { timeout = 2 }, function(ctx) return ctx:read_file("a"):await() end)
---   end)
---   app:stub_file("a", test.never())
---   assert.equal(504, app:get("/").status)
---   app:close()
--- end)
--- ```
---@return any answer
function test.never() end

--- As a stub's answer: `answer` after `seconds` of virtual time.
---
--- ```lua spec
--- local test = require("moongate.test")
---
--- it("answers late", function()
---   local app = test.app(function(app)
---     app:get("/", function(ctx) return ctx:read_file("a"):await() end)
---   end)
---   app:stub_file("a", test.after(3, "late"))
---   assert.equal("late", app:get("/").body)
---   assert.near(3, app.clock:elapsed(), 0.001)
---   app:close()
--- end)
--- ```
---@param seconds number at least 0
---@param answer any as for a stub
---@return any answer
function test.after(seconds, answer) end

--- As a stub's answer: a failure with that code.
---
--- ```lua spec
--- local test = require("moongate.test")
---
--- it("fails", function()
---   local app = test.app(function(app)
---     app:get("/", function(ctx) return select(2, ctx:read_file("a"):try_await()).code end)
---   end)
---   app:stub_file("a", test.fail("file", "the disk is gone"))
---   assert.equal("file", app:get("/").body)
---   app:close()
--- end)
--- ```
---@param code string
---@param message? string
---@return any answer
function test.fail(code, message) end

--- As a stub's answer: one answer after the other, each for one call. A call beyond the last is
--- refused.
---
--- ```lua spec
--- local test = require("moongate.test")
---
--- it("answers in turn", function()
---   local app = test.app(function(app)
---     app:get("/", function(ctx) return ctx:read_file("a"):await() end)
---   end)
---   app:stub_file("a", test.sequence({ "one", "two" }))
---   assert.equal("one", app:get("/").body)
---   assert.equal("two", app:get("/").body)
---   app:close()
--- end)
--- ```
---@param list any[] answers
---@return any answer
function test.sequence(list) end

--- A copy of a value as JSON has them, in which members whose names tell of secrets ("password",
--- "api_key", "token" and the like) are "[redacted]": what specs of `moongate dev --record` compare.
---
--- ```lua spec
--- local test = require("moongate.test")
---
--- it("shows no secrets", function()
---   assert.same({ user = "Ada", password = "[redacted]" },
---     test.redacted({ user = "Ada", password = "hunter2" }))
--- end)
--- ```
---@param value any
---@return any
function test.redacted(value) end

---@class moongate.TestRequestOptions
---@field headers? table<string, string|string[]> by name; a list is a line each
---@field body? string its bytes; a Content-Type is for `headers` to say
---@field json? any sent as JSON
---@field form? table sent as a form
---@field query? table added to the path
---@field length? integer the Content-Length that is announced, for `app:start` and `flight:send`

---@class moongate.test.App an app in a spec
---@field clock moongate.test.Clock the virtual clock
---@field logs table[] what it logged: { level, message, fields }
---@field calls table[] what was called that can be stubbed, in order
local app = {}

--- Sends a request and waits for the whole answer, in virtual time. `app:get`, `app:head`,
--- `app:post`, `app:put`, `app:patch`, `app:delete` and `app:options` take path and options.
---
--- ```lua spec
--- local test = require("moongate.test")
---
--- it("sends", function()
---   local app = test.app(function(app)
---     app:post("/", function(ctx) return ctx:body_json():await().name end)
---   end)
---   assert.equal("Ada", app:request("POST", "/", { json = { name = "Ada" } }).body)
---   assert.equal("Ada", app:post("/", { json = { name = "Ada" } }).body)
---   app:close()
--- end)
--- ```
---@param method string
---@param path string with a query, if there is one
---@param options? moongate.TestRequestOptions
---@return moongate.test.Response
function app:request(method, path, options) end

--- `app:request("GET", path, options)`.
---
--- ```lua spec
--- local test = require("moongate.test")
---
--- it("sends GET", function()
---   local app = test.app(function(app)
---     app:get("/", function() return "hello" end)
---   end)
---   assert.equal(200, app:get("/").status)
---   app:close()
--- end)
--- ```
---@param path string with a query, if there is one
---@param options? moongate.TestRequestOptions
---@return moongate.test.Response
function app:get(path, options) end

--- `app:request("HEAD", path, options)`.
---
--- ```lua spec
--- local test = require("moongate.test")
---
--- it("sends HEAD", function()
---   local app = test.app(function(app)
---     app:get("/", function() return "hello" end)
---   end)
---   assert.equal(200, app:head("/").status)
---   app:close()
--- end)
--- ```
---@param path string with a query, if there is one
---@param options? moongate.TestRequestOptions
---@return moongate.test.Response
function app:head(path, options) end

--- `app:request("POST", path, options)`.
---
--- ```lua spec
--- local test = require("moongate.test")
---
--- it("sends a form", function()
---   local app = test.app(function(app)
---     app:post("/", function(ctx) return ctx:body_form():await().name end)
---   end)
---   assert.equal("Ada", app:post("/", { form = { name = "Ada" } }).body)
---   app:close()
--- end)
--- ```
---@param path string with a query, if there is one
---@param options? moongate.TestRequestOptions
---@return moongate.test.Response
function app:post(path, options) end

--- `app:request("PUT", path, options)`.
---
--- ```lua spec
--- local test = require("moongate.test")
---
--- it("sends PUT", function()
---   local app = test.app(function(app)
---     app:put("/", function() return 204 end)
---   end)
---   assert.equal(204, app:put("/").status)
---   app:close()
--- end)
--- ```
---@param path string with a query, if there is one
---@param options? moongate.TestRequestOptions
---@return moongate.test.Response
function app:put(path, options) end

--- `app:request("PATCH", path, options)`.
---
--- ```lua spec
--- local test = require("moongate.test")
---
--- it("sends PATCH", function()
---   local app = test.app(function(app)
---     app:patch("/", function() return 204 end)
---   end)
---   assert.equal(204, app:patch("/").status)
---   app:close()
--- end)
--- ```
---@param path string with a query, if there is one
---@param options? moongate.TestRequestOptions
---@return moongate.test.Response
function app:patch(path, options) end

--- `app:request("DELETE", path, options)`.
---
--- ```lua spec
--- local test = require("moongate.test")
---
--- it("sends DELETE", function()
---   local app = test.app(function(app)
---     app:delete("/", function() return 204 end)
---   end)
---   assert.equal(204, app:delete("/").status)
---   app:close()
--- end)
--- ```
---@param path string with a query, if there is one
---@param options? moongate.TestRequestOptions
---@return moongate.test.Response
function app:delete(path, options) end

--- `app:request("OPTIONS", path, options)`.
---
--- ```lua spec
--- local test = require("moongate.test")
---
--- it("sends OPTIONS", function()
---   local app = test.app(function(app)
---     app:get("/", function() return "hello" end)
---   end)
---   assert.equal(204, app:options("/").status)
---   app:close()
--- end)
--- ```
---@param path string with a query, if there is one
---@param options? moongate.TestRequestOptions
---@return moongate.test.Response
function app:options(path, options) end

--- Begins a request that the spec drives itself.
---
--- ```lua spec
--- local test = require("moongate.test")
---
--- it("leaves in the middle", function()
---   local gone
---   local app = test.app(function(app)
---     app:get("/", function(ctx)
---       ctx:on_close(function(err) gone = err end)
---       ctx:sleep(60):await()
---     end)
---   end)
---   local flight = app:start("GET", "/")
---   app.clock:settle()
---   flight:disconnect()
---   assert.equal("cancelled", gone.code)
---   app:close()
--- end)
--- ```
---@param method string
---@param path string with a query, if there is one
---@param options? moongate.TestRequestOptions
---@return moongate.test.Flight
function app:start(method, path, options) end

--- Asks for an event stream, which must be one.
---
--- ```lua spec
--- local moongate = require("moongate")
--- local test = require("moongate.test")
---
--- it("tells what is published", function()
---   local app = test.app(function(app)
---     app:get("/feed", function(ctx) return ctx:events({ topics = { "news" } }) end)
---   end)
---   local feed = app:events("/feed")
---   moongate.publish("news", "hello")
---   assert.equal("hello", feed:next().data)
---   feed:close()
---   app:close()
--- end)
--- ```
---@param path string with a query, if there is one
---@param options? moongate.TestRequestOptions
---@return moongate.test.Events
function app:events(path, options) end

--- Sends bytes as they are on a connection of their own.
---
--- ```lua spec
--- local test = require("moongate.test")
---
--- it("refuses nonsense", function()
---   local app = test.app(function(app) app:get("/", function() return "x" end) end)
---   assert.equal(400, app:raw("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"):response().status)
---   app:close()
--- end)
--- ```
---@param bytes string
---@return moongate.test.Flight
function app:raw(bytes) end

--- Opens a WebSocket, whose client's end the spec has. nil and the answer if the app refuses.
---
--- ```lua spec
--- local test = require("moongate.test")
---
--- it("echoes", function()
---   local app = test.app(function(app)
---     app:websocket("/echo", { message = function(ws, data) ws:send(data) end })
---   end)
---   local ws = assert(app:websocket("/echo"))
---   ws:send("hello")
---   assert.equal("hello", ws:receive())
---   assert.equal(1000, ws:close())
---   app:assert_no_leaks()
--- end)
--- ```
---@param path string with a query, if there is one
---@param options? table headers, protocols; answers_pings = false: it does not
---@return moongate.test.WebSocket?
---@return moongate.test.Response?
function app:websocket(path, options) end

--- Loads the scripts again, as a reload does: WebSockets go on with them. Raises what is wrong with
--- them; then nothing has changed.
---
--- ```lua spec
--- local test = require("moongate.test")
---
--- it("goes on with other scripts", function()
---   local app = test.app(function(app)
---     app:websocket("/", { message = function(ws) ws:send("old") end })
---   end)
---   local ws = assert(app:websocket("/"))
---   ws:send("?")
---   assert.equal("old", ws:receive())
---   app:reload(function(app)
---     app:websocket("/", { message = function(ws) ws:send("new") end })
---   end)
---   ws:send("?")
---   assert.equal("new", ws:receive())
---   app:close()
--- end)
--- ```
---@param source? string|fun(app: moongate.App) those that the app was made of unless told
---@return moongate.test.App self
function app:reload(source) end

--- A client of what the app speaks at `address` (`app:stream`): `:send`, `:read`, `:finish`,
--- `:disconnect`.
---
--- ```lua spec
--- local test = require("moongate.test")
---
--- it("answers who connects", function()
---   local app = test.app(function(app)
---     app:stream("127.0.0.1:7000", function(s) s:write("hello, " .. s:read_line():await()) end)
---   end)
---   local client = app:stream_connect("127.0.0.1:7000")
---   assert.equal("hello, Ada", (client:send("Ada\n"):read()))
---   app:close()
--- end)
--- ```
---@param address string as declared
---@return moongate.test.Flight
function app:stream_connect(address) end

--- Runs `fn(...)` in a coroutine of the app and returns its values: to await in a spec.
---
--- ```lua spec
--- local test = require("moongate.test")
--- local moongate = require("moongate")
---
--- it("awaits", function()
---   local app = test.app(function() end)
---   assert.equal(7, app:run(function(n) moongate.sleep(9):await() return n end, 7))
---   app:close()
--- end)
--- ```
---@param fn async fun(...): any
---@param ... any
---@return any ...
function app:run(fn, ...) end

--- Runs the app's job of that name now, and returns when the run has ended. Its error is raised.
--- Jobs run by themselves too, in virtual time, unless test.app's option `jobs` is false.
---
--- ```lua spec
--- local test = require("moongate.test")
---
--- it("cleans up", function()
---   local runs = 0
---   local app = test.app(function(app)
---     app:every("clean", 3600, function() runs = runs + 1 end)
---     app:every("report", 60, function() error("no printer") end)
---   end, { jobs = false })
---   app:run_job("clean")
---   assert.equal(1, runs)
---   assert.error_matches(function() app:run_job("report") end, "no printer")
---   app:close()
--- end)
--- ```
---@param name string
function app:run_job(name) end

--- Runs `on_stop` and cancels the app's background work.
---
--- ```lua spec
--- local test = require("moongate.test")
---
--- it("says good night", function()
---   local said
---   local app = test.app(function(app) app:on_stop(function() said = true end) end)
---   app:stop()
---   assert.is_true(said)
---   app:close()
--- end)
--- ```
function app:stop() end

--- Fails, naming what is left behind and the line that made it: coroutines, Futures, operations,
--- connections. Closes the app.
---
--- ```lua spec
--- local test = require("moongate.test")
---
--- it("leaves nothing behind", function()
---   local app = test.app(function(app) app:get("/", function() return "x" end) end)
---   app:get("/")
---   app:assert_no_leaks()
--- end)
--- ```
function app:assert_no_leaks() end

--- Closes the app's connections and cancels all it does.
---
--- ```lua spec
--- local test = require("moongate.test")
---
--- it("ends", function()
---   local app = test.app(function() end)
---   app:close()
--- end)
--- ```
function app:close() end

return test
