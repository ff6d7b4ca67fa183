--- Topics: names to which WebSockets and event streams subscribe, and what is published there
--- reaches all of them, in every worker. Pair of src/lua/bind_topics.c.
local native = require("moongate.native")
local check = require("moongate.core.check")
local text = require("moongate.core.text")
local Future = require("moongate.future")

local M = {}

--- What is published and may be subscribed to.
---@param what string for the message
---@return string
function M.check_name(what, name)
  check.string(what, name)
  local fault = native.topic_fault(name)
  if fault then
    check.fail(what .. ": a topic's name has 1 to 255 bytes and no control character: " .. fault)
  end
  return name
end

-- A table becomes JSON.
local function payload_of(value)
  if type(value) == "string" then
    return value
  elseif type(value) == "table" and getmetatable(value) ~= Future then
    local ok, encoded = pcall(native.json.encode, value)
    return ok and encoded or check.fail("publish: the value: " .. encoded)
  elseif type(value) ~= "number" then
    check.fail("publish: the value: a string or a table is wanted, not " .. check.describe(value))
  end
  return (text.of(value))
end

local function word(name, value)
  if type(value) ~= "string" and type(value) ~= "number" then
    check.fail(name .. ": a text is wanted, not " .. check.describe(value))
  end
  return (text.of(value))
end

local OPTIONS = {
  event = word, id = word,
  kind = function(name, value)
    return check.one_of(name, value, { text = true, binary = true })
  end,
}

--- Sends a message to whoever subscribes, in every worker. A table becomes JSON.
---@param topic string 1 to 255 bytes
---@param value string|table|number
---@param options table? kind ("text", "binary"); event, id: of the event in event streams
function M.publish(topic, value, options)
  Future._refuse_loading("publish", 2)
  M.check_name("publish: the topic", topic)
  options = options and check.options("publish", options, OPTIONS) or {}
  local fault = native.topic_publish(topic, payload_of(value), options.kind == "binary",
    options.event and word("event", options.event), options.id and word("id", options.id))
  if fault then
    check.fail("publish: " .. fault)
  end
end

--- How many subscribe now, in all workers of this machine.
---@param topic string
---@return integer
function M.count(topic)
  M.check_name("count: the topic", topic)
  Future._refuse_loading("count", 2)
  return native.topic_count(topic)
end

return M
