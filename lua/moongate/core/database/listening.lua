--- Channels: what db:listen gives. Pair of src/lua/bind_listen.c.
local native = require("moongate.native")
local hearing = require("moongate.core.hearing")
local notify = require("moongate.core.database.notify")
local statement = require("moongate.core.database.statement")
local Future = require("moongate.future")

local M = {}

local function refusal(notes, what)
  return statement.refusal(notes._name, what, hearing.where(notes))
end

---@class moongate.Notes
local Notes = hearing.class({
  title = "what db:listen gives", next = native.database_next, refusal = refusal,
})

local function refuse(level, name, call)
  error(call .. ": channels are PostgreSQL's, and database '" .. name .. "' is SQLite", level + 1)
end

--- Raises if what is told in a database reaches nobody.
function M.refuse_notify(level, name)
  if native.database_has_channels(name) == false then
    refuse(level + 1, name, "notify")
  end
end

local function stub_of(scope, level, channel)
  return statement.stub and statement.stub(scope, level + 1, "LISTEN " .. channel, false) or false
end

--- In specs a stub of "LISTEN channel" is a list of notes.
---@return moongate.Notes
function M.open(scope, level, name, channel)
  notify.check_channel(level + 1, "listen", channel)
  Future._refuse_loading("listening", level + 1)
  statement.sweep()
  local notes = hearing.new(Notes, scope, level + 1, name, stub_of(scope, level + 1, channel),
    channel)
  if notes._stubbed then
    return notes
  end
  local listener, what = native.database_listen(name, channel)
  if what == "unsupported" then
    refuse(level + 1, name, "listen")
  elseif not listener then
    Future._raise(refusal(notes, what))
  end
  hearing.begin(notes, level + 1, listener)
  return notes
end

return M
