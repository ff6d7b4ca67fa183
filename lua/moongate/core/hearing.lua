--- What db:listen and redis:subscribe give: an iterator over what is told. Pair of
--- src/lua/listener.c.
---
--- Listening begins at once, and ends with the scope, with the coroutine that asked for the first
--- message, or when nobody can ask any more.
local native = require("moongate.native")
local sched = require("moongate.core.sched")
local statement = require("moongate.core.database.statement")
local suggest = require("moongate.core.suggest")
local Future = require("moongate.future")
local time = require("moongate.time")

local M = {}

---@class moongate.HearingKind
---@field title string for texts: "what db:listen gives"
---@field next fun(listener: number, for_message: boolean): number?, string? see src/lua/listener.h
---@field refusal fun(hearing: table, what: string): moongate.Error why there is no listener

local function ask(hearing, for_message)
  local kind = hearing._kind
  local operation, what = kind.next(hearing._listener, for_message)
  if what == "busy" then
    error("somebody else waits for it", 3)
  elseif not operation then
    Future._raise(kind.refusal(hearing, what))
  end
  local future = time.operation(operation, hearing._scope, 3)
  future._source, future._line = hearing._source, hearing._line
  return future
end

local function hold(hearing)
  if not sched.current then
    error("messages are awaited in a coroutine: in a handler, a callback or moongate.spawn(fn)", 3)
  elseif not hearing._task then
    hearing._task = sched.current
    sched.hold(sched.current, hearing._holder)
  end
end

local Hearing = {}

--- Hears no more: a loop over it ends.
function Hearing:close()
  local holder = self._holder
  self._closed, self._holder = true, false
  if holder then
    if self._task then
      sched.release(self._task, holder)
    end
    holder:cancel("what was listened to was left")
  end
end

function Hearing:__call()
  if self._closed then
    return nil
  elseif self._stubbed then
    return table.remove(self._stubbed:await(), 1)
  end
  hold(self)
  local message, err = ask(self, true):try_await()
  if message then
    message.channel = message.channel or self._channel or nil
    return message
  elseif self._closed then
    return nil
  end
  self:close()
  error(err, 0)
end

--- Resolved once it listens: what is told from then on is not missed.
---@return moongate.Future
function Hearing:ready()
  if self._stubbed then
    return self._stubbed
  end
  return (Future._named("ready", ask(self, false)))
end

--- A class of its own for each who gives such iterators.
---@param kind moongate.HearingKind
function M.class(kind)
  local class = { _kind = kind }
  for name, fn in pairs(Hearing) do
    class[name] = fn
  end
  class.__index = class
  return suggest.close(class, kind.title)
end

--- A new one, which hears nothing yet.
---@param class table of M.class
---@param stubbed moongate.Future|false in specs: of a list of messages
---@param channel string? of all its messages, if they do not tell theirs
function M.new(class, scope, level, name, stubbed, channel)
  local source, line = native.where(level + 1)
  return setmetatable({
    _name = name, _scope = scope, _channel = channel or false, _listener = false,
    _holder = false, _task = false, _closed = false, _stubbed = stubbed, _source = source,
    _line = line,
  }, class)
end

--- "file:line" of whoever listens.
function M.where(hearing)
  return hearing._source .. ":" .. hearing._line
end

--- It hears what comes for `listener`, a handle of C.
function M.begin(hearing, level, listener)
  local holder = Future._new(hearing._scope, level + 1)
  holder._operation, holder._consumers = listener, 1
  holder._cancel = function()
    native.cancel(listener)
  end
  hearing._listener, hearing._holder = listener, holder
  statement.guard(hearing, holder)
end

return M
