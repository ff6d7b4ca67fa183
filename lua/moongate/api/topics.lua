---@meta _

--- Topics: names under which messages are published. Whoever subscribes, WebSockets and event
--- streams of every worker, is told; the messages of one publisher come in their order. Nothing is
--- kept for who comes later. See the [guide](guide-live.md).
---@class moongate.topics
local topics = {}

---@class moongate.PublishOptions
---@field kind? "text"|"binary" of a WebSocket's message; event streams do not get binary ones
---@field event? string of event streams: the event's name
---@field id? string of event streams: what a client that comes again names as the last it has seen

--- Sends a message to whoever subscribes to `topic`, in every worker, at once. `moongate.publish` is
--- the same function. A table becomes JSON. What cannot be raises; a message has at most
--- `limits.outbox` bytes, and 256 KiB.
---
--- ```lua
--- app:post("/rooms/:room", function(ctx)
---   moongate.publish("room:" .. ctx.params.room, { text = ctx:body():await() })
---   return 202, "told"
--- end)
--- --> POST /rooms/1 "hello" => 202 told
--- ```
---@param topic string of 1 to 255 bytes, without control characters
---@param value string|number|table
---@param options? moongate.PublishOptions
function topics.publish(topic, value, options) end

--- How many subscribe to `topic` now, in all workers of this machine.
---
--- ```lua
--- app:get("/rooms/:room/count", function(ctx)
---   return { members = moongate.topics.count("room:" .. ctx.params.room) }
--- end)
--- --> GET /rooms/1/count => 200 {"members":0}
--- ```
---@param topic string
---@return integer
---@nodiscard
function topics.count(topic) end
