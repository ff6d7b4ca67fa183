--- ctx: one request and its answer. A scope (core/scope.lua) with more slots: what each request
--- has is one table with an array part, made in one allocation; what few have is in its rest. What
--- the request says is asked of C when it is first wanted.
local native = require("moongate.native")
local errors = require("moongate.core.errors")
local scopes = require("moongate.core.scope")
local Future = require("moongate.future")
local settling = require("moongate.core.future.settle")
local time = require("moongate.time")
local check = require("moongate.core.check")
local log = require("moongate.log")
local places = require("moongate.core.places")
local retiring = require("moongate.core.app.retiring")
local slots = require("moongate.core.request.slots")
local hints = require("moongate.core.hints")
local headers_of = require("moongate.core.headers")
local suggest = require("moongate.core.suggest")
local answer = require("moongate.core.request.answer")
local answer_view = require("moongate.core.request.answer_view")
local ending = require("moongate.core.request.ending")
local form_parts = require("moongate.core.request.parts")
local settled = require("moongate.core.future.settled")
local array = native.json.array
local check_ctx = answer.check_ctx
local named, named_if = Future._named, Future._named_if
local resolved, rejected, abandoned = settled.resolved, settled.rejected, settled.abandoned

local M = {}

local HANDLE, ROUTE, PHASE = slots.HANDLE, slots.ROUTE, slots.PHASE
local PARAMS, QUERY, HEADERS, STATE = slots.PARAMS, slots.QUERY, slots.HEADERS, slots.STATE
local BODY_FUTURE, COOKIES, LOG = slots.BODY_FUTURE, slots.COOKIES, slots.LOG
local OPEN, OVER, PLAIN, KEPT = slots.OPEN, slots.OVER, slots.PLAIN, slots.KEPT
local ROOT, ON_CLOSE = scopes.ROOT, scopes.ON_CLOSE
local rest_of, in_rest = scopes.rest, slots.in_rest

local METHOD_UNKNOWN = native.constants.methods.UNKNOWN

require("moongate.core.request.proxied") -- its method
require("moongate.core.request.events") -- likewise
local Context = answer.Context
local methods, getters = answer.methods, {}
M.methods, M.getters = methods, getters

---@return moongate.Context
function M.new(root, handle, route, begun, params)
  return setmetatable({
    [0] = params,
    false, false, false, root, false,
    handle, route, begun, OPEN, PLAIN, 200, false, false, false, false,
  }, Context)
end

function Context.__index(ctx, key)
  local method = methods[key]
  if method then
    return method
  end
  local getter = getters[key]
  if getter then
    return getter(ctx)
  end
  if type(key) == "number" then
    return nil
  end
  error("ctx has no field '" .. tostring(key) .. "'" .. suggest.for_name(key, methods, getters)
    .. "; what belongs to the request lives in ctx.state", 2)
end

local INSTEAD = { -- of what is assigned to where the answer would be
  body = "return it, or ctx:text(...), ctx:json(...)",
  headers = "it is the request's; ctx:header(name, value) sets a field of the answer",
  cookies = "it is the request's; ctx:cookie(name, value) sets one",
}

function Context.__newindex(_, key)
  key = tostring(key)
  error("ctx." .. key .. " cannot be set: " .. (INSTEAD[key]
    or methods[key] and "call ctx:" .. key .. "(...)"
    or getters[key] and "it is the request's"
    or "keep it in ctx.state." .. key), 2)
end

hints.add("field '([%w_]+)' %(a function value%)$", function(_, name)
  return methods[name] and "ctx:" .. name .. "(...) is called, with a colon"
end)
hints.add("^attempt to call method '([%w_]+)' %(a %w+ value%)$", function(_, name)
  return getters[name] and "ctx." .. name .. " is read, not called"
end)

-- Numbers from METHOD_UNKNOWN on belong to routes; nil if the request is over.
local function method_of(ctx)
  local method = slots.method(ctx)
  return method < METHOD_UNKNOWN and native.method_name(method)
    or native.request_method(ctx[HANDLE])
end

function Context.__tostring(ctx)
  return "ctx (" .. (method_of(ctx) or "?") .. " " .. (ctx[ROUTE].pattern or "?") .. ")"
end

function M.is(value)
  return getmetatable(value) == Context
end

-- --- the request ---

local function closed()
  Future._raise(errors.new("closed", "the request is over"))
end

local function ask(fn, ctx, ...)
  local value, err = fn(ctx[HANDLE], ...)
  if err == "closed" then
    local kept = in_rest(ctx, KEPT) or closed()
    return kept[fn]
  end
  return value
end

function getters.method(ctx)
  return method_of(ctx) or closed()
end

function getters.path(ctx)
  return ask(native.request_path, ctx)
end

function getters.target(ctx)
  return ask(native.request_target, ctx)
end

function getters.version(ctx)
  return ask(native.request_version, ctx)
end

--- Content-Length in bytes, nil if the request does not say.
function getters.length(ctx)
  return ask(native.request_length, ctx)
end

function getters.client_ip(ctx)
  return ask(native.request_client_ip, ctx)
end

function getters.scheme(ctx)
  return ask(native.request_scheme, ctx)
end

function getters.host(ctx)
  return ask(native.request_host, ctx)
end

function getters.request_id(ctx)
  return ask(native.request_id, ctx)
end

function getters.params(ctx)
  local params = ctx[PARAMS]
  if not params then
    params = {} -- those of a route that has any came with the request
    ctx[PARAMS] = params
  end
  return params
end

local function parsed_query(ctx)
  local query = in_rest(ctx, QUERY)
  if not query then
    local last, all = native.http.parse_query(ask(native.request_query, ctx))
    query = { last = last, all = all }
    rest_of(ctx)[QUERY] = query
  end
  return query
end

--- Keys to values; of a repeated key the last.
function getters.query(ctx)
  return parsed_query(ctx).last
end

--- All values of a repeated key, in order.
function methods.query_all(ctx, key)
  check_ctx(ctx, 2)
  check.string("query_all", key)
  local values = array()
  for _, pair in ipairs(parsed_query(ctx).all) do
    if pair[1] == key then
      values[#values + 1] = pair[2]
    end
  end
  return values
end

function getters.headers(ctx)
  local headers = in_rest(ctx, HEADERS)
  if not headers then
    headers = headers_of.read_only(ask(native.request_headers, ctx),
      "ctx.headers are what the client sent: ctx:header(name, value) sets a field of the answer")
    rest_of(ctx)[HEADERS] = headers
  end
  return headers
end

function getters.cookies(ctx)
  local cookies = in_rest(ctx, COOKIES)
  if not cookies then
    cookies = native.http.parse_cookies(ctx.headers.cookie or "")
    rest_of(ctx)[COOKIES] = cookies
  end
  return cookies
end

--- Fields that came behind a chunked body; empty before its end.
function getters.trailers(ctx)
  return ask(native.request_trailers, ctx)
end

function getters.state(ctx)
  local rest = rest_of(ctx)
  local state = rest[STATE]
  if not state then
    state = {}
    rest[STATE] = state
  end
  return state
end

--- { name, pattern, where } of the route that matched.
function getters.route(ctx)
  local route = ctx[ROUTE]
  return { name = route.name, pattern = route.pattern, where = route.where }
end

function getters.log(ctx)
  local own = in_rest(ctx, LOG)
  if not own then
    local ok, id = pcall(getters.request_id, ctx)
    own = log.with(function()
      return { request_id = ok and id or nil }
    end)
    rest_of(ctx)[LOG] = own
  end
  return own
end

--- Resolved with "reload" or "stop" when these scripts are to go: a long stream ends well then.
---@return moongate.Future
function getters.retiring(ctx)
  return retiring.of(ctx[ROOT])
end

--- What is staged: status, headers and body, for middleware behind next().
---@return moongate.Answer
function getters.answer(ctx)
  return answer_view.new(ctx)
end

--- Adds a field to the request's line in the access log, in place of one of that name; a value that
--- JSON can say.
---@param name string a token such as "user_id"
function methods.log_field(ctx, name, value)
  check_ctx(ctx, 2)
  if type(name) ~= "string" then
    error("log_field: a name is wanted, not " .. check.describe(name), 2)
  end
  local ok, encoded = pcall(native.json.encode, value)
  if not ok then
    error("log_field " .. name .. ": " .. encoded, 2)
  end
  local noted, wrong = native.log_field(ctx[HANDLE], name, encoded)
  if not noted then
    error("log_field " .. name .. ": " .. wrong, 2)
  end
  return ctx
end

--- Replaces the request's id: for middleware that believes an incoming one.
function methods.set_request_id(ctx, id)
  check_ctx(ctx, 2)
  if type(id) ~= "string" or #id > 128 or id:find("[^%w%-_.:/+=]") then
    error("set_request_id: 1 to 128 letters, digits or -_.:/+= are wanted, not "
      .. check.describe(id), 2)
  end
  local ok, err = native.request_id(ctx[HANDLE], id)
  if not ok and err == "closed" then
    closed()
  elseif in_rest(ctx, KEPT) then
    in_rest(ctx, KEPT)[native.request_id] = id
  end
end

-- --- the connection ---

local connection_fields = {
  id = 1, peer = 2, requests = 3, bytes_in = 4, bytes_out = 5, opened_at = 6,
}
local Connection = {}

function Connection.__index(connection, key)
  if key == "close" then
    return Connection.close
  end
  local index = connection_fields[key]
  if not index then
    error("ctx.connection has no field '" .. tostring(key) .. "'"
      .. suggest.for_name(key, connection_fields), 2)
  end
  local id, err = native.connection(rawget(connection, 1))
  if not id and err then
    closed()
  end
  return (select(index, native.connection(rawget(connection, 1))))
end

--- The answer under way is the connection's last.
function Connection.close(connection)
  native.connection_close(rawget(connection, 1))
end

function getters.connection(ctx)
  return setmetatable({ ctx[HANDLE] }, Connection)
end

--- Nil on a connection without TLS.
function getters.tls(ctx)
  local version, cipher, server_name, alpn, resumed, client = native.request_tls(ctx[HANDLE])
  if not version and cipher == "closed" then
    closed()
  end
  return version and {
    version = version,
    cipher = cipher,
    server_name = server_name,
    alpn = alpn,
    resumed = resumed,
    client = client,
  }
end

-- --- the body ---

-- A Future of a piece of the body (all: of the whole).
local function read_body(ctx, all, level)
  local result, content, message, fields = native.body(ctx[HANDLE], all)
  if result == nil then
    if time.is_over(ctx) then
      return (abandoned(ctx, level + 1))
    elseif content == "busy" then
      return (rejected(ctx, "protocol", "somebody else is reading the body", level + 1))
    elseif content == "status" then
      return (rejected(ctx, content, message, level + 1, fields))
    end
    return (rejected(ctx, "closed", "the request is over", level + 1))
  elseif result == false then
    return (resolved(ctx, content, level + 1))
  end
  return (time.operation(result, ctx, level + 1))
end

local function whole_body(ctx, level)
  check_ctx(ctx, level + 1)
  local future = in_rest(ctx, BODY_FUTURE)
  if not future then
    future = named("body", read_body(ctx, true, level + 1))
    future.keep = true
    rest_of(ctx)[BODY_FUTURE] = future
  end
  return future
end

-- What `read(text)` makes of the whole body.
local function body_as(name, ctx, level, read)
  return named(name, settling.derive(whole_body(ctx, level + 1), level + 1, read))
end

--- The whole body. Rejected with the status that the request deserves (413, 408, 400, 431) if it is
--- too large, too slow or malformed.
---@return moongate.Future of a string
function methods.body(ctx)
  return (whole_body(ctx, 2))
end

--- The body as it comes: for piece in ctx:chunks() do ... end
function methods.chunks(ctx)
  check_ctx(ctx, 2)
  return function()
    return read_body(ctx, false, 2):await()
  end
end

--- The body as JSON, of at most 100 levels; 400 if it is none, 413 if it holds more than
--- `limits.json_values`.
---@return moongate.Future of the value
function methods.body_json(ctx)
  return (body_as("body_json", ctx, 2, function(text)
    local value, err, status = native.decode_body(text)
    if status then
      error(errors.new("status", err, { status = status }), 0)
    end
    return value
  end))
end

local function fail_form(message, limit)
  error(errors.new("status", limit and message or "the form is malformed: " .. message, {
    status = limit and 413 or 400,
  }), 0)
end

-- The parts of a form: a list of { name, body, filename, content_type, transfer_encoding }.
local function parts_of(text, content_type)
  local kind = (content_type or ""):match("^%s*([^;%s]*)"):lower()
  if kind == "multipart/form-data" then
    local _, most = native.form_limits()
    local parts, err, limit = native.http.parse_multipart(text, content_type, most)
    return parts and array(parts) or fail_form(err, limit)
  elseif kind == "application/x-www-form-urlencoded" then
    local last, list, limit = native.http.parse_form(text, (native.form_limits()))
    if not last then
      fail_form(list, limit)
    end
    local parts = array()
    for i, pair in ipairs(list) do
      parts[i] = { name = pair[1], body = pair[2] }
    end
    return parts
  end
  error(errors.new("status", "a form is wanted: application/x-www-form-urlencoded or "
    .. "multipart/form-data", { status = 415 }), 0)
end

--- The parts of a form in order, repeated names included: a list of { name, body, filename,
--- content_type, transfer_encoding }. A filename has no folders; of the last two is said what came
--- with the part, whose body is as it was sent.
---@return moongate.Future
function methods.body_parts(ctx)
  check_ctx(ctx, 2)
  local content_type = ctx.headers["content-type"]
  return (body_as("body_parts", ctx, 2, function(text)
    return parts_of(text, content_type)
  end))
end

--- The parts of a multipart form as they come, of any size; what is not read of one is left out:
--- for part in ctx:parts() do ... end
---@return fun(): moongate.Part?
function methods.parts(ctx)
  check_ctx(ctx, 2)
  local _, most = native.form_limits()
  return form_parts.iterate(ctx, ctx.headers["content-type"], most, function()
    return read_body(ctx, false, 2):await()
  end)
end

--- The body as a form: names to values, of a repeated name the last; a file is { name, filename,
--- content_type, body }.
---@return moongate.Future
function methods.body_form(ctx)
  check_ctx(ctx, 2)
  local content_type = ctx.headers["content-type"]
  return (body_as("body_form", ctx, 2, function(text)
    local form = {}
    for _, part in ipairs(parts_of(text, content_type)) do
      form[part.name] = part.filename and part or part.body
    end
    return form
  end))
end

-- --- async ---

function methods.sleep(ctx, seconds)
  check_ctx(ctx, 2)
  return (named("sleep", time.sleep_in(ctx, seconds, 2)))
end

--- A coroutine that is a child of the request.
function methods.spawn(ctx, fn, ...)
  check_ctx(ctx, 2)
  return (named("spawn", time.spawn_in(ctx, 2, fn, ...)))
end

--- `fn(err)` runs once when the request is over; `err` tells why if it was cancelled.
function methods.on_close(ctx, fn)
  check_ctx(ctx, 2)
  if type(fn) ~= "function" then
    error("on_close: a function is wanted, not " .. check.describe(fn), 2)
  end
  if ctx[PHASE] == OVER then
    error("on_close: the request is over", 2)
  end
  local list = in_rest(ctx, ON_CLOSE)
  if not list then
    list = {}
    rest_of(ctx)[ON_CLOSE] = list
    ending.keep(ctx)
  end
  list[#list + 1] = fn
end

-- What a handler awaits: each subject brings its calls as functions of (scope, level, ...), where
-- `level` is the stack level of the caller's line. In a ctx the scope is the request.
M.async = { "sleep", "spawn" }
for _, subject in ipairs({ "http", "database", "cache", "files" }) do
  local calls = require("moongate." .. subject).calls
  for name in pairs(calls) do
    methods[name] = function(ctx, ...)
      check_ctx(ctx, 2)
      return (named_if(name, calls[name](ctx, 2, ...))) -- looked up now: specs replace them
    end
    M.async[#M.async + 1] = name
  end
end
table.sort(M.async)

places.know(methods)

assert(ROOT == 4 and HANDLE == 6 and slots.TASK == 15) -- as M.new has them

return M
