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
