--- Pub/sub: what redis:subscribe gives. Pair of src/lua/bind_redis_listen.c.
local native = require("moongate.native")
local asking = require("moongate.core.redis.asking")
local check = require("moongate.core.check")
local hearing = require("moongate.core.hearing")
local statement = require("moongate.core.database.statement")
local suggest = require("moongate.core.suggest")
local Future = require("moongate.future")

local M = {}

local KINDS = { channels = 0, patterns = 1, sharded = 2 }

---@class moongate.RedisMessages
local Messages = hearing.class({
  title = "what redis:subscribe gives", next = native.redis_next,
  refusal = function(messages, what)
    return asking.refusal(messages._name, what, nil, hearing.where(messages))
  end,
})

local function names(what, list, level)
  if type(list) ~= "table" or #list == 0 or not check.is_list(list) then
    error("subscribe: " .. what .. ": a list of names is wanted", level + 1)
  end
  for _, name in ipairs(list) do
    if type(name) ~= "string" or name == "" or name:find("%z") then
      error("subscribe: " .. what .. ": a name is wanted, not " .. check.describe(name), level + 1)
    end
  end
  return list
end

-- Kind, name, kind, name ... of what a script gives: names, or one table of lists.
local function channels_of(level, first, ...)
  local flat = {}
  local given = type(first) == "table" and first or { channels = { first, ... } }
  for kind in pairs(given) do
    if not KINDS[kind] then
      error("subscribe: there is no '" .. tostring(kind) .. "'"
        .. suggest.for_name(tostring(kind), KINDS) .. "; allowed: channels, patterns, sharded",
        level + 1)
    end
  end
  for _, kind in ipairs({ "channels", "patterns", "sharded" }) do
    if given[kind] then
      for _, name in ipairs(names(kind, given[kind], level + 1)) do
        flat[#flat + 1] = KINDS[kind]
        flat[#flat + 1] = name
      end
    end
  end
  if not flat[1] then
    error("subscribe: a channel is wanted", level + 1)
  end
  return flat
end

-- In specs a stub of "SUBSCRIBE channel ..." is a list of messages.
local function stub_of(scope, level, flat)
  if not asking.stub then
    return false
  end
  local command = { "SUBSCRIBE" }
  for i = 2, #flat, 2 do
    command[#command + 1] = flat[i]
  end
  return (asking.stub(scope, level + 1, command))
end

---@return moongate.RedisMessages
function M.open(scope, level, name, ...)
  local flat = channels_of(level + 1, ...)
  Future._refuse_loading("listening", level + 1)
  statement.sweep()
  local messages = hearing.new(Messages, scope, level + 1, name, stub_of(scope, level + 1, flat))
  if messages._stubbed then
    return messages
  end
  local listener, what, message = native.redis_listen(name, unpack(flat))
  if not listener then
    Future._raise(asking.refusal(name, what, message, hearing.where(messages)))
  end
  hearing.begin(messages, level + 1, listener)
  return messages
end

return M
