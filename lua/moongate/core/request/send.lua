--- Sends the answer that is staged in ctx: whole, in pieces, or a file. The scope ends with it.
local native = require("moongate.native")
local errors = require("moongate.core.errors")
local scopes = require("moongate.core.scope")
local places = require("moongate.core.places")
local text = require("moongate.core.text")
local slots = require("moongate.core.request.slots")
local answer = require("moongate.core.request.answer")
local events = require("moongate.core.request.events")
local lifetime = require("moongate.core.request.lifetime")
local streams = require("moongate.core.stream")
local Future = require("moongate.future")
local time = require("moongate.time")

local HANDLE, ROUTE, PHASE = slots.HANDLE, slots.ROUTE, slots.PHASE
local KIND, STATUS, TYPE, FIELDS = slots.KIND, slots.STATUS, slots.TYPE, slots.FIELDS
local BODY, PLAIN, STREAM, TUNNEL = slots.BODY, slots.PLAIN, slots.STREAM, slots.TUNNEL
local RELAY, SOCKET, EVENTS = slots.RELAY, slots.SOCKET, slots.EVENTS
local COMMITTED, OVER, CANCELLED = slots.COMMITTED, slots.OVER, scopes.CANCELLED
local check_field, respond, finish = answer.check_field, native.respond, lifetime.finish

local METHOD_HEAD = native.constants.methods.HEAD

local M = {}

M.send_socket = false -- set by core/live/serve.lua, which requires others that require this

-- --- an answer in pieces ---

local Out = {}
Out.__index = Out

--- Sends a piece of the answer; suspends while the peer is slow.
function Out:write(data)
  local bytes, wrong = text.of(data)
  if not bytes then
    error("out:write: " .. wrong, 2)
  end
  local ctx = self.ctx
  if ctx[CANCELLED] then
    Future._raise(ctx[CANCELLED])
  end
  local taken, err = native.stream_write(ctx[HANDLE], bytes)
  if taken == nil and ctx[PHASE] == OVER then
    Future._raise(errors.new("closed", "the answer is over"))
  elseif taken == nil then -- the signal that tells so is on its way
    scopes.cancel(ctx, errors.new("cancelled", "the client left (" .. err .. ")"))
    Future._raise(ctx[CANCELLED])
  elseif not taken then
    time.operation(native.stream_wait(ctx[HANDLE]), ctx, 2):await()
  end
  return self
end

--- A field to be sent behind the last piece (chunked answers only).
function Out:trailer(name, value)
  value = check_field(name, value, 2)
  self.trailers = self.trailers or {}
  table.insert(self.trailers, name)
  table.insert(self.trailers, value)
  return self
end

local function check_sent(ok, err)
  if not ok and err ~= "closed" then
    error(err, 0)
  end
end

local function send_stream(ctx)
  local begun, wrong = native.stream_begin(ctx[HANDLE], ctx[STATUS], ctx[TYPE], ctx[FIELDS])
  if begun == false then
    return -- the client has it already (304), or wants another one (412)
  end
  check_sent(begun, wrong)
  ctx[PHASE] = COMMITTED
  if ctx[ROUTE].stream_max then
    native.set_deadline(ctx[HANDLE], ctx[ROUTE].stream_max)
  end
  local out = setmetatable({ ctx = ctx }, Out)
  if slots.method(ctx) ~= METHOD_HEAD then
    ctx[BODY](out)
  end
  check_sent(native.stream_end(ctx[HANDLE], out.trailers))
end

-- --- a file ---

-- By errno: not there, a folder, a loop of links, out of its folder (EXDEV); not readable; no
-- descriptor left.
local FILE_STATUS = {
  [-2] = 404, [-20] = 404, [-21] = 404, [-36] = 404, [-40] = 404, [-18] = 404, [-22] = 404,
  [-13] = 403, [-24] = 503,
}
local IS_FOLDER = -21
local FILE_MESSAGE = {
  [404] = "no such file", [403] = "not allowed", [503] = "too many files are open",
}

local OF_FILE = { ["cache-control"] = true, expires = true, ["content-disposition"] = true }

-- Takes out of ctx what is said of the file and would not be true of an error in its place: how
-- long to keep it, and under what name. Returned as a list of names and values.
local function take_fields_of_file(ctx)
  local fields = ctx[FIELDS] or {}
  local others, of_file = {}, {}
  for i = 1, #fields, 2 do
    local name, value = fields[i], fields[i + 1]
    local is_of_file = OF_FILE[name:lower()] and not value:lower():find("no-store", 1, true)
    local list = is_of_file and of_file or others
    list[#list + 1] = name
    list[#list + 1] = value
  end
  ctx[FIELDS] = others
  return of_file
end

local function send_file(ctx)
  local file = ctx[BODY]
  local of_file = take_fields_of_file(ctx)
  local operation, err =
    native.send_file(ctx[HANDLE], ctx[STATUS], ctx[TYPE], ctx[FIELDS], file.path, file.root,
      of_file)
  if not operation then
    return check_sent(operation, err)
  end
  local _, failure = time.operation(operation, ctx, 2):try_await()
  if failure and failure.errno == IS_FOLDER and file.on_folder and file.on_folder(ctx) then
    check_sent(respond(ctx[HANDLE], ctx[STATUS], ctx[TYPE], ctx[FIELDS], ctx[BODY]))
  elseif failure then
    local status = FILE_STATUS[failure.errno]
    if status then
      failure = errors.new("status", FILE_MESSAGE[status], { status = status, cause = failure })
    end
    error(failure, 0)
  end
end

-- --- another server's answer ---

local function send_relayed(ctx)
  local operation, err, status =
    native.proxy_send(ctx[HANDLE], ctx[STATUS], ctx[TYPE], ctx[FIELDS], ctx[BODY].all)
  if status then -- the server was lost since
    error(errors.new("status", err, { status = status, told = true }), 0)
  elseif not operation then
    return check_sent(operation, err)
  end
  ctx[PHASE] = COMMITTED
  if operation == true then
    return -- all of it had come
  elseif ctx[ROUTE].stream_max then
    native.set_deadline(ctx[HANDLE], ctx[ROUTE].stream_max)
  end
  time.operation(operation, ctx, 2):try_await() -- what broke it off has been logged
end

-- --- a stream ---

local function send_tunnel(ctx)
  local wanted = ctx[BODY]
  local handle, err = native.take_over(ctx[HANDLE], ctx[STATUS], wanted.protocol, ctx[FIELDS])
  if not handle then
    return check_sent(handle, err)
  end
  local stream = streams.new(ctx, handle)
  ctx[PHASE], ctx[BODY] = COMMITTED, stream
  wanted.fn(stream)
  streams.release(stream, false)
end

-- --- each ---

--- Sends what is staged; raises what hinders it before anything was sent.
function M.send(ctx)
  local kind = ctx[KIND]
  if kind == PLAIN then
    local ok, err = respond(ctx[HANDLE], ctx[STATUS], ctx[TYPE], ctx[FIELDS], ctx[BODY])
    if not ok then
      if type(ctx[BODY]) == "table" and err ~= "closed" then
        err = places.returned_at(ctx[ROUTE].handler, 1) .. ": the answer: " .. err
      end
      check_sent(ok, err)
      native.give_up(ctx[HANDLE]) -- the head of a file may be out already; else nothing is left
    end
  elseif kind == STREAM then
    send_stream(ctx)
  elseif kind == TUNNEL then
    send_tunnel(ctx)
  elseif kind == RELAY then
    send_relayed(ctx)
  elseif kind == SOCKET then
    check_sent(M.send_socket(ctx))
  elseif kind == EVENTS then
    events.send(ctx)
  else
    send_file(ctx)
  end
  finish(ctx)
end

return M
