--- A spec's reader of an event stream, as browsers read one (WHATWG HTML, "Server-sent events").
local wire = require("moongate.test.wire")
local check = require("moongate.core.check")
local suggest = require("moongate.core.suggest")
local native = require("moongate.native")

local M = {}

local PATIENCE = 60 -- virtual seconds

---@class moongate.test.Events
local Events = {}
suggest.close(Events, "the events of a spec")

-- What the stream has told besides events: it is looked at when a spec asks.
local TOLD = { comments = true, retry = true, last_id = true }

-- --- the stream ---

local function take_field(self, line)
  local name, value = line:match("^([^:]*): ?(.*)$")
  name, value = name or line, value or ""
  if name == "" then
    self.told.comments = self.told.comments + 1
  elseif name == "data" then
    self.lines[#self.lines + 1] = value
  elseif name == "event" then
    self.kind = value
  elseif name == "id" and not value:find("%z") then
    self.told.last_id = value
  elseif name == "retry" and value:find("^%d+$") then
    self.told.retry = tonumber(value) / 1000
  end
end

local function dispatch(self)
  if self.lines[1] then
    self.events[#self.events + 1] = {
      event = self.kind ~= "" and self.kind or "message", id = self.told.last_id ~= ""
        and self.told.last_id or nil,
      data = table.concat(self.lines, "\n"),
    }
  end
  self.lines, self.kind = {}, ""
end

local function take_text(self, text)
  self.text = self.text .. text
  while true do
    local line, rest = self.text:match("^([^\r\n]*)\r?\n(.*)$")
    if not line then
      return
    end
    self.text = rest
    if line == "" then
      dispatch(self)
    else
      take_field(self, line)
    end
  end
end

-- A chunk at the front of what has come, if it is whole. The last one, which is empty, ends it.
local function take_chunk(self, bytes)
  local size = bytes:match("^(%x+)\r\n")
  local begin = size and #size + 3
  local n = size and tonumber(size, 16)
  if not size or #bytes < begin + n + 1 then
    return false
  end
  self.flight.peer:take(begin + n + 1)
  self.over = n == 0
  take_text(self, bytes:sub(begin, begin + n - 1))
  return not self.over
end

local function take_all(self)
  local bytes, ended
  repeat
    bytes, ended = self.flight.peer:received()
  until self.over or not take_chunk(self, bytes)
  self.over = self.over or ended
end

function Events.__index(self, key)
  if TOLD[key] then
    take_all(self)
    return self.told[key]
  end
  return Events[key]
end

-- --- what specs call ---

--- The next event; nil if none comes within `seconds` of virtual time, or the stream has ended.
---@param seconds number? 60 unless given
---@return table? event { event, data, id }
function Events:next(seconds)
  local limit = native.now() + check.seconds("next", seconds or PATIENCE)
  self.app.clock:wait(function()
    take_all(self)
    return self.events[1] ~= nil or self.over
  end, limit)
  return table.remove(self.events, 1)
end

--- Whether the server has ended the stream, at this moment of virtual time.
---@return boolean
function Events:ended()
  self.app.clock:settle()
  take_all(self)
  return self.over
end

--- Does not read for a while, like a slow client.
function Events:pause(paused)
  self.flight:pause(paused)
  return self
end

--- Leaves.
function Events:close()
  self.flight:disconnect()
end

--- Asks for a stream, which must be one.
---@return moongate.test.Events
function M.open(app, path, options)
  local flight = wire.start(app, "GET", path, options)
  local head
  app.clock:until_true(function()
    head = wire.parse_head(flight.peer:received())
    local _, ended = flight.peer:count()
    return head or ended
  end, "the event stream")
  local content_type = head and head.headers["content-type"] or "none"
  if not content_type:find("^text/event%-stream") then
    check.fail(("events: %s was answered %s with the type %s, not an event stream"):format(path,
      head and head.status or "nothing", content_type))
  end
  flight.peer:take(head.bytes)
  return setmetatable({
    app = app, flight = flight, status = head.status, headers = head.headers, events = {},
    lines = {}, kind = "", text = "", over = false,
    told = { comments = 0, last_id = "", retry = false },
  }, Events)
end

return M
