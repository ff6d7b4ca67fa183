--- app: the declarations of a service. Loading a script only declares; app:freeze() hands the
--- result to the server.
local check = require("moongate.core.check")
local places = require("moongate.core.places")
local router = require("moongate.core.app.router")
local cron = require("moongate.core.app.cron")
local fallback = require("moongate.core.app.fallback")
local patterns = require("moongate.core.app.patterns")
local suggest = require("moongate.core.suggest")
local makers = require("moongate.middleware")

local M = {}

---@class moongate.App
local App = {}
App.__index = App

suggest.close(App, "the app")
places.know(App)

local METHODS = { "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS" }
local STANDARD = { TRACE = true }
for _, method in ipairs(METHODS) do
  STANDARD[method] = true
end

local function check_middleware(name, fn)
  check.callable(name, fn)
  for made, maker in next, makers do
    if fn == maker then
      check.fail(("%s: moongate.middleware.%s makes a middleware: call it, as "
        .. "moongate.middleware.%s()"):format(name, made, made))
    end
  end
  return fn
end

local function list_of_functions(name, list)
  if check.is_callable(list) then
    return { check_middleware(name, list) }
  end
  check.type(name, list, "table")
  for i, fn in ipairs(list) do
    check_middleware(name .. "[" .. i .. "]", fn)
  end
  return list
end

local ROUTE_OPTIONS = {
  name = check.string,
  timeout = check.seconds,
  body = check.bound,
  stream_max = check.seconds,
  middleware = list_of_functions,
}

---@return moongate.App
function M.new()
  local shared = {
    routes = {}, named = {}, on_start = {}, on_stop = {}, on_response = {},
    jobs = {}, job_names = {}, streams = {},
    frozen = false, table = router.new(),
    any = {}, any_table = router.new(), -- what app:any declared joins the rest in freeze
    all_methods = { unpack(METHODS) }, -- HTTP's, then those that routes name besides
    groups = {}, prefixes = router.new(), -- middleware by the group's id, the ids by prefix
  }
  return setmetatable({ shared = shared, prefix = "", for_host = false, own = {}, top = true },
    App)
end

--- Is it an app that M.new made?
---@return boolean
function M.is(value)
  return type(value) == "table" and getmetatable(value) == App and value.top == true
end

local function shared_of(self)
  if type(self) ~= "table" or getmetatable(self) ~= App then
    check.fail("call it with a colon: app:get(...), app:use(...)")
  end
  if self.shared.frozen then
    check.fail("the app is being served: declare everything while its script is loading")
  end
  return self.shared
end

-- --- routes ---

-- Nobody's own method is one of HTTP's with two letters swapped.
local function is_misspelt(name)
  for i = 1, #name - 1 do
    local a, b = name:sub(i, i), name:sub(i + 1, i + 1)
    if STANDARD[name:sub(1, i - 1) .. b .. a .. name:sub(i + 2)] then
      return true
    end
  end
  return false
end

-- Any token; HTTP's own in any case, others as they are written.
local function method_of(name)
  check.string("route: method", name)
  local upper = name:upper()
  if STANDARD[upper] then
    return upper
  elseif upper == "CONNECT" then
    check.fail("route: method: CONNECT has no path that could be routed: app:connect(handler)")
  elseif is_misspelt(upper) then
    check.one_of("route: method", name, STANDARD)
  elseif not name:find("^[%w!#$%%&'*+.^_`|~-]+$") then
    check.fail('route: method: a token such as "PURGE" is wanted, not "' .. name .. '"')
  end
  return name
end

local function methods_of(list)
  if type(list) == "string" then
    list = { list }
  end
  check.type("route: methods", list, "table")
  local methods = {}
  for i, method in ipairs(list) do
    methods[i] = method_of(method)
  end
  if #methods == 0 then
    check.fail('route: at least one method is wanted, such as { "GET" }')
  end
  return methods
end

local function joined(a, b)
  local out = {}
  for _, list in ipairs({ a, b or {} }) do
    for _, item in ipairs(list) do
      out[#out + 1] = item
    end
  end
  return out
end

local function full_pattern(self, pattern)
  patterns.check(pattern)
  if self.prefix ~= "" and pattern == "/" then
    return self.prefix
  end
  return self.prefix .. pattern
end

local function new_route(self, methods, pattern, options, handler)
  if handler == nil then
    options, handler = nil, options
  end
  if type(options) == "string" then
    options = { name = options }
  end
  local full = full_pattern(self, pattern)
  check.callable("handler of " .. full, handler)
  options = check.options("options of " .. full, options or {}, ROUTE_OPTIONS)
  return {
    id = #self.shared.routes + 1,
    methods = methods,
    pattern = full,
    host = self.for_host or nil,
    name = options.name,
    where = check.caller(),
    handler = handler,
    middleware = joined(self.own, options.middleware),
    group = self.own, -- also of what is answered in place of a route: core/app/fallback.lua
    timeout = options.timeout,
    body = options.body,
    stream_max = options.stream_max,
  }
end

local function keep_name(named, route)
  local first = named[route.name]
  if first then
    check.fail("the name " .. route.name .. " is taken by the route at " .. first.where)
  end
  named[route.name] = route
end

local function learn_methods(shared, methods)
  for _, method in ipairs(methods) do
    if not STANDARD[method] and method ~= "CONNECT" and not shared.all_methods[method] then
      shared.all_methods[method] = true
      table.insert(shared.all_methods, method)
    end
  end
end

local function declare(self, methods, pattern, options, handler, is_any)
  local shared = shared_of(self)
  local route = new_route(self, methods, pattern, options, handler)
  router.add(is_any and shared.any_table or shared.table, route, shared.routes)
  shared.routes[route.id] = route
  learn_methods(shared, methods)
  if is_any then
    table.insert(shared.any, route)
  end
  if route.name then
    keep_name(shared.named, route)
  end
  return self
end

for _, method in ipairs(METHODS) do
  --- app:get(pattern, [name or options,] handler), and so on for each method
  App[method:lower()] = function(self, pattern, options, handler)
    return declare(self, { method }, pattern, options, handler)
  end
end

--- Every method that has no route of its own on that pattern, declared before or after: those of
--- HTTP and all that any route of the app names.
function App:any(pattern, options, handler)
  return declare(self, METHODS, pattern, options, handler, true)
end

--- Answers CONNECT, which has no path: app:connect([name or options,] handler). ctx.host is what
--- the client wants to be connected to; ctx:tunnel(fn) opens the tunnel.
function App:connect(options, handler)
  if self.prefix ~= "" or self.for_host then
    check.fail("connect: CONNECT has no path: declare it outside of groups")
  end
  return declare(self, { "CONNECT" }, "/", options, handler)
end

--- app:route({ "GET", "PURGE" }, pattern, [name or options,] handler)
function App:route(methods, pattern, options, handler)
  return declare(self, methods_of(methods), pattern, options, handler)
end

-- `fn` declares what belongs to the group.
local function declare_group(self, prefix, host, middleware, fn)
  local group = setmetatable({
    shared = self.shared, prefix = prefix, for_host = host,
    own = joined(self.own, middleware), top = false,
  }, App)
  local groups = self.shared.groups
  groups[#groups + 1] = group.own
  fallback.add_prefix(self.shared.prefixes, prefix, #groups, host or nil)
  fn(group)
  return self
end

--- Routes below `prefix`, with middleware of their own, which runs around what is answered in place
--- of a route there as well (404, 405, OPTIONS):
--- app:group("/admin", { auth }, function(admin) ... end)
function App:group(prefix, middleware, fn)
  shared_of(self)
  if fn == nil then
    middleware, fn = {}, middleware
  end
  check.string("group: prefix", prefix)
  check.callable("group", fn)
  if prefix:sub(1, 1) ~= "/" or (#prefix > 1 and prefix:sub(-1) == "/") then
    check.fail('group: a prefix is like "/admin", not "' .. prefix .. '"')
  end
  local own = list_of_functions("group: middleware", middleware or {})
  prefix = self.prefix .. (prefix == "/" and "" or prefix)
  return declare_group(self, prefix, self.for_host, own, fn)
end

-- Labels of letters, digits and hyphens, perhaps below "*."; an address of IPv6 in brackets.
local function check_host(name)
  check.string("host", name)
  local labels = name:gsub("^%*%.", "")
  local good = labels:find("^%w[%w-]*[%w.-]*$") and not labels:find("..", 1, true)
    or name:find("^%[[%x:.]+%]$")
  if not good or #name > 255 then
    check.fail('host: a name such as "api.example.org" or "*.example.org" is wanted, without a '
      .. 'port, in punycode beyond ASCII, not "' .. name .. '"')
  end
  return name:lower():gsub("%.$", "")
end

--- Routes for requests of one host, or of all below one ("*.example.org"), whatever the port: they
--- go before those of any host, and have middleware of their own:
--- app:host("api.example.org", { auth }, function(api) ... end)
function App:host(name, middleware, fn)
  shared_of(self)
  if fn == nil then
    middleware, fn = {}, middleware
  end
  local host = check_host(name)
  check.callable("host", fn)
  if self.for_host then
    check.fail("host: these routes are for " .. self.for_host .. " already")
  end
  local own = list_of_functions("host: middleware", middleware or {})
  return declare_group(self, self.prefix, host, own, fn)
end

--- Middleware for the routes of this app or group that are declared after it.
function App:use(middleware)
  shared_of(self)
  check_middleware("use", middleware)
  self.own[#self.own + 1] = middleware
  return self
end

--- Files of `folder` below `prefix`. Options: index, cache (seconds), dotfiles, well_known.
function App:static(prefix, folder, options)
  local shared = shared_of(self)
  check.string("static: prefix", prefix)
  check.folder("static: folder", folder)
  local static = require("moongate.core.app.static")
  local handler, files = static.new(folder, options)
  local base = prefix == "/" and "" or prefix:gsub("/$", "")
  if base ~= "" then
    declare(self, { "GET" }, base, nil, static.add_slash)
  end
  for _, pattern in ipairs({ base .. "/", base .. "/*path" }) do
    declare(self, { "GET" }, pattern, nil, handler)
    shared.routes[#shared.routes].files = files
  end
  return self
end

--- A WebSocket. In the table form { open, message, close, reload } the functions are called as they
--- are due: open(ws, ctx) before the connection is one, message(ws, data, kind), close(ws, code,
--- reason), and reload(ws) once these scripts have taken the socket over from others. In the other
--- form one function has the socket to itself. Options: max_message, connections, rate, idle, ping,
--- protocols, origins, deflate, slow, and those of any route.
function App:websocket(pattern, options, functions)
  local shared = shared_of(self)
  if functions == nil then
    options, functions = nil, options
  end
  local live = require("moongate.core.live.route")
  local full = full_pattern(self, pattern)
  local socket, route = live.split(options, ROUTE_OPTIONS)
  functions = live.functions(full, functions)
  declare(self, { "GET" }, pattern, route, require("moongate.core.live.serve").handler)
  local declared = shared.routes[#shared.routes]
  declared.websocket, declared.functions = socket, functions
  declared.key = declared.name or (declared.host or "") .. full
  return self
end

--- Passes on what comes for `pattern` to an upstream of the configuration, whatever its method,
--- and relays what that answers; "/users/*path" is also for "/users/". Options: strip, path, host,
--- headers, timeouts, buffer, and those of any route; `methods` instead of HTTP's own and those
--- that routes name.
function App:proxy(pattern, upstream, options)
  local shared = shared_of(self)
  local proxy = require("moongate.core.proxy.route")
  check.string("proxy: upstream", upstream)
  options = options and check.type("proxy: options", options, "table")
  local proxying, route = proxy.split(options, ROUTE_OPTIONS)
  local methods = route.methods and methods_of(route.methods)
  route.methods = nil
  local handler, proxied = proxy.new(full_pattern(self, pattern), upstream, proxying)
  declare(self, methods or METHODS, pattern, route, handler, not methods)
  shared.routes[#shared.routes].proxied = proxied
  return self
end

-- --- the rest ---

local function only_top(self, what)
  local shared = shared_of(self)
  if not self.top then
    check.fail(what .. " belongs to the app, not to a group")
  end
  return shared
end

--- Answers what no route takes.
function App:not_found(fn)
  only_top(self, "not_found").not_found = check.callable("not_found", fn)
  return self
end

--- The one place that maps errors to answers: fn(ctx, err).
function App:on_error(fn)
  only_top(self, "on_error").on_error = check.callable("on_error", fn)
  return self
end

--- `fn()` runs in a coroutine and must finish before requests are taken.
function App:on_start(fn)
  table.insert(shared_of(self).on_start, check.callable("on_start", fn))
  return self
end

--- `fn()` runs when the app stops, after the last request.
function App:on_stop(fn)
  table.insert(shared_of(self).on_stop, check.callable("on_stop", fn))
  return self
end

--- `fn(ctx, answer)` runs in the background when an answer has ended, sent or broken off: answer is
--- { status (0: none began), headers, bytes (of content), seconds, aborted }.
function App:on_response(fn)
  table.insert(only_top(self, "on_response").on_response, check.callable("on_response", fn))
  return self
end

local function jitter_of(name, value)
  return value == 0 and 0 or check.seconds(name, value)
end

local JOB_OPTIONS = { each_worker = true, jitter = jitter_of }

-- When a job ticks: { seconds } or { cron, when }.
local function times_of(when, jitter)
  if type(when) ~= "string" then
    local seconds = check.seconds("every: seconds", when)
    if jitter > seconds then
      check.fail(("every: options.jitter: %g s is more than the %g s between two ticks"):format(
        jitter, seconds))
    end
    return { seconds = seconds }
  end
  local times, message = cron.parse(when)
  if not times then
    check.fail('every: "' .. when .. '": ' .. message)
  end
  return { cron = times, when = when }
end

local function keep_job(shared, job)
  local first = shared.job_names[job.name]
  if first then
    check.fail("every: the job " .. job.name .. " is declared at " .. first .. " already")
  end
  shared.job_names[job.name] = job.where
  table.insert(shared.jobs, job)
end

--- A job every so many seconds, or whenever a cron expression says: once per service, or
--- { each_worker = true }. { jitter = seconds }: each tick comes up to so much later.
function App:every(name, when, options, fn)
  local shared = shared_of(self)
  if fn == nil then
    options, fn = {}, options
  end
  check.string("every: name", name)
  check.callable("every: " .. name, fn)
  options = check.options("every: options", options, JOB_OPTIONS)
  local job = times_of(when, options.jitter or 0)
  job.name, job.fn, job.where = name, fn, check.caller()
  job.each_worker, job.jitter = options.each_worker or false, options.jitter
  keep_job(shared, job)
  return self
end

--- Serves another protocol at an address of its own: `fn(s)` runs for each connection, which ends
--- when it returns. Options: idle (seconds without a byte), connections (at once, of a worker),
--- max_line. TLS and the PROXY protocol are the configuration's: an item of `listen` with
--- stream = true.
function App:stream(address, options, fn)
  local shared = only_top(self, "stream")
  if fn == nil then
    options, fn = nil, options
  end
  require("moongate.core.app.streams").declare(shared.streams, address, options, fn)
  return self
end

--- The path of a named route: app:url("user", { id = 7 }) -> "/users/7"
---@return string
function App:url(name, params)
  if type(self) ~= "table" or getmetatable(self) ~= App then
    check.fail("call it with a colon: app:url(name, { id = 7 })")
  end
  check.string("url: route", name)
  params = params and check.type("url: parameters", params, "table")
  local route = self.shared.named[name]
  if not route then
    check.one_of("url: route", name, self.shared.named)
  end
  local path = router.build(route.pattern, params or {})
  return path -- no tail call: the caller's line would be lost
end

--- Ends the declarations. Returns plain data for serve.prepare.
function App:freeze()
  local shared = self.shared
  shared.frozen = true
  for _, route in ipairs(shared.any) do
    route.methods = shared.all_methods
    route.methods = router.add_rest(shared.table, route, shared.routes)
  end
  for _, route in ipairs(shared.routes) do
    if route.proxied then -- a server has something at the root of what it is asked for, too
      router.add_bare(shared.table, route)
    end
  end
  return {
    routes = shared.routes,
    router = shared.table,
    groups = shared.groups,
    prefixes = shared.prefixes,
    middleware = joined(self.own),
    not_found = shared.not_found,
    on_error = shared.on_error,
    on_start = shared.on_start,
    on_stop = shared.on_stop,
    on_response = shared.on_response,
    jobs = shared.jobs,
    streams = shared.streams,
  }
end

return M
