--- ctx:events: Server-sent events. A function in a coroutine sends them, or they are what is
--- published under topics: then C answers, and no coroutine waits.
local native = require("moongate.native")
local check = require("moongate.core.check")
local errors = require("moongate.core.errors")
local missing = require("moongate.core.future.missing")
local text = require("moongate.core.text")
local slots = require("moongate.core.request.slots")
local answer = require("moongate.core.request.answer")
local timers = require("moongate.core.timer")
local topics = require("moongate.topics")

local methods, stage = answer.methods, answer.stage
local HANDLE, ROUTE, STATUS = slots.HANDLE, slots.ROUTE, slots.STATUS
local TYPE, FIELDS, BODY = slots.TYPE, slots.FIELDS, slots.BODY

local M = {}

local HEARTBEAT = 15 -- seconds
local HEARTBEAT_BYTES = ":\n\n"
local RETRY_MAX = 86400 -- seconds

local function milliseconds(seconds)
  return seconds and math.floor(seconds * 1000 + 0.5)
end

-- --- options ---

local function check_retry(name, value)
  if type(value) ~= "number" or not (value >= 0 and value <= RETRY_MAX) then
    check.fail(("%s: seconds are wanted, a number from 0 to %d, not %s"):format(name, RETRY_MAX,
      check.describe(value)))
  end
  return value
end

local function check_heartbeat(name, value)
  return value and check.seconds(name, value)
end

local function check_list(name, value)
  local list = type(value) == "string" and { value } or check.list(name, value, "topics")
  if #list == 0 then
    check.fail(name .. ": at least one topic is wanted")
  end
  for i = 1, #list do
    topics.check_name(name, list[i])
  end
  return list
end

local OF_FUNCTION = { heartbeat = check_heartbeat, retry = check_retry }
local OF_TOPICS = {
  heartbeat = check_heartbeat, retry = check_retry, topics = check_list,
  slow = function(name, value)
    return check.one_of(name, value, { close = true, skip = true })
  end,
}

-- --- a function that sends ---

local Out = {}
Out.__index = Out

local EVENT = { event = true, data = true, id = true, retry = check_retry }

local function text_of(what, value)
  if value == nil then
    return nil
  end
  local given, wrong = text.of(value)
  return given or check.fail("out:send: " .. what .. ": " .. wrong)
end

local function data_of(value)
  if type(value) ~= "table" then
    return text_of("data", value)
  end
  local ok, encoded = pcall(native.json.encode, value)
  return ok and encoded or check.fail("out:send: data: " .. encoded)
end

--- Sends an event; suspends while the client is slow.
---@param event table|string { data =, event =, id =, retry = }, or the data alone
function Out:send(event)
  if getmetatable(self) ~= Out then
    error("call it with a colon: out:send{ data = ... }", 2)
  elseif type(event) ~= "table" then
    event = { data = event }
  end
  check.type("out:send", event, "table")
  check.options("out:send", event, EVENT)
  local data = data_of(event.data)
  local bytes, wrong = native.event_text(data or event.event and "" or nil,
    text_of("event", event.event), text_of("id", event.id),
    milliseconds(event.retry))
  if not bytes then
    check.fail("out:send: " .. wrong .. ": it must not hold CR, LF or NUL")
  end
  self.silent = false
  self.out:write(bytes)
  return self
end

-- What stands between two events keeps proxies from taking the stream for dead.
local function beat(out)
  if out.silent then
    native.stream_write(out.handle, HEARTBEAT_BYTES)
  end
  out.silent = true
  out.timer = timers.after(out.seconds, beat, out)
end

local function begin_heartbeat(ctx, out, seconds)
  out.seconds, out.handle = seconds, ctx[HANDLE]
  out.timer = timers.after(seconds, beat, out)
  methods.on_close(ctx, function()
    timers.stop(out.timer)
  end)
end

local function stage_function(ctx, fn, options)
  local heartbeat = options.heartbeat == nil and HEARTBEAT or options.heartbeat
  methods.stream(ctx, "text/event-stream", function(stream)
    local out = setmetatable({ out = stream, silent = true }, Out)
    if heartbeat then
      begin_heartbeat(ctx, out, heartbeat)
    end
    if options.retry then
      out:send({ retry = options.retry })
    end
    fn(out)
  end)
end

-- --- both ---

-- Unless a script has said something else.
local function set_default(ctx, name, value)
  if not methods.answer_header(ctx, name) then
    methods.header(ctx, name, value)
  end
end

--- Answers with an event stream: of a function, or of topics.
---@param what function|table fn(out), or { topics =, heartbeat =, retry =, slow = }
---@param options table? of the function: heartbeat, retry
function methods.events(ctx, what, options)
  answer.check_open(ctx, 2)
  if check.is_callable(what) then
    stage_function(ctx, what, check.options("events", options or {}, OF_FUNCTION))
  elseif type(what) == "table" and not missing.is(what) then
    local given = check.options("events", what, OF_TOPICS)
    local list = given.topics or check_list("events: topics", nil)
    stage(ctx, slots.EVENTS, "text/event-stream", {
      topics = list, heartbeat = given.heartbeat, retry = given.retry, slow = given.slow,
    })
  else
    check.fail("events: a function or { topics = { ... } } is wanted, not "
      .. check.describe(what))
  end
  set_default(ctx, "Cache-Control", "no-cache")
  set_default(ctx, "X-Accel-Buffering", "no")
end

--- Hands a staged stream of topics over to C; what a script had to do with it is over.
function M.send(ctx)
  local wanted, most = ctx[BODY], ctx[ROUTE].stream_max
  local heartbeat = wanted.heartbeat == nil and HEARTBEAT or wanted.heartbeat
  local ok, err, is_limit = native.events_begin(ctx[HANDLE], ctx[STATUS], ctx[TYPE], ctx[FIELDS],
    wanted.topics, heartbeat or 0, milliseconds(wanted.retry),
    wanted.slow == "skip", most or 0)
  if is_limit then
    error(errors.new("status", "the stream cannot subscribe: " .. err, { status = 503 }), 0)
  elseif not ok and err ~= "closed" then
    error(err, 0)
  end
end

return M
