---@meta moongate.test

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
