--- What everything that asks Redis has in common: how a command is started, or refused.
local native = require("moongate.native")
local check = require("moongate.core.check")
local errors = require("moongate.core.errors")
local suggest = require("moongate.core.suggest")
local words = require("moongate.core.redis.words")
local Future = require("moongate.future")
local time = require("moongate.time")

local M = {}

local WAIT_BEYOND = 1 -- seconds that a reply may take beyond what its command waits at the server

native.redis_errors(errors.Error)

local NONE = 'no Redis is configured: redis = "redis://127.0.0.1:6379" in the configuration, or '
  .. 'cache = "redis://..."'

--- In specs: function(scope, level, words) -> the Future of what a command is stubbed with.
M.stub = false

local function unknown(name)
  local names, known = native.redis_names(), {}
  if #names == 0 then
    return NONE
  end
  for _, other in ipairs(names) do
    known[other] = true
  end
  return "there is no Redis '" .. name .. "'" .. suggest.for_name(name, known) .. "; configured: "
    .. table.concat(names, ", ")
end

--- The error of what a native function did not start.
---@param what "unknown"|"limit"|"down"|"refused"|"closed"
---@return moongate.Error
function M.refusal(name, what, message, where)
  if what == "unknown" then
    message = unknown(name)
  end
  return errors.new("redis", message or "nobody listens any more", { reason = what, where = where })
end

--- The Future of what a native function has started, or has not.
function M.started(scope, level, name, handle, what, message)
  if handle then
    return (time.operation(handle, scope, level + 1))
  end
  local future = Future._new(scope, level + 1)
  future:reject(M.refusal(name, what, message, future:_where()))
  return future
end

-- All of them, each stubbed for itself: an error of one is its reply, as of the real ones.
local function all_stubbed(scope, level, list)
  local futures = {}
  for i, command in ipairs(list) do
    futures[i] = M.stub(scope, level + 1, command)
  end
  return Future.all_settled(futures):and_then(function(settled)
    local replies = native.json.array()
    for i, one in ipairs(settled) do
      replies[i] = one.state == "rejected" and one.err or one.value
      if replies[i] == nil then
        replies[i] = native.json.null
      end
    end
    return replies
  end)
end

-- The seconds that what waits at the server may take; nil: for ever.
local function limit_of(seconds)
  return seconds > 0 and seconds + WAIT_BEYOND or nil
end

--- One command, whatever it is. What waits at the server has a connection of its own.
function M.send(scope, level, name, timeout, ...)
  if M.stub then
    return (M.stub(scope, level + 1, words.list("command", { ... }, level + 1)))
  end
  local seconds = words.waits(...)
  local handle, what, why
  if seconds then
    handle, what, why = native.redis_waiting(name, limit_of(seconds), ...)
  else
    handle, what, why = native.redis_command(name, timeout, ...)
  end
  if what == "word" then
    words.of((select(why, ...)), why, level + 1) -- raises
  end
  return (M.started(scope, level + 1, name, handle, what, why))
end

--- A list of lists of texts, sent together.
function M.send_several(scope, level, name, timeout, list)
  if M.stub then
    return (all_stubbed(scope, level + 1, list))
  end
  local seconds = words.all_wait(list)
  return (M.started(scope, level + 1, name, native.redis_several(name,
    seconds and limit_of(seconds) or timeout, list, seconds ~= nil)))
end

--- The same as a transaction, in which nothing waits.
function M.send_transaction(scope, level, name, timeout, list)
  if M.stub then
    return (all_stubbed(scope, level + 1, list))
  end
  return (M.started(scope, level + 1, name, native.redis_transaction(name, timeout, list)))
end

--- A list of commands as lists of texts.
function M.commands(what, list, level)
  if type(list) ~= "table" or type(list[1]) ~= "table" or not check.is_list(list) then
    error(what .. ': a list of commands is wanted, as in { { "SET", "key", 1 }, { "GET", "key" } }',
      level + 1)
  end
  local commands = {}
  for i = 1, #list do
    local command = words.list(what .. ", command " .. i, list[i], level + 1)
    words.refuse(command[1], command[2], level + 1)
    commands[i] = command
  end
  return commands
end

return M
