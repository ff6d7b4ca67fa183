--- The HTTP client: ctx:http_request, and moongate.http for work without a request.
local native = require("moongate.native")
local sched = require("moongate.core.sched")
local errors = require("moongate.core.errors")
local scopes = require("moongate.core.scope")
local Future = require("moongate.future")
local timers = require("moongate.core.timer")
local time = require("moongate.time")
local check = require("moongate.core.check")
local suggest = require("moongate.core.suggest")
local json = require("moongate.json")
local text = require("moongate.core.text")
local tools = require("moongate.tools")
local files = require("moongate.files")

local M = {}

local REDIRECTS, REDIRECTS_MAX = 5, 20
local TIMEOUT, IDLE = 30, 30 -- seconds; src/lua/client_request.c knows them too
local PIECE = 65536

-- --- responses ---

---@class moongate.Response
---@field status integer
---@field headers table<string, string> looked up without regard to case; repeated ones joined
---@field cookies string[]? the Set-Cookie fields
---@field body string nil of a streamed response
---@field url string of the last redirect
---@field redirects integer
---@field version "1.1"|"1.0"
local Response = {}
Response.__index = Response

local HEADERS_META = {
  __index = function(headers, name)
    if type(name) == "string" then
      return rawget(headers, name:lower())
    end
  end,
}

--- Whether the status is 200 to 299.
function Response:ok()
  return self.status >= 200 and self.status < 300
end

local LEVELS = { max_depth = 100 } -- fewer than encode writes: an answer may wrap the value

--- The body as JSON, of at most 100 levels; raises code `protocol` if it is none.
function Response:json()
  local value, err = json.decode(self.body or "", LEVELS)
  if value == nil and err then
    error(errors.new("protocol", (self.url or "the response") .. ": the body is not JSON: " .. err),
      2)
  end
  return value
end

-- A stream ends with the coroutine that reads it; until one does, with the one that awaited it.
local function keep_for_reader(response)
  local task = sched.current
  if response._task ~= task and task then
    if response._task then
      sched.release(response._task, response._holder)
    end
    sched.hold(task, response._holder)
    response._task = task
  end
end

local function next_piece(response)
  local stream = response._stream
  if not stream then
    local body = response.body
    response._taken = true
    return body
  end
  keep_for_reader(response)
  local handle, why = native.http_read(stream)
  if not handle then
    Future._raise(errors.new(why == "busy" and "protocol" or "closed",
      why == "busy" and "somebody else is reading this response" or "the response is over"))
  end
  local piece = time.operation(handle, Future._current_scope(), 3):await()
  if piece == nil then
    response:close()
  end
  return piece
end

--- The body as it comes: for piece in response:chunks() do ... end
function Response:chunks()
  return function()
    if self._taken then
      return nil
    end
    local piece = next_piece(self) -- no tail call: errors name the line that is two levels up
    return piece
  end
end

--- Ends a streamed response; what has not come yet is not waited for.
function Response:close()
  self._taken = true
  local stream = self._stream
  if stream then
    self._stream = nil
    if self._task then
      sched.release(self._task, self._holder)
    end
    self._holder:cancel("the response was closed")
  end
end

local function adopt_response(response, url, redirects)
  setmetatable(response.headers, HEADERS_META)
  response.url, response.redirects = url, redirects
  return setmetatable(response, Response)
end

local function value_of_field(value)
  if type(value) ~= "table" then
    return text.shown(value)
  end
  local parts = {}
  for i, part in ipairs(value) do
    parts[i] = text.shown(part)
  end
  return table.concat(parts, ", ")
end

--- A response made by hand, for specs.
---@param fields table status, headers, body, url
---@return moongate.Response
function M.response(fields)
  local headers = {}
  for name, value in pairs(fields.headers or {}) do
    headers[name:lower()] = value_of_field(value)
  end
  local response = {
    status = fields.status or 200, headers = headers, body = fields.body or "", version = "1.1",
    cookies = fields.cookies,
  }
  return adopt_response(response, fields.url, fields.redirects or 0)
end

-- --- requests ---

local NUMBERS = {
  timeout = true, connect_timeout = true, first_byte_timeout = true, idle_timeout = true,
  length = true,
}
local OPTIONS = {
  url = "string", method = "string", headers = "table", query = "table", form = "table",
  file = "string", ca = "string", server_name = "string", unix = "string",
  insecure = "boolean", decompress = "boolean", stream = "boolean", retries = "number",
}
local OTHERS = {
  body = true, json = true, redirects = true, max = true, deny = true, allow = true,
  credentials = true,
}
local NO_NUL = { ca = true, server_name = true, unix = true, file = true }
local BODIES = { "body", "json", "form", "file" }

local function fail(level, message, ...)
  error("http_request: " .. message:format(...), level + 1)
end

-- One network or name, or a list of them; src/client/rules.c knows which there are.
local function check_rules(key, value, level)
  local list = type(value) == "table" and value or { value }
  for index, entry in pairs(list) do
    if type(entry) ~= "string" or entry:find("\0", 1, true) or #list == 0
      or type(index) ~= "number" then
      fail(level + 1, '%s: a list of networks and names as "10.0.0.0/8", "private" is wanted', key)
    end
  end
end

-- Fields that are for the server to which they were sent, besides those of option credentials.
local PRIVATE = {
  authorization = true, cookie = true, ["proxy-authorization"] = true,
  ["x-api-key"] = true, ["api-key"] = true, ["x-auth-token"] = true, ["x-access-token"] = true,
  ["x-csrf-token"] = true, ["private-token"] = true, ["x-amz-security-token"] = true,
}

local function read_credentials(names, level)
  local all = setmetatable({}, { __index = PRIVATE })
  for index, name in pairs(type(names) == "table" and names or { names }) do
    if type(name) ~= "string" or type(index) ~= "number" then
      fail(level + 1, 'credentials: a list of names of fields as "X-Session" is wanted')
    end
    all[name:lower()] = true
  end
  return all
end

local function check_option(key, value, level)
  local wanted = OPTIONS[key]
  if NUMBERS[key] then
    local good = type(value) == "number" and value >= 0 and value < 1e15
    if not good or (value == 0 and key:find("timeout", 1, true)) then
      fail(level + 1, "%s: a number above 0 is wanted", key)
    end
  elseif wanted then
    if type(value) ~= wanted then
      fail(level + 1, "%s: a %s is wanted, not a %s", key, wanted, type(value))
    elseif NO_NUL[key] and (value == "" or value:find("\0", 1, true)) then
      fail(level + 1, "%s: it is empty or holds a NUL", key)
    end
  elseif key == "max" then
    check.size("http_request: max", value)
  elseif key == "redirects" then
    local whole = type(value) == "number" and value % 1 == 0
    if value ~= false and not (whole and value >= 0 and value <= REDIRECTS_MAX) then
      fail(level + 1, "redirects: a whole number from 0 to %d or false is wanted", REDIRECTS_MAX)
    end
  elseif key == "deny" or key == "allow" then
    check_rules(key, value, level + 1)
  elseif key == "credentials" then
    read_credentials(value, level + 1)
  elseif key ~= "body" and key ~= "json" then
    fail(level + 1, "there is no option '%s'%s", tostring(key),
      suggest.for_name(tostring(key), OPTIONS, NUMBERS, OTHERS))
  end
end

local function add_header(request, name, value)
  local headers = {}
  for given, v in pairs(request.headers or {}) do
    if type(given) == "string" and given:lower() == name then
      return
    end
    headers[given] = v
  end
  headers[name] = value
  request.headers = headers
end

local function without_header(headers, unwanted)
  local kept = {}
  for name, value in pairs(headers or {}) do
    if not unwanted[type(name) == "string" and name:lower()] then
      kept[name] = value
    end
  end
  return kept
end

-- They may be sent later, or again: what the caller does to its table meanwhile must not show.
local function copy_headers(headers)
  local copy = headers and without_header(headers, {})
  for name, value in pairs(copy or {}) do
    if type(value) == "table" then
      copy[name] = { unpack(value) }
    end
  end
  return copy
end

local function check_one_body(options, level)
  local found
  for _, key in ipairs(BODIES) do
    if options[key] ~= nil then
      if found then
        fail(level + 1, "%s and %s: only one body is possible", found, key)
      end
      found = key
    end
  end
end

-- A Content-Length that is given is for a body that a function writes.
local function take_length(request, level)
  for name, value in pairs(request.headers or {}) do
    if type(name) == "string" and name:lower() == "content-length" then
      local digits = text.of(value)
      local length = digits and digits:find("^%d+$") and tonumber(digits)
      if not length or length >= 1e15 then
        fail(level + 1, "content-length: a whole number of bytes is wanted")
      end
      request.options.length = length
      request.headers = without_header(request.headers, { ["content-length"] = true })
      return
    end
  end
end

-- What cannot be encoded is told at the caller's line.
local function encoded(encode, what, value, level)
  local ok, result = pcall(encode, value)
  return ok and result or fail(level + 1, "%s: %s", what, result)
end

local function set_body(request, options, level)
  local body = options.body
  if options.json ~= nil then
    request.body = encoded(json.encode, "json", options.json, level + 1)
    add_header(request, "content-type", "application/json")
  elseif options.form then
    request.body = encoded(tools.query_encode, "form", options.form, level + 1)
    add_header(request, "content-type", "application/x-www-form-urlencoded")
  elseif options.file then
    request.write = "file"
    request.file = options.file
  elseif type(body) == "function" then
    request.write = body
    take_length(request, level + 1)
  elseif body ~= nil then
    request.body = text.of(body)
      or fail(level + 1, "body: a string or a function(out) is wanted; json = ... sends a table")
  end
end

-- What scripts give, as what is sent: { method, url, headers, body, write, options, ... }.
local function normalize(given, level)
  if type(given) == "string" then
    return {
      method = "GET", url = given, redirects = REDIRECTS, retries = 0, timeout = TIMEOUT,
      ends = native.now() + TIMEOUT,
    }
  elseif type(given) ~= "table" then
    fail(level + 1, "a URL or a table of options is wanted, not a %s", type(given))
  end
  for key, value in pairs(given) do
    check_option(key, value, level + 1)
  end
  if not given.url then
    fail(level + 1, "url is missing")
  end
  check_one_body(given, level + 1)
  local request = {
    method = (given.method or "GET"):upper(), url = given.url,
    headers = copy_headers(given.headers),
    redirects = given.redirects == nil and REDIRECTS or given.redirects or 0,
    retries = given.retries or 0,
    stream = given.stream,
    timeout = given.timeout or TIMEOUT,
    ends = native.now() + (given.timeout or TIMEOUT),
    options = {},
  }
  for key, value in pairs(given) do
    if NUMBERS[key] or key == "ca" or key == "insecure" or key == "unix" or key == "stream"
      or key == "server_name" or key == "decompress" or key == "deny" or key == "allow" then
      request.options[key] = value
    end
  end
  if given.credentials then
    request.credentials = read_credentials(given.credentials, level + 1)
  end
  if given.max then
    request.options.max = check.size("http_request: max", given.max)
  end
  for _, key in ipairs({ "ca", "unix" }) do
    local path = request.options[key]
    request.options[key] = path and files.resolve(path)
  end
  if given.query then
    local path, fragment = given.url:match("^([^#]*)(.*)$")
    local mark = path:find("?", 1, true) and "&" or "?"
    request.url = path .. mark .. encoded(tools.query_encode, "query", given.query, level + 1)
      .. fragment
  end
  set_body(request, given, level + 1)
  return request
end

--- A call as it would be sent, for specs: method, url, headers (looked up without regard to case),
--- body.
---@param given string|table
---@return table
function M.normalize(given)
  local request = normalize(given, 2)
  local headers = setmetatable({}, HEADERS_META)
  for name, value in pairs(request.headers or {}) do
    headers[tostring(name):lower()] = value
  end
  return { method = request.method, url = request.url, headers = headers, body = request.body }
end

-- --- one call ---

local IDEMPOTENT = {
  GET = true, HEAD = true, OPTIONS = true, PUT = true, DELETE = true, TRACE = true,
}
-- Fields that anybody may read.
local HARMLESS = {
  accept = true, ["accept-charset"] = true, ["accept-encoding"] = true, ["accept-language"] = true,
  ["cache-control"] = true, host = true, ["if-modified-since"] = true, ["if-none-match"] = true,
  ["if-range"] = true, pragma = true, range = true, traceparent = true, tracestate = true,
  ["content-type"] = true, ["user-agent"] = true, ["x-request-id"] = true,
}
-- Options that are about the server that the script named.
local OF_ITS_SERVER = { insecure = true, ca = true, server_name = true, unix = true }
local CONTENT = {
  ["content-type"] = true, ["content-length"] = true, ["content-encoding"] = true,
  ["content-language"] = true, ["content-location"] = true,
}

-- A call under way, in the scheduler's eyes: told when its operation has finished.
local Call = {}
Call.__index = Call

local function cancel_operation(future)
  if future._operation then
    sched.cancel_operation(future._operation)
  end
end

-- A call that begins again has what is left of its time. Nothing: there is none.
local function use_what_is_left(request)
  local left = request.ends - native.now()
  if left <= 0 then
    return nil
  end
  local options = {}
  for key, value in pairs(request.options or {}) do
    options[key] = value
  end
  options.timeout = left
  if options.first_byte_timeout then
    options.first_byte_timeout = math.min(options.first_byte_timeout, left)
  end
  request.options = options
  return true
end

local function too_late(request)
  return errors.new("timeout", ("%s: the response was not complete within %g s"):format(request.url,
    request.timeout))
end

local function call_native(request)
  return native.http_call(request.method, request.url, request.headers, request.body,
    request.options)
end

function Call:watch(handle)
  self.future._operation = handle
  sched.watch(handle, self)
end

-- Begins again, or ends.
function Call:send_again()
  if not use_what_is_left(self.request) then
    self:reject_with(too_late(self.request))
    return
  end
  local handle, err = call_native(self.request)
  if handle then
    self:watch(handle)
  else
    self:reject_with(errors.new("protocol", self.request.url .. ": " .. err))
  end
end

function Call:_where()
  return self.future:_where()
end

function Call:reject_with(err)
  err.where, err.url = self.future:_where(), self.request.url
  self.future:reject(err)
end

function Call:reject(code, message)
  self:reject_with(errors.new(code, message))
end

local function is_downgrade(from, to)
  return from:sub(1, 6):lower() == "https:" and to:sub(1, 6):lower() ~= "https:"
end

-- What must not be sent in clear, in words. Of a field that nobody knows the worst is assumed.
local function find_secret(request)
  if request.body and request.body ~= "" or request.write then
    return "the request's body"
  end
  for name in pairs(request.headers or {}) do
    if not HARMLESS[tostring(name):lower()] then
      return 'the field "' .. tostring(name) .. '"'
    end
  end
end

-- RFC 9110 section 15.4: what a redirect makes of the request. Nil and why if it is not followed.
local function redirected(request, response)
  if response._ambiguous then
    return nil, "redirected to several places at once"
  end
  local url, same = native.http_resolve(request.url, response.headers.location)
  if not url then
    return nil, "redirected to " .. response.headers.location .. ": " .. same
  end
  local next_request = {}
  for key, value in pairs(request) do
    next_request[key] = value
  end
  next_request.url, next_request.redirects = url, request.redirects - 1
  next_request.followed = (request.followed or 0) + 1
  local status = response.status
  local to_get = status == 303 and request.method ~= "HEAD"
    or (status == 301 or status == 302) and request.method == "POST"
  if to_get then
    next_request.method, next_request.body, next_request.write = "GET", nil, nil
    next_request.headers = without_header(request.headers, CONTENT)
  elseif request.write and request.write ~= "file" then
    return nil, "redirected, but a body that was streamed cannot be sent again"
  end
  local secret = is_downgrade(request.url, url) and find_secret(next_request)
  if secret then
    return nil, ("redirected from https to http, where anybody could read %s; with redirects = "
      .. "false the script decides"):format(secret)
  end
  if not same then
    next_request.headers = without_header(next_request.headers, request.credentials or PRIVATE)
    next_request.headers = without_header(next_request.headers, { host = true })
    next_request.options = without_header(request.options, OF_ITS_SERVER)
  end
  return next_request
end

local function is_redirect(response)
  local status = response.status
  local moved = status == 301 or status == 302 or status == 303 or status == 307 or status == 308
  return moved and rawget(response.headers, "location") ~= nil
end

-- Follows a redirect: true if another call is under way instead.
function Call:follow(response)
  local request = self.request
  if request.redirects == 0 then
    if request.followed then
      self:reject("limit", request.url .. ": more redirects than allowed (option redirects)")
      return true
    end
    return false
  end
  local following, why = redirected(request, response)
  if not following then
    self:reject("protocol", request.url .. ": " .. why)
    return true
  end
  self.request = following
  self:send_again()
  return true
end

-- What may be sent again, and is counted then: the server has seen nothing of it, or it does no
-- harm twice. A denied address stays denied.
local function may_try_again(request, code, unsent)
  local again = code == "connect" or code == "dns" or code == "closed" or unsent
  local tries = request.tries or 0
  if not again or code == "denied" or request.retries <= tries
    or not (unsent or IDEMPOTENT[request.method]) then
    return false
  end
  request.tries = tries + 1
  return true
end

function Call:retry(code, unsent)
  if not may_try_again(self.request, code, unsent) then
    return false
  end
  self:send_again()
  return true
end

function Call:_settle_operation(ok, a, b, c)
  local future = self.future
  future._operation = nil
  if future._state ~= "pending" then
    return
  end
  if not ok then
    if not self:retry(a, c) then
      self:reject(a, b)
    end
  elseif not (is_redirect(a) and self:follow(a)) then
    local request = self.request
    Future._settle(future, "resolved", 1, adopt_response(a, request.url, request.followed or 0))
  end
end

-- --- streams ---

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

-- Sends the body while it waits for the response; an early response ends the sending, and a fault
-- of whoever writes the body ends the call.
local function exchange(holder, request, scope)
  local head = time.operation(native.http_head(holder), scope, 2)
  head._source, head._line = request.future._source, request.future._line -- where the call is
  if not request.write then
    return head:await()
  end
  local upload = time.spawn_in(scope, 2, write_body, request, holder)
  upload:catch(function(err)
    if request.write == "file" and errors.code(err) == "file" then
      err.where = request.future:_where()
    end
    if errors.code(err) ~= "closed" then -- of that the response, or its absence, tells more
      head:_abandon(err)
    end
  end)
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

local function open(request)
  local options = request.options
  options.upload = request.write and true or nil
  if request.write == "file" then
    local info, err = files.stat_file(request.file):try_await()
    if not info then
      err.where = request.future:_where()
      error(err, 0)
    end
    options.length = info.size
  end
  local holder, err = native.http_open(request.method, request.url, request.headers, request.body,
    options)
  if not holder then
    raise_at_call(request, "protocol", request.url .. ": " .. err)
  end
  return holder
end

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

local run_stream

local function run_again(request, scope, caller)
  if not use_what_is_left(request) then
    raise_at_call(request, "timeout", too_late(request).message)
  end
  return run_stream(request, scope, caller)
end

-- Runs in a coroutine of the scope. The holder is dropped with the Future that stands for it.
function run_stream(request, scope, caller)
  local holder = open(request)
  local guard = Future._new(scope, 2)
  guard._looked_at, guard.internal = true, true
  guard._consumers = 1 -- whoever reads the response
  guard._cancel = function()
    native.cancel(holder)
  end
  local ok, response = pcall(exchange, holder, request, scope)
  if not ok then
    guard:cancel()
    if errors.is(response) then
      response.url = response.url or request.url
      if type(request.write) ~= "function" and may_try_again(request, response.code,
        response.unsent) then
        return run_again(request, scope, caller)
      end
    end
    error(response, 0)
  end
  if is_redirect(response) and request.redirects > 0 then
    guard:cancel()
    local following, why = redirected(request, response)
    if not following then
      raise_at_call(request, "protocol", request.url .. ": " .. why)
    end
    return run_again(following, scope, caller)
  end
  if request.stream then
    response._stream, response._holder, response._task = holder, guard, false
    hold_unread(response, request, caller)
  else
    guard:cancel()
  end
  return adopt_response(response, request.url, request.followed or 0)
end

-- --- what scripts call ---

--- What ctx has: functions of (scope, level, ...).
M.calls = {}

--- Sends a request. Options: url, method, headers, query, one of body (a string, or a function(out)
--- that calls out:write), json, form, file; timeout (30 s in total), connect_timeout (5),
--- first_byte_timeout, idle_timeout (30, of a stream); redirects (5; false: none), retries (0; not
--- of a body that a function writes), max ("16M", of the body; of a stream there is none unless it
--- is set), decompress (true), stream (the Future resolves with the head: read response:chunks()),
--- ca, insecure, server_name, unix (a socket's path), deny and allow (networks and names of
--- addresses that may not, or may, be called, as "private"), credentials (names of fields that no
--- other server gets by a redirection). A status of 400 and more is no error. Errors: dns denied
--- connect tls timeout closed protocol limit cancelled.
---@param given string|table the URL, or options
---@return moongate.Future of a moongate.Response
function M.calls.http_request(scope, level, given)
  Future._refuse_loading("http_request", level + 1)
  local request = normalize(given, level + 1)
  if request.write or request.stream then
    local wrong = native.http_check(request.method, request.url, request.headers, request.body,
      request.options)
    if wrong then
      fail(level + 1, "%s", wrong)
    end
    request.future = time.spawn_in(scope, level + 1, run_stream, request, scope, sched.current)
    return request.future
  end
  if time.is_over(scope) then
    local future = Future._new(scope, level + 1)
    future:_abandon(scope[scopes.CANCELLED])
    return future
  end
  local handle, err = call_native(request)
  if not handle then
    fail(level + 1, "%s", err)
  end
  local future = Future._new(scope, level + 1)
  future._cancel = cancel_operation
  setmetatable({ future = future, request = request }, Call):watch(handle)
  return future
end

--- The same without a ctx: moongate.http.request(url or options).
function M.request(given)
  return (M.calls.http_request(Future._app_scope(), 2, given))
end

--- Figures of this worker's client: origins, connections, idle, waiting (calls, for a connection),
--- calls, reused (connections, by calls), dialled, failed.
---@return table
function M.stats()
  return native.http_stats() or {}
end

for _, method in ipairs({ "get", "head", "post", "put", "patch", "delete", "options" }) do
  M[method] = function(url, options)
    if options ~= nil and type(options) ~= "table" then
      error("http." .. method .. ": options are wanted as a table, not a " .. type(options), 2)
    end
    local given = { method = method:upper(), url = url }
    for key, value in pairs(options or {}) do
      given[key] = value
    end
    return (M.calls.http_request(Future._app_scope(), 2, given))
  end
end

return M
