--- The answer's half of ctx: it is staged here, and sent by send.lua when the onion has unwound.
local native = require("moongate.native")
local sched = require("moongate.core.sched")
local errors = require("moongate.core.errors")
local scopes = require("moongate.core.scope")
local slots = require("moongate.core.request.slots")
local text = require("moongate.core.text")
local check = require("moongate.core.check")
local headers_of = require("moongate.core.headers")
local disposition = require("moongate.core.request.disposition")
local Future = require("moongate.future")

local M = {}

local HANDLE, PHASE, KIND = slots.HANDLE, slots.PHASE, slots.KIND
local STATUS, TYPE, BODY, FIELDS = slots.STATUS, slots.TYPE, slots.BODY, slots.FIELDS
local STAGED, COMMITTED = slots.STAGED, slots.COMMITTED
local PLAIN, STREAM, FILE, TUNNEL = slots.PLAIN, slots.STREAM, slots.FILE, slots.TUNNEL
local RELAY = slots.RELAY
local CANCELLED, ROOT = scopes.CANCELLED, scopes.ROOT
local PUBLIC = { "public", "lua/public" } -- where files are that everybody may have

local methods = {}
M.methods = methods

-- The class of ctx: core/request/context.lua fills it.
local Context = {}
M.Context = Context

-- By the function first: where that is called last, Lua knows another name.
local function method_name(info)
  for name, method in next, methods do
    if method == info.func then
      return name
    end
  end
  return info.name or "method"
end

--- What a method was called on is a ctx. `level` is that of the method's caller.
function M.check_ctx(ctx, level)
  if getmetatable(ctx) ~= Context then
    local name = method_name(debug.getinfo(level, "nf"))
    error(("call it with a colon: ctx:%s(...), not ctx.%s(...)"):format(name, name), level + 1)
  end
end

-- A handler that goes on though it was cancelled must not meddle with the answer to that.
local function check_open(ctx, level)
  if getmetatable(ctx) ~= Context then
    M.check_ctx(ctx, level + 1)
  end
  if ctx[CANCELLED] and not (sched.current and sched.current.shielded) then
    Future._raise(ctx[CANCELLED])
  end
  if ctx[PHASE] >= COMMITTED then
    error("the answer has been sent already", level + 1)
  end
end

M.check_open = check_open

--- The class of what ctx:proxy gives: core/request/proxied.lua fills it.
M.Relayed = {}

--- What is staged as a server's answer that nobody has looked at.
M.UNTOUCHED = { all = false }

--- What a relayed answer's server said goes with its content, but what scripts have set stays.
--- Nothing if no such answer is staged, or nobody has looked at its fields.
function M.leave_relayed(ctx)
  if ctx[KIND] ~= RELAY or ctx[PHASE] ~= STAGED or not ctx[BODY].all then
    return
  end
  local fields = ctx[FIELDS] or {}
  local theirs, own = ctx[BODY].theirs, { kept = fields.kept }
  for i = 1, #fields, 2 do
    if not theirs[fields[i] .. "\0" .. fields[i + 1]] then
      own[#own + 1] = fields[i]
      own[#own + 1] = fields[i + 1]
    end
  end
  ctx[FIELDS] = own
  ctx[TYPE] = ctx[TYPE] ~= ctx[BODY].type and ctx[TYPE]
end

local leave_relayed = M.leave_relayed

local function stage(ctx, kind, content_type, body)
  leave_relayed(ctx)
  ctx[PHASE], ctx[KIND], ctx[BODY] = STAGED, kind, body
  if content_type then
    ctx[TYPE] = content_type
  end
end

M.stage = stage

local function is_status(status)
  return type(status) == "number" and status >= 200 and status <= 599 and status % 1 == 0
end
M.is_status = is_status

local function check_status(status, level)
  if not is_status(status) then
    error("a status is an integer from 200 to 599, not " .. check.describe(status), level + 1)
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

local CONTROL = "[%z\1-\8\10-\31\127]" -- HTAB may stand in a value

local function check_field(name, value, level)
  if type(name) ~= "string" then
    error('header: a name is wanted, as in ctx:header("X-Moons", 7), not ' .. check.describe(name),
      level + 1)
  elseif not name:find("^[%w!#$%%&'*+.^_`|~-]+$") then
    error("header: the name '" .. name .. "' is not a token", level + 1)
  end
  if type(value) ~= "string" then
    local wrong
    value, wrong = text.of(value)
    if not value then
      error("header " .. name .. ": " .. wrong, level + 1)
    end
  end
  if value:find(CONTROL) then
    error("header " .. name .. ": the value holds CR, LF, NUL or another control character",
      level + 1)
  end
  return value
end
M.check_field = check_field

-- Names that were found good and ordinary, in lower case: scripts set the same few at each request.
local ordinary, ordinary_count = {}, 0
local ORDINARY_MAX = 500 -- names may be computed

local function note_ordinary(name, lower)
  if ordinary_count == ORDINARY_MAX then
    ordinary, ordinary_count = {}, 0
  end
  ordinary[name] = lower
  ordinary_count = ordinary_count + 1
end

-- Values that were found good, likewise: to look for a pattern leaves compiled code.
local good, good_count = {}, 0
local GOOD_MAX, GOOD_BYTES = 500, 64

local function note_good(value)
  if good_count == GOOD_MAX then
    good, good_count = {}, 0
  end
  good[value] = true
  good_count = good_count + 1
end

local function is_good(value)
  if good[value] then
    return true
  elseif value:find(CONTROL) then
    return false
  elseif #value <= GOOD_BYTES then
    note_good(value)
  end
  return true
end

local function remove_field(fields, name)
  for i = #fields - 1, 1, -2 do
    if (ordinary[fields[i]] or fields[i]:lower()) == name then
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

--- Sets a field of an answer of the framework's own, though the scope be cancelled.
function M.set_own(ctx, name, value)
  if ctx[FIELDS] then
    remove_field(ctx[FIELDS], name:lower())
  end
  add_field(ctx, name, value)
end

-- The fields of a relayed answer stay in C until somebody wants to look at them, to add to them or
-- to take one away. Those that scripts have set stand instead of the server's of the same name.
function M.fetch_fields(ctx)
  local relayed = ctx[BODY]
  if ctx[KIND] ~= RELAY or ctx[PHASE] ~= STAGED or relayed.all then
    return
  end
  if relayed == M.UNTOUCHED then
    relayed = {}
    ctx[BODY] = relayed
  end
  local fields, theirs = native.proxy_fields(ctx[HANDLE]) or {}, {}
  local own = ctx[FIELDS] or {}
  fields.kept = own.kept
  relayed.all, relayed.theirs, ctx[FIELDS] = true, theirs, fields
  for i = #fields - 1, 1, -2 do
    if fields[i]:lower() == "content-type" then
      relayed.type = fields[i + 1]
      ctx[TYPE] = ctx[TYPE] or relayed.type
      table.remove(fields, i)
      table.remove(fields, i)
    end
  end
  for i = 1, #fields, 2 do
    theirs[fields[i] .. "\0" .. fields[i + 1]] = true
  end
  for i = 1, #own, 2 do
    local name = own[i]:lower()
    if name == "vary" then
      methods.header(ctx, own[i], own[i + 1])
    else
      if name ~= "set-cookie" then
        remove_field(fields, name)
      end
      add_field(ctx, own[i], own[i + 1])
    end
  end
end
local fetch_fields = M.fetch_fields

-- Vary is a set that middleware and handlers add to: nobody's part is lost, "*" says it all.
local function merge_vary(ctx, values)
  local all = (methods.answer_header(ctx, "vary") or "") .. "," .. table.concat(values, ",")
  local names, seen = {}, {}
  for name in all:gmatch("[^%s,]+") do
    if not seen[name:lower()] then
      seen[name:lower()] = true
      names[#names + 1] = name
    end
  end
  return { seen["*"] and "*" or names[1] and table.concat(names, ", ") }
end

local function encode_byte(char)
  return ("%%%02X"):format(char:byte())
end

-- Whatever a URL cannot hold (RFC 3986 section 2) is encoded, a percent sign that begins no code
-- too; codes and reserved characters stay.
local function encode_url(url)
  url = url:gsub("%%(%x?%x?)", function(digits)
    return #digits < 2 and "%25" .. digits or nil
  end)
  return (url:gsub("[^%w%%:/?#%[%]@!$&'()*+,;=._~-]", encode_byte))
end

local function encode_urls(_, values)
  for i = 1, #values do
    values[i] = encode_url(values[i])
  end
  return values
end

-- Fields whose values are not sent as they are given.
local SHAPES = { vary = merge_vary, location = encode_urls, ["content-location"] = encode_urls }

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
--- lines. Vary alone is added to: what middleware put there holds as well. What a URL cannot hold
--- is encoded in Location and Content-Location.
function methods.header(ctx, name, value)
  check_open(ctx, 2)
  local known = ordinary[name]
  if known and type(value) == "string" and is_good(value) then
    if ctx[FIELDS] then
      remove_field(ctx[FIELDS], known)
    end
    add_field(ctx, name, value)
    return ctx
  end
  local lower = type(name) == "string" and name:lower() or ""
  if FRAMING[lower] then
    error("header " .. name .. ": Moongate sets it itself", 2)
  end
  local is_list = type(value) == "table" and getmetatable(value) ~= Future
  local list = is_list and { unpack(value) } or { value }
  if #list == 0 then
    check_field(name, "", 2)
  end
  for i = 1, #list do
    list[i] = check_field(name, list[i], 2)
  end
  if value == nil or lower == "vary" or lower == "set-cookie" then
    fetch_fields(ctx)
  end
  if set_special(ctx, lower, list[1]) then
    return ctx
  end
  local shape = SHAPES[lower]
  if shape and list[1] then
    list = shape(ctx, list)
  elseif list[1] and not known then
    note_ordinary(name, lower)
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
  if name:lower() == "vary" then
    return methods.header(ctx, name, value)
  end
  if FRAMING[name:lower()] then
    error("header " .. name .. ": Moongate sets it itself", 2)
  end
  fetch_fields(ctx)
  if not set_special(ctx, name:lower(), value) then
    add_field(ctx, name, value)
  end
  return ctx
end

--- What has been set so far, or nil. Of several lines the first.
function methods.answer_header(ctx, name)
  M.check_ctx(ctx, 2)
  local lower = check.string("answer_header", name):lower()
  fetch_fields(ctx)
  if lower == "content-type" then
    return ctx[TYPE] or nil
  end
  for i = 1, #(ctx[FIELDS] or {}), 2 do
    if ctx[FIELDS][i]:lower() == lower then
      return ctx[FIELDS][i + 1]
    end
  end
end

local function check_text(what, given, level)
  return text.of(given) or error(what .. ": " .. select(2, text.of(given)), level + 1)
end

local function set_status(ctx, status, level)
  if status ~= nil then
    check_status(status, level + 1)
    ctx[STATUS] = status
  end
end

function methods.text(ctx, body, status)
  check_open(ctx, 2)
  set_status(ctx, status, 2)
  stage(ctx, PLAIN, "text/plain; charset=utf-8", check_text("text", body, 2))
end

function methods.html(ctx, body, status)
  check_open(ctx, 2)
  set_status(ctx, status, 2)
  stage(ctx, PLAIN, "text/html; charset=utf-8", check_text("html", body, 2))
end

function methods.json(ctx, value, status)
  check_open(ctx, 2)
  set_status(ctx, status, 2)
  local ok, encoded = pcall(native.json.encode, value)
  if not ok then
    error(encoded, 2)
  end
  stage(ctx, PLAIN, "application/json", encoded)
end

--- Bytes of any media type.
function methods.bytes(ctx, content_type, bytes)
  check_open(ctx, 2)
  stage(ctx, PLAIN, check_field("Content-Type", content_type, 2), check_text("bytes", bytes, 2))
end

--- Sends the client to `url`, in which spaces and characters beyond ASCII are encoded.
---@param status integer? 302 unless given; 301, 303, 307, 308
function methods.redirect(ctx, url, status)
  check_open(ctx, 2)
  check.string("redirect: the URL", url)
  status = status or 302
  if not (status == 301 or status == 302 or status == 303 or status == 307 or status == 308) then
    error("redirect: the status is 301, 302, 303, 307 or 308, not " .. check.describe(status), 2)
  end
  methods.header(ctx, "Location", check_field("Location", url, 2))
  ctx[STATUS] = status
  stage(ctx, PLAIN, false, "")
end

local COOKIE = {
  path = true, domain = true, max_age = true, expires = true, secure = true, http_only = true,
  same_site = true, partitioned = true, on_error = true,
}

---@param options table? path, domain, max_age, expires, secure, http_only, same_site, partitioned;
--- on_error: the cookie is sent though the handler fails with a status of 500 or more
function methods.cookie(ctx, name, value, options)
  check_open(ctx, 2)
  local keep = type(options) == "table" and options.on_error
  if keep then
    options = headers_of.without(options, { on_error = true })
  end
  for option in pairs(type(options) == "table" and options or {}) do
    check.one_of("cookie", option, COOKIE)
  end
  local ok, line = pcall(native.http.set_cookie, name, check_text("cookie", value, 2), options)
  if not ok then
    error(line, 2)
  end
  add_field(ctx, "Set-Cookie", line)
  if keep then
    local fields = ctx[FIELDS]
    fields.kept = fields.kept or {}
    fields.kept[line] = true
  end
  return ctx
end

local FILE_OPTIONS = {
  root = check.folder, type = check.string, download = check.string,
  cache = function(name, value)
    return value == 0 and value or check.seconds(name, value)
  end,
}

---@param seconds number
---@return string the value of Cache-Control of what everybody may keep that long
function M.cache_control(seconds)
  return ("public, max-age=%d"):format(seconds)
end

local function say_options(ctx, options)
  if options.cache then
    methods.header(ctx, "Cache-Control", M.cache_control(options.cache))
  end
  local name = options.download
  if name then
    if name:find("%c") then
      check.fail("send_file: download: a file's name without control characters is wanted")
    end
    methods.header(ctx, "Content-Disposition", disposition.attachment(name))
  end
end

-- A path that a request may have a part in stays below some folder: the given one, else the public
-- one that it begins with. One that begins with "/" is taken as it is.
local function place_of_file(path, root)
  if root or path:sub(1, 1) == "/" then
    return path, root
  end
  for _, folder in ipairs(PUBLIC) do
    if path:sub(1, #folder + 1) == folder .. "/" then
      return path:sub(#folder + 2), folder
    end
  end
  check.fail(('send_file: "%s" is not below %s: name the folder that the path cannot leave, as '
    .. '{ root = "reports" }'):format(path, table.concat(PUBLIC, "/ or ") .. "/"))
end

--- A file, with ranges, validators and its media type. `options.root`: the path is below that
--- folder and cannot leave it. Without it a path is below public/ or lua/public/ of the project, or
--- begins with "/": then it is taken as it is, so never make such a one of what a request says.
---@param options table? root, type, cache (seconds), download (the file's name for the user)
function methods.send_file(ctx, path, options)
  check_open(ctx, 2)
  if type(path) ~= "string" then
    error("send_file: a path is wanted, not " .. check.describe(path), 2)
  elseif path:find("%z") then
    methods.fail(ctx, 404, "no such file") -- no file has such a name: it is a request's
  end
  options = check.options("send_file", options or {}, FILE_OPTIONS)
  local content_type = options.type and check_field("Content-Type", options.type, 2)
  local beneath, root = place_of_file(path, options.root)
  say_options(ctx, options)
  stage(ctx, FILE, content_type or false, { path = beneath, root = root and M.resolve(ctx, root) })
end

--- Sends a file that app:static found, or calls `on_folder(ctx)` if it is a folder.
function M.send_static(ctx, path, root, cache, on_folder)
  methods.send_file(ctx, path, { root = root, cache = cache })
  ctx[BODY].on_folder = on_folder
end

--- Paths of scripts are against the project's root.
function M.below(root, path)
  if path:sub(1, 1) == "/" or root == "" then
    return path
  end
  return root .. "/" .. path
end

--- The same for the app of a ctx.
function M.resolve(ctx, path)
  return M.below(ctx[ROOT].served.folder or "", path)
end

--- An answer in pieces: `fn(out)` runs when the onion has unwound; out:write(s) waits while the
--- peer is slow.
function methods.stream(ctx, content_type, fn)
  check_open(ctx, 2)
  if type(fn) ~= "function" then
    error("stream: a media type and a function are wanted, not " .. check.describe(fn), 2)
  end
  stage(ctx, STREAM, check_field("Content-Type", content_type, 2), fn)
end

-- --- taking over ---

local PROTOCOL = "^[%w!#$%%&'*+.^_`|~-]+$"

local function is_protocol(name)
  if type(name) ~= "string" then
    return false
  end
  local kind, version = name:match("^([^/]+)/?(.*)$")
  return kind ~= nil and kind:find(PROTOCOL) ~= nil
    and (version == "" and name:sub(-1) ~= "/" or version:find(PROTOCOL) ~= nil)
end

-- Once the bytes are the stream's, nothing can be asked of the request any more: what its function
-- is likely to want is looked at now.
local function keep_request(ctx)
  return ctx.headers, ctx.query, ctx.log
end
M.keep_request = keep_request

local function take_over(ctx, status, protocol, fn)
  keep_request(ctx)
  stage(ctx, TUNNEL, false, { protocol = protocol, fn = fn })
  ctx[STATUS], ctx[TYPE] = status, false
end

--- Switches to another protocol (101), if the client asks for it; else 426. `fn(stream)` runs when
--- the onion has unwound; the connection ends with it. In it ctx.params, headers, query, cookies,
--- state and log are there; the rest of the request is to be read before.
---@param protocol string as in Upgrade, such as "echo" or "chat/2"
---@param fn fun(stream: moongate.Stream)
function methods.upgrade(ctx, protocol, fn)
  check_open(ctx, 2)
  if not is_protocol(protocol) then
    error('upgrade: the name of a protocol such as "echo" is wanted, not '
      .. check.describe(protocol), 2)
  elseif type(fn) ~= "function" then
    error("upgrade: a protocol and a function are wanted, not " .. check.describe(fn), 2)
  end
  local ok, why = native.may_take_over(ctx[HANDLE], protocol)
  if not ok and why == "body" then
    error("upgrade: the request has a body: await ctx:body() first", 2)
  elseif not ok and why == "unasked" then
    error(errors.new("status", "the protocol " .. protocol .. " is spoken here", {
      status = 426, upgrade = protocol,
    }), 0)
  end
  take_over(ctx, 101, protocol, fn)
end

--- Answers a CONNECT (app:connect) with 200; then as ctx:upgrade.
---@param fn fun(stream: moongate.Stream)
function methods.tunnel(ctx, fn)
  check_open(ctx, 2)
  if type(fn) ~= "function" then
    error("tunnel: a function is wanted, not " .. check.describe(fn), 2)
  end
  local ok, why = native.may_take_over(ctx[HANDLE])
  if not ok and why ~= "closed" then
    error(why == "body" and "tunnel: the request has a body: await ctx:body() first"
      or "tunnel: only the answer to a CONNECT (app:connect) opens one", 2)
  end
  take_over(ctx, 200, nil, fn)
end

--- Fields that only Moongate sets, for a 426.
function M.demand_upgrade(ctx, protocol)
  add_field(ctx, "Connection", "upgrade")
  add_field(ctx, "Upgrade", protocol)
end

--- Ends the handler with an error answer: problem+json (RFC 9457) of that status.
function methods.fail(ctx, status, message, details)
  M.check_ctx(ctx, 2)
  if type(status) ~= "number" or status < 400 or status > 599 or status % 1 ~= 0 then
    error("fail: the status is an integer from 400 to 599, not " .. check.describe(status), 2)
  elseif message ~= nil and type(message) ~= "string" and type(message) ~= "number" then
    error("fail: the message is a string, not " .. check.describe(message), 2)
  elseif details ~= nil and type(details) ~= "table" then
    error("fail: the details are a table such as { field = \"email\" }, not "
      .. check.describe(details), 2)
  end
  message = message == nil and "" or text.of(message)
  error(errors.new("status", message, { status = status, details = details }), 0)
end

return M
