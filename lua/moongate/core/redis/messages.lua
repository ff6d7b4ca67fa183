--- Pub/sub: what redis:subscribe gives. Pair of src/lua/bind_redis_listen.c.
---
--- Listening begins at once, and ends with the scope, with the coroutine that asked for the first
--- message, or when nobody can ask any more.
local native = require("moongate.native")
local asking = require("moongate.core.redis.asking")
local check = require("moongate.core.check")
local sched = require("moongate.core.sched")
local statement = require("moongate.core.database.statement")
local suggest = require("moongate.core.suggest")
local Future = require("moongate.future")
local time = require("moongate.time")

local M = {}

local KINDS = { channels = 0, patterns = 1, sharded = 2 }

---@class moongate.RedisMessages
local Messages = {}
Messages.__index = Messages

--- Hears no more: a loop over it ends.
function Messages:close()
  local holder = self._holder
  self._closed, self._holder = true, false
  if holder then
    if self._task then
      sched.release(self._task, holder)
    end
    holder:cancel("the channels were left")
  end
end

local function where(messages)
  return messages._source .. ":" .. messages._line
end

local function ask(messages, for_message)
  local operation, what = native.redis_next(messages._listener, for_message)
  if what == "busy" then
    error("somebody else waits for it", 3)
  elseif not operation then
    Future._raise(asking.refusal(messages._name, what, nil, where(messages)))
  end
  local future = time.operation(operation, messages._scope, 3)
  future._source, future._line = messages._source, messages._line
  return future
end

local function hold(messages)
  if not sched.current then
    error("messages are awaited in a coroutine: in a handler, a callback or moongate.spawn(fn)", 3)
  elseif not messages._task then
    messages._task = sched.current
    sched.hold(sched.current, messages._holder)
  end
end

function Messages:__call()
  if self._closed then
    return nil
  elseif self._stubbed then
    return table.remove(self._stubbed:await(), 1)
  end
  hold(self)
  local message, err = ask(self, true):try_await()
  if message then
    return message
  elseif self._closed then
    return nil
  end
  self:close()
  error(err, 0)
end

--- Resolved once all channels are listened to: what is published from then on is not missed.
---@return moongate.Future
function Messages:ready()
  if self._stubbed then
    return self._stubbed
  end
  return (Future._named("ready", ask(self, false)))
end

suggest.close(Messages, "what redis:subscribe gives")

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
  local source, line = native.where(level + 1)
  local messages = setmetatable({
    _name = name, _scope = scope, _listener = false, _holder = false, _task = false,
    _closed = false, _stubbed = stub_of(scope, level + 1, flat), _source = source, _line = line,
  }, Messages)
  if messages._stubbed then
    return messages
  end
  local listener, what, message = native.redis_listen(name, unpack(flat))
  if not listener then
    Future._raise(asking.refusal(name, what, message, where(messages)))
  end
  local holder = Future._new(scope, level + 1)
  holder._operation, holder._consumers = listener, 1
  holder._cancel = function()
    native.cancel(listener)
  end
  messages._listener, messages._holder = listener, holder
  statement.guard(messages, holder)
  return messages
end

return M
