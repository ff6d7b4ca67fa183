--- Channels: what db:listen gives. Pair of src/lua/bind_listen.c.
---
--- Listening begins at once, and ends with the scope, with the coroutine that asked for the first
--- note, or when nobody can ask any more.
local native = require("moongate.native")
local notify = require("moongate.core.database.notify")
local sched = require("moongate.core.sched")
local statement = require("moongate.core.database.statement")
local Future = require("moongate.future")
local time = require("moongate.time")

local M = {}

---@class moongate.Notes
local Notes = {}
Notes.__index = Notes

--- Hears no more: a loop over it ends.
function Notes:close()
  local holder = self._holder
  self._closed, self._holder = true, false
  if holder then
    if self._task then
      sched.release(self._task, holder)
    end
    holder:cancel("the channel was left")
  end
end

local function fail(notes, what)
  Future._raise(statement.refusal(notes._name, what, notes._source .. ":" .. notes._line))
end

local function ask(notes, for_note)
  local operation, what = native.listener_next(notes._listener, for_note)
  if what == "busy" then
    error("somebody else waits for it", 3)
  elseif not operation then
    fail(notes, what)
  end
  local future = time.operation(operation, notes._scope, 3)
  future._source, future._line = notes._source, notes._line
  return future
end

local function hold(notes)
  if not sched.current then
    error("notes are awaited in a coroutine: in a handler, a callback or moongate.spawn(fn)", 3)
  elseif not notes._task then
    notes._task = sched.current
    sched.hold(sched.current, notes._holder)
  end
end

function Notes:__call()
  if self._closed then
    return nil
  elseif self._stubbed then
    return table.remove(self._stubbed:await(), 1)
  end
  hold(self)
  local note, err = ask(self, true):try_await()
  if note then
    note.channel = self._channel
    return note
  elseif self._closed then
    return nil
  end
  self:close()
  error(err, 0)
end

--- Resolved once it listens: what is told from then on is not missed.
---@return moongate.Future
function Notes:ready()
  if self._stubbed then
    return self._stubbed
  end
  return (Future._named("ready", ask(self, false)))
end

local function new(scope, level, name, channel)
  local source, line = native.where(level + 1)
  return setmetatable({
    _name = name, _scope = scope, _channel = channel, _listener = false, _holder = false,
    _task = false, _closed = false, _stubbed = false, _source = source, _line = line,
  }, Notes)
end

local function refuse(level, name, call)
  error(call .. ": channels are PostgreSQL's, and database '" .. name .. "' is SQLite", level + 1)
end

--- Raises if what is told in a database reaches nobody.
function M.refuse_notify(level, name)
  if native.database_has_channels(name) == false then
    refuse(level + 1, name, "notify")
  end
end

--- In specs a stub of "LISTEN channel" is a list of notes.
---@return moongate.Notes
function M.open(scope, level, name, channel)
  notify.check_channel(level + 1, "listen", channel)
  Future._refuse_loading("listening", level + 1)
  statement.sweep()
  local notes = new(scope, level + 1, name, channel)
  notes._stubbed = statement.stub
    and statement.stub(scope, level + 1, "LISTEN " .. channel, false) or false
  if notes._stubbed then
    return notes
  end
  local listener, what = native.database_listen(name, channel)
  if what == "unsupported" then
    refuse(level + 1, name, "listen")
  elseif not listener then
    fail(notes, what)
  end
  local holder = Future._new(scope, level + 1)
  holder._operation, holder._consumers = listener, 1
  holder._cancel = function()
    native.cancel(listener)
  end
  notes._listener, notes._holder = listener, holder
  statement.guard(notes, holder)
  return notes
end

return M
