---@meta moongate.test

---@class moongate.test.Response what a request of a spec is answered
---@field status integer 200 to 599
---@field headers table<string, string> looked up without regard to case; repeated ones joined
---@field header_list string[][] each line, as { name, value }
---@field body string whole, decoded from its framing
local res = {}

--- The body as JSON; raises with the body if it is none.
---
--- ```lua spec
--- local test = require("moongate.test")
---
--- it("reads JSON", function()
---   local app = test.app(function(app) app:get("/", function() return { 1, 2 } end) end)
---   assert.same({ 1, 2 }, app:get("/"):json())
---   app:close()
--- end)
--- ```
---@return any
---@typescript json<V = any>(): V
function res:json() end

---@class moongate.test.Clock the virtual clock of an app: `app.clock`
local clock = {}

--- Virtual seconds since the app started.
---
--- ```lua spec
--- local test = require("moongate.test")
---
--- it("tells how long an answer took", function()
---   local app = test.app(function(app)
---     app:get("/", function(ctx) ctx:sleep(2):await() return "late" end)
---   end)
---   app:get("/")
---   assert.near(2, app.clock:elapsed(), 0.001)
---   app:close()
--- end)
--- ```
---@return number
function clock:elapsed() end

--- Virtual seconds from a beginning of the clock's own. The time of day is `moongate.now()`, in a spec
--- as in a handler: it goes on with this clock.
---
--- ```lua spec
--- local test = require("moongate.test")
---
--- it("goes on with what happens", function()
---   local app = test.app(function(app)
---     app:get("/", function(ctx) ctx:sleep(2):await() return "late" end)
---   end)
---   local before = app.clock:now()
---   app:get("/")
---   assert.near(2, app.clock:now() - before, 0.001)
---   app:close()
--- end)
--- ```
---@return number
function clock:now() end

--- Lets `seconds` pass: timers fire on their way, in order.
---
--- ```lua spec
--- local moongate = require("moongate")
--- local test = require("moongate.test")
---
--- it("lets a job run", function()
---   local app = test.app(function(app)
---     app:every("beat", 60, function() moongate.log.info("beat") end)
---   end)
---   app.clock:advance(130)
---   assert.equal(2, #app.logs)
---   app:close()
--- end)
--- ```
---@param seconds number at least 0
function clock:advance(seconds) end

--- Turns the loop until nothing happens at this moment of virtual time.
---
--- ```lua spec
--- local moongate = require("moongate")
--- local test = require("moongate.test")
---
--- it("goes on until something is waited for", function()
---   local app = test.app(function(app)
---     app:get("/", function(ctx)
---       moongate.log.info("begun")
---       ctx:sleep(60):await()
---     end)
---   end)
---   local flight = app:start("GET", "/")
---   app.clock:settle()
---   assert.equal("begun", app.logs[1].message)
---   flight:disconnect()
---   app:close()
--- end)
--- ```
function clock:settle() end

---@class moongate.test.Flight a request under way that the spec drives
local flight = {}

--- Sends more bytes, as they are.
---
--- ```lua spec
--- local test = require("moongate.test")
---
--- it("sends a body in two pieces", function()
---   local app = test.app(function(app)
---     app:post("/", function(ctx) return ctx:body():await():upper() end)
---   end)
---   local flight = app:start("POST", "/", { length = 8, body = "one " })
---   flight:send("more")
---   assert.equal("ONE MORE", flight:response().body)
---   app:close()
--- end)
--- ```
---@param bytes string
---@return moongate.test.Flight self
function flight:send(bytes) end

--- All bytes that have come until nothing more happens at this moment of virtual time.
---
--- ```lua spec
--- local test = require("moongate.test")
---
--- it("sees the bytes", function()
---   local app = test.app(function(app)
---     app:post("/", function(ctx) return ctx:body():await():upper() end)
---   end)
---   local flight = app:raw("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx")
---   local bytes, closed = flight:read()
---   assert.equal("HTTP/1.1 200 OK", bytes:match("^[^\r]*"))
---   assert.is_false(closed)
---   app:close()
--- end)
--- ```
---@return string bytes
---@return boolean closed by the server
function flight:read() end

--- Does not read for a while, like a slow client.
---
--- ```lua spec
--- local moongate = require("moongate")
--- local test = require("moongate.test")
---
--- it("reads slowly", function()
---   local app = test.app(function(app)
---     app:get("/", function(ctx)
---       ctx:stream("text/plain", function(out)
---         for _ = 1, 20 do out:write(("x"):rep(65536)) end
---         moongate.log.info("all is written")
---       end)
---     end)
---   end)
---   local flight = app:start("GET", "/"):pause()
---   app.clock:settle()
---   assert.equal(0, #app.logs) -- out:write waits for the client
---   flight:pause(false)
---   assert.equal(1310720, #flight:response().body)
---   app:close()
--- end)
--- ```
---@param paused? boolean false: reads on
---@return moongate.test.Flight self
function flight:pause(paused) end

--- Sends a FIN: the client sends no more.
---
--- ```lua spec
--- local test = require("moongate.test")
---
--- it("sends no more, and is answered", function()
---   local app = test.app(function(app)
---     app:post("/", function(ctx) return ctx:body():await():upper() end)
---   end)
---   local flight = app:start("POST", "/", { length = 4, body = "done" }):finish()
---   assert.equal("DONE", flight:response().body)
---   app:close()
--- end)
--- ```
---@return moongate.test.Flight self
function flight:finish() end

--- Leaves: the connection is closed, after `seconds` of virtual time.
---
--- ```lua spec
--- local moongate = require("moongate")
--- local test = require("moongate.test")
---
--- it("leaves after a second", function()
---   local app = test.app(function(app)
---     app:get("/", function(ctx)
---       ctx:on_close(function(err) moongate.log.info(err.code) end)
---       ctx:sleep(60):await()
---     end)
---   end)
---   app:start("GET", "/"):disconnect(1)
---   app.clock:advance(2)
---   assert.equal("cancelled", app.logs[1].message)
---   app:close()
--- end)
--- ```
---@param seconds? number
---@return moongate.test.Flight self
function flight:disconnect(seconds) end

--- Keeps the connection for further requests, which `flight:send` sends; without it the answer's end
--- closes it.
---
--- ```lua spec
--- local test = require("moongate.test")
---
--- it("asks twice on one connection", function()
---   local app = test.app(function(app)
---     app:get("/", function(ctx) return tostring(ctx.connection.requests) end)
---   end)
---   local flight = app:start("GET", "/"):keep()
---   assert.equal("1", flight:response().body)
---   flight:send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
---   assert.equal("2", flight:response().body)
---   app:close()
--- end)
--- ```
---@return moongate.test.Flight self
function flight:keep() end

--- Waits for the next whole answer, in virtual time. Interim answers (1xx) are in its `interim`;
--- `closed` tells whether the server has closed the connection behind it.
---
--- ```lua spec
--- local test = require("moongate.test")
---
--- it("has the next whole answer", function()
---   local app = test.app(function(app)
---     app:get("/", function(ctx) ctx:sleep(2):await() return "late" end)
---   end)
---   local flight = app:start("GET", "/")
---   local res = flight:response()
---   assert.same({ 200, "late" }, { res.status, res.body })
---   app:close()
--- end)
--- ```
---@return moongate.test.Response
function flight:response() end

---@class moongate.test.Events an event stream that a spec reads
---@field status integer of the answer
---@field headers table<string, string> looked up without regard to case
---@field comments integer heartbeats among them
---@field retry number|false seconds, as the server said last
---@field last_id string of the events so far; "" if none had one
local events = {}

--- The next event, whose name is `message` if it has none, in virtual time; nil if none comes, or the
--- stream has ended.
---
--- ```lua spec
--- local test = require("moongate.test")
---
--- it("ticks", function()
---   local app = test.app(function(app)
---     app:get("/ticks", function(ctx)
---       return ctx:events(function(out)
---         for n = 1, 2 do
---           out:send({ event = "tick", data = n, id = n })
---           ctx:sleep(1):await()
---         end
---       end)
---     end)
---   end)
---   local ticks = app:events("/ticks")
---   assert.same({ event = "tick", data = "1", id = "1" }, ticks:next())
---   assert.equal("2", ticks:next(5).data)
---   assert.is_nil(ticks:next(5))
---   app:close()
--- end)
--- ```
---@param seconds? number that pass at most, 60 unless told
---@return { event: string, data: string, id: string? }?
function events:next(seconds) end

--- Whether the server has ended the stream, at this moment of virtual time.
---
--- ```lua spec
--- local test = require("moongate.test")
---
--- it("ends by itself", function()
---   local app = test.app(function(app)
---     app:get("/ticks", function(ctx)
---       return ctx:events(function(out)
---         for n = 1, 2 do
---           out:send({ event = "tick", data = n, id = n })
---           ctx:sleep(1):await()
---         end
---       end)
---     end)
---   end)
---   local ticks = app:events("/ticks")
---   assert.is_false(ticks:ended())
---   app.clock:advance(3)
---   assert.is_true(ticks:ended())
---   app:close()
--- end)
--- ```
---@return boolean
---@nodiscard
function events:ended() end

--- Does not read for a while, like a slow client.
---
--- ```lua spec
--- local moongate = require("moongate")
--- local test = require("moongate.test")
---
--- it("reads on later", function()
---   local app = test.app(function(app)
---     app:get("/feed", function(ctx) return ctx:events({ topics = { "news" } }) end)
---   end)
---   local feed = app:events("/feed"):pause()
---   moongate.publish("news", "hello")
---   feed:pause(false)
---   assert.equal("hello", feed:next().data)
---   feed:close()
---   app:close()
--- end)
--- ```
---@param paused? boolean false: reads on
---@return moongate.test.Events self
function events:pause(paused) end

--- Leaves.
---
--- ```lua spec
--- local moongate = require("moongate")
--- local test = require("moongate.test")
---
--- it("leaves", function()
---   local app = test.app(function(app)
---     app:get("/feed", function(ctx) return ctx:events({ topics = { "news" } }) end)
---   end)
---   local feed = app:events("/feed")
---   assert.equal(1, moongate.topics.count("news"))
---   feed:close()
---   app.clock:settle()
---   assert.equal(0, moongate.topics.count("news"))
---   app:close()
--- end)
--- ```
function events:close() end

---@class moongate.test.WebSocket a client's end of a WebSocket; it answers pings by itself
---@field protocol? string that was agreed on
---@field code? integer of its end
---@field reason? string of its end
local websocket = {}

--- Sends a message; what it is answered is received.
---
--- ```lua spec
--- local test = require("moongate.test")
---
--- it("sends bytes", function()
---   local app = test.app(function(app)
---     app:websocket("/echo", { message = function(ws, data, kind) ws:send(data, kind) end })
---   end)
---   local ws = assert(app:websocket("/echo"))
---   local data, kind = ws:send("\1\2", "binary"):receive()
---   assert.same({ "\1\2", "binary" }, { data, kind })
---   app:close()
--- end)
--- ```
---@param data string
---@param kind? "text"|"binary"
---@return moongate.test.WebSocket self
function websocket:send(data, kind) end

--- One frame of a message: `first` false: others came before; `final` false: others follow.
---
--- ```lua spec
--- local test = require("moongate.test")
---
--- it("sends a message in frames", function()
---   local app = test.app(function(app)
---     app:websocket("/echo", { message = function(ws, data, kind) ws:send(data, kind) end })
---   end)
---   local ws = assert(app:websocket("/echo"))
---   ws:send_piece("hel", true, false):send_piece("lo", false, true)
---   assert.equal("hello", ws:receive())
---   app:close()
--- end)
--- ```
---@param data string
---@param first boolean
---@param final boolean
---@return moongate.test.WebSocket self
function websocket:send_piece(data, first, final) end

--- The next message and its kind; virtual time passes as it must. nil, code and reason once the
--- socket has ended.
---
--- ```lua spec
--- local moongate = require("moongate")
--- local test = require("moongate.test")
---
--- it("waits for what comes later", function()
---   local app = test.app(function(app)
---     app:websocket("/", function(ws)
---       moongate.sleep(10):await()
---       ws:send("late")
---     end)
---   end)
---   local ws = assert(app:websocket("/"))
---   assert.equal("late", ws:receive())
---   assert.same({ nil, 1000, "" }, { ws:receive() })
---   app:close()
--- end)
--- ```
---@return string? data
---@return string|integer kind or code
---@return string? reason
function websocket:receive() end

--- All messages that have come until nothing more happens at this moment of virtual time.
---
--- ```lua spec
--- local test = require("moongate.test")
---
--- it("has all that has come", function()
---   local app = test.app(function(app)
---     app:websocket("/echo", { message = function(ws, data, kind) ws:send(data, kind) end })
---   end)
---   local ws = assert(app:websocket("/echo")):send("a"):send("b")
---   assert.same({ "a", "b" }, ws:received())
---   app:close()
--- end)
--- ```
---@return string[]
function websocket:received() end

--- Asks the app's end for a sign of life, which it gives by itself.
---
--- ```lua spec
--- local test = require("moongate.test")
---
--- it("pings", function()
---   local app = test.app(function(app)
---     app:websocket("/echo", { message = function(ws, data, kind) ws:send(data, kind) end })
---   end)
---   local ws = assert(app:websocket("/echo")):ping("there?")
---   assert.equal("still", ws:send("still"):receive())
---   app:close()
--- end)
--- ```
---@param data? string
---@return moongate.test.WebSocket self
function websocket:ping(data) end

--- Closes, and waits for the app to do so.
---
--- ```lua spec
--- local moongate = require("moongate")
--- local test = require("moongate.test")
---
--- it("tells the app why", function()
---   local app = test.app(function(app)
---     app:websocket("/", {
---       message = function() end,
---       close = function(_, code, reason) moongate.log.info(code .. " " .. reason) end,
---     })
---   end)
---   local ws = assert(app:websocket("/"))
---   assert.equal(4001, ws:close(4001, "enough"))
---   assert.equal("4001 enough", app.logs[1].message)
---   app:close()
--- end)
--- ```
---@param code? integer 1000 unless told
---@param reason? string
---@return integer code
---@return string reason
function websocket:close(code, reason) end

--- Leaves without a word.
---
--- ```lua spec
--- local moongate = require("moongate")
--- local test = require("moongate.test")
---
--- it("is gone without a word", function()
---   local app = test.app(function(app)
---     app:websocket("/", {
---       message = function() end,
---       close = function(_, code) moongate.log.info(tostring(code)) end,
---     })
---   end)
---   assert(app:websocket("/")):disconnect()
---   app.clock:settle()
---   assert.equal("1006", app.logs[1].message)
---   app:close()
--- end)
--- ```
function websocket:disconnect() end

--- Does not read for a while, like a slow client.
---
--- ```lua spec
--- local test = require("moongate.test")
---
--- it("reads on later", function()
---   local app = test.app(function(app)
---     app:websocket("/echo", { message = function(ws, data, kind) ws:send(data, kind) end })
---   end)
---   local ws = assert(app:websocket("/echo")):pause():send("hello")
---   assert.same({}, ws:received())
---   assert.equal("hello", ws:pause(false):receive())
---   app:close()
--- end)
--- ```
---@param paused? boolean
---@return moongate.test.WebSocket self
function websocket:pause(paused) end

---@class moongate.test.ServerWebSocket the server's end of what `app:stub_websocket` answers
---@field path string with its query
---@field headers table<string, string> by names in lower case
---@field protocol? string the first that the client offers
local server = {}

--- Sends a message to the client.
---
--- ```lua spec
--- local moongate = require("moongate")
--- local test = require("moongate.test")
---
--- it("answers", function()
---   local app = test.app(function(app)
---     app:get("/", function()
---       local ws = moongate.websocket.connect("ws://feed.internal/"):await()
---       ws:send("moon")
---       local data = ws:receive():await()
---       return data or "ended with " .. ws.code
---     end)
---   end)
---   app:stub_websocket("ws://feed.internal/", function(ws)
---     ws:receive():await()
---     ws:send("full")
---   end)
---   assert.equal("full", app:get("/").body)
---   app:close()
--- end)
--- ```
---@param data string
---@param kind? "text"|"binary"
---@return moongate.test.ServerWebSocket self
function server:send(data, kind) end

--- The next message and its kind; nil, code and reason once the client has closed.
---
--- ```lua spec
--- local moongate = require("moongate")
--- local test = require("moongate.test")
---
--- it("answers what is asked", function()
---   local app = test.app(function(app)
---     app:get("/", function()
---       local ws = moongate.websocket.connect("ws://feed.internal/"):await()
---       ws:send("moon")
---       local data = ws:receive():await()
---       return data or "ended with " .. ws.code
---     end)
---   end)
---   app:stub_websocket("ws://feed.internal/", function(ws)
---     ws:send(ws:receive():await() .. " is full")
---   end)
---   assert.equal("moon is full", app:get("/").body)
---   app:close()
--- end)
--- ```
---@return moongate.Future<string?>
function server:receive() end

--- Messages and their kinds, until the client closes.
---
--- ```lua spec
--- local moongate = require("moongate")
--- local test = require("moongate.test")
---
--- it("answers each message", function()
---   local app = test.app(function(app)
---     app:get("/", function()
---       local ws = moongate.websocket.connect("ws://feed.internal/"):await()
---       ws:send("moon")
---       local data = ws:receive():await()
---       return data or "ended with " .. ws.code
---     end)
---   end)
---   app:stub_websocket("ws://feed.internal/", function(ws)
---     for data in ws:messages() do ws:send(data:upper()) end
---   end)
---   assert.equal("MOON", app:get("/").body)
---   app:close()
--- end)
--- ```
---@return async fun(): string?
function server:messages() end

--- Closes, and waits for the client's half.
---
--- ```lua spec
--- local moongate = require("moongate")
--- local test = require("moongate.test")
---
--- it("ends it", function()
---   local app = test.app(function(app)
---     app:get("/", function()
---       local ws = moongate.websocket.connect("ws://feed.internal/"):await()
---       ws:send("moon")
---       local data = ws:receive():await()
---       return data or "ended with " .. ws.code
---     end)
---   end)
---   app:stub_websocket("ws://feed.internal/", function(ws)
---     ws:receive():await()
---     ws:close(4001, "no more")
---   end)
---   assert.equal("ended with 4001", app:get("/").body)
---   app:close()
--- end)
--- ```
---@param code? integer 1000 unless told
---@param reason? string
function server:close(code, reason) end

--- The connection fails: the client sees 1006.
---
--- ```lua spec
--- local moongate = require("moongate")
--- local test = require("moongate.test")
---
--- it("fails", function()
---   local app = test.app(function(app)
---     app:get("/", function()
---       local ws = moongate.websocket.connect("ws://feed.internal/"):await()
---       ws:send("moon")
---       local data = ws:receive():await()
---       return data or "ended with " .. ws.code
---     end)
---   end)
---   app:stub_websocket("ws://feed.internal/", function(ws)
---     ws:receive():await()
---     ws:drop()
---   end)
---   assert.equal("ended with 1006", app:get("/").body)
---   app:close()
--- end)
--- ```
function server:drop() end
