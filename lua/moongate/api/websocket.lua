---@meta _

--- A WebSocket that a route of `app:websocket` serves. It is closed with 1000 unless something else
--- is said, with 1001 when it is idle, 1008 when its peer sends faster than `rate`, 1009 when a
--- message is larger than `max_message`, 1011 when a function fails, 1012 when its scripts go, 1013
--- when its peer takes too slowly what is published.
---@class moongate.WebSocket
---@field params table<string, string|number> of the route's pattern
---@field headers table<string, string> of the request, in any case
---@field protocol? string the subprotocol that was agreed on
---@field state table what scripts keep of it: at a reload it crosses as JSON, of 64 KiB at most
local ws = {}

--- Sends a message; suspends while much waits for a slow peer. Raises with code `closed` once nothing
--- can be sent; uncaught, that is logged only if it was a script that has closed the socket.
---
--- ```lua spec
--- local test = require("moongate.test")
---
--- it("echoes", function()
---   local app = test.app(function(app)
---     app:websocket("/echo", { message = function(ws, data, kind) ws:send(data, kind) end })
---   end)
---   local ws = assert(app:websocket("/echo"))
---   assert.equal("hello", ws:send("hello"):receive())
---   app:close()
--- end)
--- ```
---@param data string|number|table a table becomes JSON; text is UTF-8
---@param kind? "text"|"binary" "text" unless told
---@return moongate.WebSocket self
function ws:send(data, kind) end

--- Closes; what was sent still leaves.
---
--- ```lua spec
--- local test = require("moongate.test")
---
--- it("sends away who says nothing useful", function()
---   local app = test.app(function(app)
---     app:websocket("/", { message = function(ws) ws:close(4000, "no idea") end })
---   end)
---   local ws = assert(app:websocket("/")):send("?")
---   assert.same({ nil, 4000, "no idea" }, { ws:receive() })
---   app:close()
--- end)
--- ```
---@param code? integer 1000 unless told; 3000 to 4999 are yours
---@param reason? string of at most 123 bytes
function ws:close(code, reason) end

--- Asks the peer for a sign of life, as the option `ping` does by itself.
---
--- ```lua spec
--- local test = require("moongate.test")
---
--- it("asks for a sign of life", function()
---   local app = test.app(function(app)
---     app:websocket("/", { open = function(ws) ws:ping("there?") end, message = function() end })
---   end)
---   local ws = assert(app:websocket("/")) -- whose end answers by itself
---   assert.equal(1000, ws:close())
---   app:close()
--- end)
--- ```
---@param data? string of at most 125 bytes
function ws:ping(data) end

--- The messages, until the socket has ended: of a socket that a coroutine has.
---
--- ```lua spec
--- local test = require("moongate.test")
---
--- it("echoes", function()
---   local app = test.app(function(app)
---     app:websocket("/echo", function(ws)
---       for data, kind in ws:messages() do ws:send(data, kind) end
---     end)
---   end)
---   local ws = assert(app:websocket("/echo"))
---   assert.equal("hello", ws:send("hello"):receive())
---   app:close()
--- end)
--- ```
---@return fun(): string?
function ws:messages() end

--- The next message and its kind; nil once the socket has ended.
---
--- ```lua spec
--- local test = require("moongate.test")
---
--- it("asks a question first", function()
---   local app = test.app(function(app)
---     app:websocket("/", function(ws)
---       ws:send("your name?")
---       local name = ws:receive():timeout(10):await()
---       ws:send("hello, " .. name)
---     end)
---   end)
---   local ws = assert(app:websocket("/"))
---   assert.equal("your name?", ws:receive())
---   assert.equal("hello, Ada", ws:send("Ada"):receive())
---   app:close()
--- end)
--- ```
---@return moongate.Future<string?>
---@nodiscard
function ws:receive() end

--- What is published to the topic comes to this socket from now on, also past a reload.
---
--- ```lua spec
--- local moongate = require("moongate")
--- local test = require("moongate.test")
---
--- it("tells what is published", function()
---   local app = test.app(function(app)
---     app:websocket("/news", { open = function(ws) ws:subscribe("news") end, message = function() end })
---   end)
---   local ws = assert(app:websocket("/news"))
---   moongate.publish("news", "hello")
---   assert.equal("hello", ws:receive())
---   app:close()
--- end)
--- ```
---@param topic string of at most 255 bytes
---@return moongate.WebSocket self
function ws:subscribe(topic) end

--- What is published to the topic does not come to this socket any more.
---
--- ```lua spec
--- local moongate = require("moongate")
--- local test = require("moongate.test")
---
--- it("is told no more", function()
---   local app = test.app(function(app)
---     app:websocket("/news", {
---       open = function(ws) ws:subscribe("news") end,
---       message = function(ws) ws:unsubscribe("news"):send("as you wish") end,
---     })
---   end)
---   local ws = assert(app:websocket("/news"))
---   assert.equal("as you wish", ws:send("stop"):receive())
---   moongate.publish("news", "hello")
---   assert.same({}, ws:received())
---   app:close()
--- end)
--- ```
---@param topic string
---@return moongate.WebSocket self
function ws:unsubscribe(topic) end

--- To every subscriber of the topic in every worker, but not to this socket.
---
--- ```lua spec
--- local test = require("moongate.test")
---
--- it("tells the others", function()
---   local app = test.app(function(app)
---     app:websocket("/chat/:room", {
---       open = function(ws, ctx) ws:subscribe("room:" .. ctx.params.room) end,
---       message = function(ws, data) ws:publish("room:" .. ws.params.room, data) end,
---     })
---   end)
---   local one, other = assert(app:websocket("/chat/1")), assert(app:websocket("/chat/1"))
---   one:send("hello")
---   assert.equal("hello", other:receive())
---   app:close()
--- end)
--- ```
---@param topic string
---@param data string|number|table a table becomes JSON
---@param options? table self = true: to this socket too; kind = "binary"
---@return moongate.WebSocket self
function ws:publish(topic, data, options) end
