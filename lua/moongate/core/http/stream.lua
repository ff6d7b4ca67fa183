--- A call that sends its body, or gives its response, in pieces. It runs in a coroutine.
local native = require("moongate.native")
local sched = require("moongate.core.sched")
local errors = require("moongate.core.errors")
local text = require("moongate.core.text")
local timers = require("moongate.core.timer")
local again = require("moongate.core.http.again")
local redirect = require("moongate.core.http.redirect")
local responses = require("moongate.core.http.response")
local files = require("moongate.files")
local Future = require("moongate.future")
local time = require("moongate.time")

local M = {}

local IDLE = native.constants.call_idle_seconds
local PIECE = 65536 -- of a file

-- --- the request's body ---

local Out = {}
Out.__index = Out

local function send(holder, data)
  local ok, why = native.http_send(holder, data)
  if ok == nil then
    Future._raise(why == "limit" and errors.new("limit", "the body is not as long as was announced")
      or errors.new("closed", "the server has answered already, or the call is over"))
  end
  return ok
end

--- A piece of the request's body. Waits while the server is slow to take it.
function Out:write(data)
  local bytes, wrong = text.of(data)
  if not bytes then
    error("out:write: " .. wrong, 2)
  end
  if bytes ~= "" and not send(self.holder, bytes) then
    local handle = native.http_room(self.holder)
    if handle then
      time.operation(handle, Future._current_scope(), 2):await()
    end
  end
  return self
end

local function write_file(out, path, size)
  local left = size
  for piece in files.file_chunks(path, { piece = PIECE }) do
    out:write(piece)
    left = left - #piece
  end
  if left ~= 0 then
    error(errors.new("file", path .. ": its size changed while it was sent"), 0)
  end
end

local function write_body(request, holder)
  local out = setmetatable({ holder = holder }, Out)
  if request.write == "file" then
    write_file(out, request.file, request.options.length)
  else
    request.write(out)
  end
  send(holder, "")
end

-- --- the exchange ---

-- A fault of whoever writes the body ends the call.
local function start_upload(holder, request, scope, head)
  local upload = time.spawn_in(scope, 2, write_body, request, holder)
  upload:catch(function(err)
    if request.write == "file" and errors.code(err) == "file" then
      err.where = request.future:_where()
    end
    if errors.code(err) ~= "closed" then -- of that the response, or its absence, tells more
      head:_abandon(err)
    end
  end)
  return upload
end

-- Sends the body while it waits for the response; an early response ends the sending.
local function exchange(holder, request, scope)
  local head = time.operation(native.http_head(holder), scope, 2)
  head._source, head._line = request.future._source, request.future._line -- where the call is
  if not request.write then
    return head:await()
  end
  local upload = start_upload(holder, request, scope, head)
  local ok, response = pcall(head.await, head)
  upload:cancel("the server has answered")
  if not ok then
    error(response, 0)
  end
  return response
end

local function raise_at_call(request, code, message)
  error(errors.new(code, message, { where = request.future:_where(), url = request.url }), 0)
end

local function size_of_file(request)
  local info, err = files.stat_file(request.file):try_await()
  if not info then
    err.where = request.future:_where()
    error(err, 0)
  end
  return info.size
end

local function open(request)
  local options = request.options
  options.upload = request.write and true or nil
  if request.write == "file" then
    options.length = size_of_file(request)
  end
  local holder, err = native.http_open(request.method, request.url, request.headers, request.body,
    options)
  if not holder then
    raise_at_call(request, "protocol", request.url .. ": " .. err)
  end
  return holder
end

-- Stands for the call in its scope: the holder is dropped with it.
local function guard_of(holder, scope)
  local guard = Future._new(scope, 2)
  guard._looked_at, guard._internal = true, true
  guard._consumers = 1 -- whoever reads the response
  guard._cancel = function()
    native.cancel(holder)
  end
  return guard
end

-- --- what came ---

-- The response ends with the coroutine that awaits it. If nobody does yet, somebody has to begin
-- reading before a stream would be idle for too long.
local function hold_unread(response, request, caller)
  if caller and caller.waiting == request.future then
    response._task = caller
    sched.hold(caller, response._holder)
    return
  end
  timers.after(request.options.idle_timeout or IDLE, function()
    if not response._task then
      response:close()
    end
  end)
end

-- Of what failed: the request to be sent again, else the failure is raised.
local function retried(request, failure)
  if errors.is(failure) then
    failure.url = failure.url or request.url
    if type(request.write) ~= "function"
      and again.may_retry(request, failure.code, failure.unsent) then
      return request
    end
  end
  error(failure, 0)
end

local function followed(request, response)
  local following, why = redirect.follow(request, response)
  if not following then
    raise_at_call(request, "protocol", request.url .. ": " .. why)
  end
  return following
end

-- One exchange: the response, or nil and the request that is to be sent next.
local function run_once(request, scope, caller)
  local holder = open(request)
  local guard = guard_of(holder, scope)
  local ok, response = pcall(exchange, holder, request, scope)
  if not ok then
    guard:cancel()
    return nil, retried(request, response)
  elseif redirect.is(response) and request.redirects > 0 then
    guard:cancel()
    return nil, followed(request, response)
  elseif request.stream then
    response._stream, response._holder, response._task = holder, guard, false
    hold_unread(response, request, caller)
  else
    guard:cancel()
  end
  return responses.adopt(response, request.url, request.followed or 0)
end

-- Runs in a coroutine of the scope.
local function run(request, scope, caller)
  local response, following = run_once(request, scope, caller)
  while following do
    if not again.use_what_is_left(following) then
      raise_at_call(following, "timeout", again.too_late(following).message)
    end
    response, following = run_once(following, scope, caller)
  end
  return response
end

--- Begins the call.
---@param request table of core/http/options.lua
---@param level integer stack level of the caller's line
---@return moongate.Future? of a moongate.Response; nil if it cannot be sent
---@return string? why
function M.start(request, scope, level)
  local wrong = native.http_check(request.method, request.url, request.headers, request.body,
    request.options)
  if wrong then
    return nil, wrong
  end
  request.future = time.spawn_in(scope, level + 1, run, request, scope, sched.current)
  return request.future
end

return M
