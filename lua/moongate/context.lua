--- ctx: one request and its answer. A scope (core/scope.lua) with more slots: everything that
--- belongs to a request is one table with an array part, made in one allocation. What the request
--- says is asked of C when it is first wanted.
local native = require("moongate.native")
local sched = require("moongate.core.sched")
local errors = require("moongate.core.errors")
local scopes = require("moongate.core.scope")
local Future = require("moongate.future")
local time = require("moongate.time")
local log = require("moongate.log")
local suggest = require("moongate.core.suggest")

local M = {}

-- Slots behind those of a scope.
local HANDLE, ROUTE, METHOD, START = 7, 8, 9, 10
local PHASE, KIND, STATUS, TYPE, BODY, FIELDS = 11, 12, 13, 14, 15, 16
local TASK, PARAMS, QUERY, HEADERS = 17, 18, 19, 20
local STATE, BODY_FUTURE, COOKIES, LOG = 21, 22, 23, 24
local APP, ANSWERING, ALLOWED, SLOT = 25, 26, 27, 28
local ROOT, ON_CLOSE, CANCELLED = scopes.ROOT, scopes.ON_CLOSE, scopes.CANCELLED

-- PHASE: what has become of the answer.
local OPEN, STAGED, COMMITTED, OVER = 0, 1, 2, 3
-- KIND: how BODY is to be sent.
local PLAIN, STREAM, FILE = 0, 1, 2

M.slots = {
  HANDLE = HANDLE, ROUTE = ROUTE, PHASE = PHASE, KIND = KIND, STATUS = STATUS, TYPE = TYPE,
  BODY = BODY, FIELDS = FIELDS, TASK = TASK, START = START, APP = APP, METHOD = METHOD,
  ANSWERING = ANSWERING, ALLOWED = ALLOWED, SLOT = SLOT,
  OPEN = OPEN, STAGED = STAGED, COMMITTED = COMMITTED, OVER = OVER,
  PLAIN = PLAIN, STREAM = STREAM, FILE = FILE,
}

local Context = {}
local methods, getters = {}, {}
M.methods = methods

---@return moongate.Context
function M.new(root, handle, route, method, start, app)
  return setmetatable({
    false, false, false, false, false, root,
    handle, route, method, start,
    OPEN, PLAIN, 200, false, false, false,
    false, false, false, false, false, false, false, false, app, false, false, false,
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

function Context.__newindex(_, key)
  error("ctx." .. tostring(key) .. " cannot be set: keep it in ctx.state." .. tostring(key), 2)
end

function Context.__tostring(ctx)
  return "ctx (" .. native.method_name(ctx[METHOD]) .. " " .. (ctx[ROUTE].pattern or "?") .. ")"
end

function M.is(value)
  return getmetatable(value) == Context
end

-- --- the request ---

local function closed(level)
  error(errors.new("closed", "the request is over"), level)
end

local function ask(fn, ctx, ...)
  local value, err = fn(ctx[HANDLE], ...)
  if err == "closed" then
    closed(3)
  end
  return value
end

function getters.method(ctx)
  return native.method_name(ctx[METHOD])
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
    params = ask(native.request_params, ctx)
    ctx[PARAMS] = params
  end
  return params
end

local function parsed_query(ctx)
  local query = ctx[QUERY]
  if not query then
    local last, all = native.http.parse_query(ask(native.request_query, ctx))
    query = { last = last, all = all }
    ctx[QUERY] = query
  end
  return query
end

--- Keys to values; of a repeated key the last.
function getters.query(ctx)
  return parsed_query(ctx).last
end

--- All values of a repeated key, in order.
function methods.query_all(ctx, key)
  local values = {}
  for _, pair in ipairs(parsed_query(ctx).all) do
    if pair[1] == key then
      values[#values + 1] = pair[2]
    end
  end
  return values
end

local HEADERS_META = {
  __index = function(headers, name)
    if type(name) == "string" then
      return rawget(headers, name:lower())
    end
  end,
}

function getters.headers(ctx)
  local headers = ctx[HEADERS]
  if not headers then
    headers = setmetatable(ask(native.request_headers, ctx), HEADERS_META)
    ctx[HEADERS] = headers
  end
  return headers
end

function getters.cookies(ctx)
  local cookies = ctx[COOKIES]
  if not cookies then
    cookies = native.http.parse_cookies(ctx.headers.cookie or "")
    ctx[COOKIES] = cookies
  end
  return cookies
end

--- Fields that came behind a chunked body; empty before its end.
function getters.trailers(ctx)
  return ask(native.request_trailers, ctx)
end

function getters.state(ctx)
  local state = ctx[STATE]
  if not state then
    state = {}
    ctx[STATE] = state
  end
  return state
end

--- { name, pattern, where } of the route that matched.
function getters.route(ctx)
  local route = ctx[ROUTE]
  return { name = route.name, pattern = route.pattern, where = route.where }
end

function getters.log(ctx)
  local own = ctx[LOG]
  if not own then
    local ok, id = pcall(getters.request_id, ctx)
    own = log.with(function()
      return { request_id = ok and id or nil }
    end)
    ctx[LOG] = own
  end
  return own
end

--- Replaces the request's id: for middleware that believes an incoming one.
function methods.set_request_id(ctx, id)
  if type(id) ~= "string" or #id > 128 or id:find("[^%w%-_.:/+=]") then
    error("set_request_id: 1 to 128 letters, digits or -_.:/+= are wanted", 2)
  end
  ask(native.request_id, ctx, id)
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
    closed(2)
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

-- --- the body ---

local function rejected(ctx, code, message, level)
  local future = Future._new(ctx, level + 1)
  Future._settle(future, "rejected", 1, errors.new(code, message, { where = future:_where() }))
  return future
end

local function resolved(ctx, value, level)
  local future = Future._new(ctx, level + 1)
  Future._settle(future, "resolved", 1, value)
  return future
end

-- A Future of a piece of the body (all: of the whole).
local function read_body(ctx, all, level)
  local result, content = native.body(ctx[HANDLE], all)
  if result == nil then
    if content == "busy" then
      return rejected(ctx, "protocol", "somebody else is reading the body", level + 1)
    end
    return rejected(ctx, "closed", "the request is over", level + 1)
  elseif result == false then
    return resolved(ctx, content, level + 1)
  end
  return time.operation(result, ctx, level + 1)
end

--- The whole body.
---@return moongate.Future of a string
function methods.body(ctx)
  local future = ctx[BODY_FUTURE]
  if not future then
    future = read_body(ctx, true, 2)
    future.keep = true
    ctx[BODY_FUTURE] = future
  end
  return future
end

--- The body as it comes: for piece in ctx:chunks() do ... end
function methods.chunks(ctx)
  return function()
    return read_body(ctx, false, 2):await()
  end
end

--- The body as JSON; 400 if it is none.
---@return moongate.Future of the value
function methods.body_json(ctx)
  return (methods.body(ctx):and_then(function(text)
    local value, err = native.json.decode(text)
    if value == nil and err then
      error(errors.new("status", "the body is not valid JSON: " .. err, { status = 400 }), 0)
    end
    return value
  end))
end

local function fail_form(status, message)
  error(errors.new("status", message, { status = status }), 0)
end

-- The parts of a form: a list of { name, body, filename, content_type }.
local function parts_of(text, content_type)
  local kind = (content_type or ""):match("^%s*([^;%s]*)"):lower()
  if kind == "multipart/form-data" then
    local parts, err = native.http.parse_multipart(text, content_type)
    return parts or fail_form(400, "the form is malformed: " .. err)
  elseif kind == "application/x-www-form-urlencoded" then
    local last, list = native.http.parse_form(text)
    if not last then
      fail_form(400, "the form is malformed: " .. list)
    end
    local parts = {}
    for i, pair in ipairs(list) do
      parts[i] = { name = pair[1], body = pair[2] }
    end
    return parts
  end
  fail_form(415, "a form is wanted: application/x-www-form-urlencoded or multipart/form-data")
end

--- The parts of a form in order, repeated names included: a list of { name, body, filename,
--- content_type }.
---@return moongate.Future
function methods.body_parts(ctx)
  local content_type = ctx.headers["content-type"]
  return (methods.body(ctx):and_then(function(text)
    return parts_of(text, content_type)
  end))
end

--- The body as a form: names to values, of a repeated name the last; a file is { name, filename,
--- content_type, body }.
---@return moongate.Future
function methods.body_form(ctx)
  return (methods.body_parts(ctx):and_then(function(parts)
    local form = {}
    for _, part in ipairs(parts) do
      form[part.name] = part.filename and part or part.body
    end
    return form
  end))
end

-- --- the answer ---

-- A handler that goes on though it was cancelled must not meddle with the answer to that.
local function check_open(ctx, level)
  if ctx[CANCELLED] and not (sched.current and sched.current.shielded) then
    error(ctx[CANCELLED], 0)
  end
  if ctx[PHASE] >= COMMITTED then
    error("the answer has been sent already", level + 1)
  end
end

local function stage(ctx, kind, content_type, body)
  ctx[PHASE], ctx[KIND], ctx[BODY] = STAGED, kind, body
  if content_type then
    ctx[TYPE] = content_type
  end
end

local function check_status(status, level)
  if type(status) ~= "number" or status < 200 or status > 599 or status % 1 ~= 0 then
    error("a status is an integer from 200 to 599, not " .. tostring(status), level + 1)
  end
end

function methods.status(ctx, status)
  check_open(ctx, 2)
  check_status(status, 2)
  ctx[STATUS] = status
  return ctx
end

local FRAMING = {
  ["content-length"] = true, ["transfer-encoding"] = true, ["keep-alive"] = true, upgrade = true,
}

local function check_field(name, value, level)
  if type(name) ~= "string" or not name:find("^[%w!#$%%&'*+.^_`|~-]+$") then
    error("header: the name '" .. tostring(name) .. "' is not a token", level + 1)
  end
  if type(value) == "number" then
    value = tostring(value)
  end
  if type(value) ~= "string" then
    error("header " .. name .. ": a string is wanted, not " .. type(value), level + 1)
  end
  if value:find("[%z\1-\8\10-\31\127]") then
    error("header " .. name .. ": the value holds CR, LF, NUL or another control character",
      level + 1)
  end
  return value
end

local function remove_field(fields, name)
  for i = #fields - 1, 1, -2 do
    if fields[i]:lower() == name then
      table.remove(fields, i)
      table.remove(fields, i)
    end
  end
end

local function add_field(ctx, name, value)
  local fields = ctx[FIELDS]
  if not fields then
    ctx[FIELDS] = { name, value }
    return
  end
  local n = #fields
  fields[n + 1], fields[n + 2] = name, value
end

-- Content-Type and the connection's fate are not kept among the fields. True if that was all.
local function set_special(ctx, name, value)
  if name == "content-type" then
    ctx[TYPE] = value or false
    return true
  elseif name == "connection" then
    if value and value:lower():find("close", 1, true) then
      native.connection_close(ctx[HANDLE])
    end
    return true
  end
  return false
end

--- Sets a field of the answer, instead of any of that name; nil removes it; a list gives several
--- lines.
function methods.header(ctx, name, value)
  check_open(ctx, 2)
  local lower = type(name) == "string" and name:lower() or ""
  if FRAMING[lower] then
    error("header " .. name .. ": Moongate sets it itself", 2)
  end
  local list = type(value) == "table" and value or { value }
  for i = 1, #list do
    list[i] = check_field(name, list[i], 2)
  end
  if set_special(ctx, lower, list[1]) then
    return ctx
  end
  if ctx[FIELDS] then
    remove_field(ctx[FIELDS], lower)
  end
  for i = 1, #list do
    add_field(ctx, name, list[i])
  end
  return ctx
end

--- Adds a field line beside those of the same name.
function methods.add_header(ctx, name, value)
  check_open(ctx, 2)
  value = check_field(name, value, 2)
  if FRAMING[name:lower()] then
    error("header " .. name .. ": Moongate sets it itself", 2)
  end
  if not set_special(ctx, name:lower(), value) then
    add_field(ctx, name, value)
  end
  return ctx
end

--- What has been set so far, or nil. Of several lines the first.
function methods.answer_header(ctx, name)
  local lower = name:lower()
  if lower == "content-type" then
    return ctx[TYPE] or nil
  end
  for i = 1, #(ctx[FIELDS] or {}), 2 do
    if ctx[FIELDS][i]:lower() == lower then
      return ctx[FIELDS][i + 1]
    end
  end
end

local function check_text(what, text, level)
  if type(text) ~= "string" then
    if type(text) == "number" then
      return tostring(text)
    end
    error(what .. ": a string is wanted, not " .. type(text), level + 1)
  end
  return text
end

local function set_status(ctx, status, level)
  if status ~= nil then
    check_status(status, level + 1)
    ctx[STATUS] = status
  end
end

function methods.text(ctx, text, status)
  check_open(ctx, 2)
  set_status(ctx, status, 2)
  stage(ctx, PLAIN, "text/plain; charset=utf-8", check_text("text", text, 2))
end

function methods.html(ctx, text, status)
  check_open(ctx, 2)
  set_status(ctx, status, 2)
  stage(ctx, PLAIN, "text/html; charset=utf-8", check_text("html", text, 2))
end

function methods.json(ctx, value, status)
  check_open(ctx, 2)
  set_status(ctx, status, 2)
  local ok, text = pcall(native.json.encode, value)
  if not ok then
    error(text, 2)
  end
  stage(ctx, PLAIN, "application/json", text)
end

--- Bytes of any media type.
function methods.bytes(ctx, content_type, bytes)
  check_open(ctx, 2)
  stage(ctx, PLAIN, check_field("Content-Type", content_type, 2), check_text("bytes", bytes, 2))
end

function methods.redirect(ctx, url, status)
  check_open(ctx, 2)
  status = status or 302
  if not (status == 301 or status == 302 or status == 303 or status == 307 or status == 308) then
    error("redirect: the status is 301, 302, 303, 307 or 308, not " .. tostring(status), 2)
  end
  methods.header(ctx, "Location", check_field("Location", url, 2))
  ctx[STATUS] = status
  stage(ctx, PLAIN, false, "")
end

---@param options table? path, domain, max_age, expires, secure, http_only, same_site, partitioned
function methods.cookie(ctx, name, value, options)
  check_open(ctx, 2)
  local ok, line = pcall(native.http.set_cookie, name, value, options)
  if not ok then
    error(line, 2)
  end
  add_field(ctx, "Set-Cookie", line)
  return ctx
end

--- A file, with ranges, validators and its media type. `options.root`: the path is below that
--- folder and cannot leave it.
---@param options table? root, type, cache (seconds), download (file name)
function methods.send_file(ctx, path, options)
  check_open(ctx, 2)
  options = options or {}
  if type(path) ~= "string" or path:find("%z") then
    error("send_file: a path is wanted", 2)
  end
  if options.cache then
    methods.header(ctx, "Cache-Control", "public, max-age=" .. math.floor(options.cache))
  end
  if options.download then
    local name = options.download:gsub('[%c"\\]', "_")
    methods.header(ctx, "Content-Disposition", 'attachment; filename="' .. name .. '"')
  end
  -- A relative path stays below the given folder, else below the project's.
  local root = options.root and M.resolve(ctx, options.root)
  if not root and path:sub(1, 1) ~= "/" then
    root = M.resolve(ctx, ".")
  end
  stage(ctx, FILE, options.type or false, { path = path, root = root })
end

--- Paths of scripts are against the project's root.
function M.resolve(ctx, path)
  local root = ctx[APP] and ctx[APP].folder or ""
  if path:sub(1, 1) == "/" or root == "" then
    return path
  end
  return root .. "/" .. path
end

--- An answer in pieces: `fn(out)` runs when the onion has unwound; out:write(s) waits while the
--- peer is slow.
function methods.stream(ctx, content_type, fn)
  check_open(ctx, 2)
  if type(fn) ~= "function" then
    error("stream: a media type and a function are wanted", 2)
  end
  stage(ctx, STREAM, check_field("Content-Type", content_type, 2), fn)
end

--- Ends the handler with an error answer: problem+json (RFC 9457) of that status.
function methods.fail(_, status, message, details)
  if type(status) ~= "number" or status < 400 or status > 599 then
    error("fail: the status is 400 to 599, not " .. tostring(status), 2)
  end
  error(errors.new("status", message or "", { status = status, details = details }), 0)
end

--- Stages what a handler or middleware returned.
function M.stage_returned(ctx, a, b)
  check_open(ctx, -1)
  if type(a) == "number" then
    check_status(a, 0)
    ctx[STATUS] = a
    a = b
    if a == nil then
      a = ""
    end
  end
  if type(a) == "table" then
    stage(ctx, PLAIN, ctx[TYPE] or "application/json", a)
  elseif type(a) == "string" then
    stage(ctx, PLAIN, ctx[TYPE] or (a ~= "" and "text/plain; charset=utf-8") or false, a)
  else
    error("a handler returns a string, a table, or a status and one of these, not " .. type(a), 0)
  end
end

-- --- async ---

function methods.sleep(ctx, seconds)
  return (time.sleep_in(ctx, seconds, 2))
end

--- A coroutine that is a child of the request.
function methods.spawn(ctx, fn, ...)
  return (time.spawn_in(ctx, 2, fn, ...))
end

local READ_MAX = 16 * 1024 * 1024

--- A file's content.
---@param options table? max: largest size in bytes (default 16 MiB)
---@return moongate.Future of a string
function methods.read_file(ctx, path, options)
  if type(path) ~= "string" then
    error("read_file: a path is wanted", 2)
  end
  local max = options and options.max or READ_MAX
  return (time.operation(native.read_file(M.resolve(ctx, path), max), ctx, 2))
end

--- `fn(err)` runs once when the request is over; `err` tells why if it was cancelled.
function methods.on_close(ctx, fn)
  if type(fn) ~= "function" then
    error("on_close: a function is wanted", 2)
  end
  if ctx[PHASE] == OVER then
    error("on_close: the request is over", 2)
  end
  local list = ctx[ON_CLOSE]
  if not list then
    list = {}
    ctx[ON_CLOSE] = list
  end
  list[#list + 1] = fn
end

-- These calls have their names already, so that specs can stub them; their clients come with a
-- later version.
for _, name in ipairs({ "query_database", "http_request", "query_cache", "update_cache" }) do
  methods[name] = function()
    error("ctx:" .. name .. " is not in this version; specs can stub it with app:stub(\"" .. name
      .. "\", fn)", 2)
  end
end

-- Calls that a spec may replace: see test/stubs.lua.
M.async = {
  "query_database", "http_request", "query_cache", "update_cache", "read_file", "sleep", "spawn",
}

assert(ROOT == 6)

return M
