---@meta moongate.test

---@class moongate.test.Response what a request of a spec is answered
---@field status integer
---@field headers table<string, string> looked up without regard to case; repeated ones joined
---@field header_list string[][] each line, as { name, value }
---@field body string
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
---@return number
function clock:elapsed() end

--- Virtual seconds from a beginning of the clock's own. The time of day is `moongate.now()`, in a spec
--- as in a handler: it goes on with this clock.
---@return number
function clock:now() end

--- Lets `seconds` pass: timers fire on their way, in order.
---@param seconds number
function clock:advance(seconds) end

--- Turns the loop until nothing happens at this moment of virtual time.
function clock:settle() end

---@class moongate.test.Flight a request under way that the spec drives
local flight = {}

--- Sends more bytes, as they are.
---@param bytes string
---@return moongate.test.Flight self
function flight:send(bytes) end

--- All bytes that have come until nothing more happens at this moment of virtual time.
---@return string bytes
---@return boolean closed by the server
function flight:read() end

--- Does not read for a while, like a slow client.
---@param paused? boolean false: reads on
---@return moongate.test.Flight self
function flight:pause(paused) end

--- Sends a FIN: the client sends no more.
---@return moongate.test.Flight self
function flight:finish() end

--- Leaves: the connection is closed, after `seconds` of virtual time.
---@param seconds? number
---@return moongate.test.Flight self
function flight:disconnect(seconds) end

--- Keeps the connection for further requests, which `flight:send` sends; without it the answer's end
--- closes it.
---@return moongate.test.Flight self
function flight:keep() end

--- Waits for the next whole answer, in virtual time. Interim answers (1xx) are in its `interim`;
--- `closed` tells whether the server has closed the connection behind it.
---@return moongate.test.Response
function flight:response() end

---@class moongate.test.Events an event stream that a spec reads
---@field status integer
---@field headers table<string, string> looked up without regard to case
---@field comments integer heartbeats among them
---@field retry number|false seconds, as the server said last
---@field last_id string
local events = {}

--- The next event, whose name is `message` if it has none, in virtual time; nil if none comes, or the
--- stream has ended.
---@param seconds? number that pass at most, 60 unless told
---@return { event: string, data: string, id: string? }?
function events:next(seconds) end

--- Whether the server has ended the stream, at this moment of virtual time.
---@return boolean
---@nodiscard
function events:ended() end

--- Does not read for a while, like a slow client.
---@param paused? boolean false: reads on
---@return moongate.test.Events self
function events:pause(paused) end

--- Leaves.
function events:close() end

---@class moongate.test.WebSocket a client's end of a WebSocket; it answers pings by itself
---@field protocol? string that was agreed on
---@field code? integer of its end
---@field reason? string
local websocket = {}

---@param data string
---@param kind? "text"|"binary"
---@return moongate.test.WebSocket self
function websocket:send(data, kind) end

--- One frame of a message: `first` false: others came before; `final` false: others follow.
---@param data string
---@param first boolean
---@param final boolean
---@return moongate.test.WebSocket self
function websocket:send_piece(data, first, final) end

--- The next message and its kind; virtual time passes as it must. nil, code and reason once the
--- socket has ended.
---@return string? data
---@return string|integer kind or code
---@return string? reason
function websocket:receive() end

--- All messages that have come until nothing more happens at this moment of virtual time.
---@return string[]
function websocket:received() end

---@param data? string
---@return moongate.test.WebSocket self
function websocket:ping(data) end

--- Closes, and waits for the app to do so.
---@param code? integer 1000 unless told
---@param reason? string
---@return integer code
---@return string reason
function websocket:close(code, reason) end

--- Leaves without a word.
function websocket:disconnect() end

--- Does not read for a while, like a slow client.
---@param paused? boolean
---@return moongate.test.WebSocket self
function websocket:pause(paused) end

---@class moongate.test.ServerWebSocket the server's end of what `app:stub_websocket` answers
---@field path string with its query
---@field headers table<string, string> by names in lower case
---@field protocol? string the first that the client offers
local server = {}

---@param data string
---@param kind? "text"|"binary"
---@return moongate.test.ServerWebSocket self
function server:send(data, kind) end

--- The next message and its kind; nil, code and reason once the client has closed.
---@return moongate.Future<string?>
function server:receive() end

--- Messages and their kinds, until the client closes.
---@return async fun(): string?
function server:messages() end

--- Closes, and waits for the client's half.
---@param code? integer 1000 unless told
---@param reason? string
function server:close(code, reason) end

--- The connection fails: the client sees 1006.
function server:drop() end

---@class moongate.test.App
local app = {}

--- A server in memory for what `moongate.websocket.connect` opens: `fn(ws)` runs for each socket,
--- which is closed when it returns; `ws` has `path`, `headers`, `protocol` (the first that the client
--- offers), `:send`, `:receive`, `:messages`, `:close`, and `:drop()` for a connection that fails. Or
--- the status of an answer that makes no WebSocket; or how connecting fails.
---
--- ```lua spec
--- local moongate = require("moongate")
--- local test = require("moongate.test")
---
--- it("tells of a feed that fails", function()
---   local app = test.app(function(app)
---     app:get("/last", function()
---       local ws = moongate.websocket.connect("ws://feed.internal/"):await()
---       for _ in ws:messages() do
---       end
---       return { code = ws.code }
---     end)
---   end)
---   app:stub_websocket("ws://feed.internal/", function(ws)
---     ws:send("one"):drop()
---   end)
---   assert.same({ code = 1006 }, app:get("/last"):json())
--- end)
--- ```
---@param url string "ws://host/path", "wss://host/path"
---@param fn async fun(ws: moongate.test.ServerWebSocket)|integer|table
---@return moongate.test.App self
function app:stub_websocket(url, fn) end
