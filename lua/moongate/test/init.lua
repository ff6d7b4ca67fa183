--- moongate.test: specs for an app through the real parser, router and scheduler. Only sockets and
--- the clock are replaced: the connections are in memory and time stands still until nothing else
--- can happen, then jumps.
local native = require("moongate.native")
local app_class = require("moongate.app")
local check = require("moongate.core.check")
local boot = require("moongate.core.boot")
local serve = require("moongate.core.app.serve")
local sched = require("moongate.core.sched")
local scopes = require("moongate.core.scope")
local errors = require("moongate.core.errors")
local Future = require("moongate.future")
local time = require("moongate.time")
local Clock = require("moongate.test.clock")
local websocket_server = require("moongate.test.websocket_server")
local wire = require("moongate.test.wire")
local websocket = require("moongate.test.websocket")
local sockets = require("moongate.core.live.socket")
local events = require("moongate.test.events")
local answers = require("moongate.test.answers")
local faults = require("moongate.test.faults")
local stubs = require("moongate.test.stubs")
local net = require("moongate.test.net")
local streams = require("moongate.test.streams")
local upstream_stub = require("moongate.test.upstream_stub")
local leaks = require("moongate.test.leaks")
local migrations = require("moongate.test.migrations")
local project = require("moongate.test.project")
local suggest = require("moongate.core.suggest")
local template = require("moongate.template")

local M = {}

require("moongate.test.exit").refuse()
faults.listen()

---@class moongate.test.App
local App = {}
App.__index = App
suggest.close(App, "the app of a spec")

-- Of other orders in which what is finished is told: `moongate test --shuffle`.
local seed = (package.loaded["moongate.specs"] or {}).seed

local DRAIN_SECONDS = 30 -- that replaced scripts have, as timeouts.drain unless an app says more

local log_lines -- where the running app's log goes

native.test_on_log(function(level, message, fields)
  faults.note(level, message)
  if log_lines then
    log_lines[#log_lines + 1] = { level = level, message = message, fields = fields }
  end
end)

-- A path as a spec names it: against the working directory, else against the project's folder.
local function absolute(path)
  if path:sub(1, 1) == "/" or M.folder ~= "" then
    return path:sub(1, 1) == "/" and path or M.folder .. path
  end
  local own = (project.folder or "") .. path
  return project.exists(own) and own or path
end

-- The folder above lua/ in the script's path; else the script's own.
local function project_of(path)
  if path:match("^lua/[^/]+%.lua$") then
    return ""
  end
  return path:match("^(.*)/lua/[^/]+%.lua$") or path:match("^(.*)/[^/]*$") or ""
end

project.enter_here()

--- The folder that relative paths begin at.
M.folder = ""

--- Whether requests come over HTTP/2 unless an app says otherwise.
M._http2 = false

--- Where scripts are read instead of the disk, by path; false: from the disk.
M.read = package.loaded["moongate.snapshot"] or false

-- As boot.load does with a script; here the spec itself declares the routes.
local function declare(fn, options)
  local app = app_class.new()
  sched.loading = true
  local ok, message = pcall(fn, app)
  sched.loading = false
  if not ok then
    return nil, errors.show(errors.field(message, "message") or errors.line(message))
  end
  return serve.prepare(app:freeze(), options)
end

local function load(source, options)
  local seconds = (options.timeouts or {}).handler
  if type(source) == "function" then
    template._begin() -- files of another app's project are not this one's
    return declare(source, { root = options.root or M.folder, handler_seconds = seconds })
  end
  local path = absolute(source)
  local root = options.root or project_of(path)
  if root ~= "" and path:sub(1, #root + 1) == root .. "/" then
    path = path:sub(#root + 2)
  end
  return boot.load(root, path, { handler_seconds = seconds, read = M.read })
end

-- `before`: what these scripts replace.
local function start(app, jobs, before)
  local started, failure = false, nil
  boot.start(app.served, function(ok, text)
    started, failure = true, not ok and text or nil
  end)
  app.clock:until_true(function()
    return started
  end, "on_start")
  if failure then
    error("on_start failed: " .. failure, 3)
  end
  boot.commit(app.served, jobs ~= false)
  if before then
    boot.retire(before, DRAIN_SECONDS, function() end)
  else
    app.clock:reset()
  end
end

-- "memory:1M" as bytes; 0: no cache.
local function cache_bytes(text)
  if not text then
    return 0
  end
  local n, unit = tostring(text):match("^memory:(%d+)([KMG]?)$")
  local bytes = n and n * ({ [""] = 1, K = 2 ^ 10, M = 2 ^ 20, G = 2 ^ 30 })[unit]
  if not bytes or bytes < 2 ^ 20 or bytes > 2 ^ 30 then
    error("test.app: cache: \"memory:1M\" to \"memory:1G\" is wanted", 3)
  end
  return bytes
end

local function is_boolean(what, value)
  return check.type(what, value, "boolean")
end

local OPTIONS = {
  root = check.string, limits = true, timeouts = true, trusted_proxies = true, forwarded = true,
  database = true, cache = true, migrations = check.string, http2 = is_boolean,
  upstreams = true, proxy = true, files = check.folder, jobs = is_boolean,
  configuration = function(name, value)
    return value == true and value or check.string(name, value)
  end,
}

-- The configuration's options, but for those that the spec gives itself.
local function with_configuration(options)
  if not options.configuration then
    return options
  end
  local all = project.options(options.configuration)
  for name, value in pairs(options) do
    all[name] = value
  end
  return all
end

--- Loads an app and starts it: no network, virtual time.
---@param source nil|string|fun(app) the script that returns the app, such as "lua/app.lua"; a
--- function that declares routes on the app it is given; without one it is the project's app, and
--- options may stand here
---@param options table? root (project folder), limits and timeouts (as in the configuration),
--- trusted_proxies, forwarded; database, cache: the real one answers what is not stubbed;
--- database: "sqlite::memory:" is empty and ends with the app, "postgres://..." is a server that is
--- there; migrations: the folder of .sql files that are run in it, in their order, before the
--- app starts; upstreams, proxy: as in the configuration, the servers are to be stubbed;
--- configuration: true (conf/moongate.lua) or a file: limits, timeouts, trusted_proxies, forwarded,
--- upstreams and proxy are those of the project; http2: requests come over HTTP/2; files: the
--- folder that the app's files are written into, below it as in the project, and where they are
--- found again; jobs: false if they run only by App:run_job
---@return moongate.test.App
function M.app(source, options)
  if type(source) == "table" then
    source, options = nil, source
  end
  options = with_configuration(check.options("test.app", options or {}, OPTIONS))
  source = source or project.app()
  native.test_serve(native.json.encode({
    limits = options.limits, timeouts = options.timeouts,
  }), options.trusted_proxies, options.forwarded)
  native.test_upstreams(native.json.encode({
    upstreams = options.upstreams, proxy = options.proxy,
  }))
  native.test_database(options.database or false)
  native.test_cache(cache_bytes(options.cache))
  local served, message = load(source, options)
  if not served then
    error(message, 2)
  end
  local app = setmetatable({
    served = served,
    source = source,
    given = options,
    clock = Clock.new(),
    logs = {},
    calls = {},
    http2 = options.http2 or M._http2,
    peers = {},
    websockets = {},
    before = leaks.mark(),
  }, App)
  log_lines = app.logs
  native.test_shuffle(seed or 0)
  answers.late = seed ~= nil
  Future._deferreds = {}
  net.install(app)
  stubs.install(app, {
    database = options.database, cache = options.cache,
    files = options.files and absolute(options.files),
  })
  upstream_stub.install(app, options.upstreams)
  if options.migrations then
    migrations.run(app, absolute(options.migrations), options.database)
  end
  start(app, options.jobs)
  return app
end

-- --- requests ---

--- Sends a request and waits for the whole answer.
---@param method string
---@param path string
---@param options table? headers, body, json, form, query
---@return moongate.test.Response
function App:request(method, path, options)
  local flight = self:start(method, path, options)
  return flight:response()
end

for _, method in ipairs({ "get", "head", "post", "put", "patch", "delete", "options" }) do
  App[method] = function(self, path, options)
    return self:request(method:upper(), path, options)
  end
end

--- Begins a request that the spec drives itself: :send, :read, :disconnect, :response.
---@return moongate.test.Flight
function App:start(method, path, options)
  log_lines = self.logs
  return wire.start(self, method, path, options)
end

--- Connects to what the app speaks at `address` (app:stream): :send, :read, :finish, :disconnect.
---@return moongate.test.Flight
function App:stream_connect(address)
  log_lines = self.logs
  return streams.connect(self, address)
end

--- A server in memory for what moongate.tcp connects to: `fn(s)` runs for each connection, which
--- ends when it returns; or how connecting fails, as test.fail("connect").
---@param address string "host:port", "unix:path"
---@param fn fun(s: moongate.Stream)
function App:stub_tcp(address, fn)
  streams.stub(self, address, fn)
  return self
end

--- Asks for an event stream: `:next()` gives its events, one by one.
---@param path string
---@param options table? as of a request
---@return moongate.test.Events
function App:events(path, options)
  log_lines = self.logs
  return events.open(self, path, options)
end

--- A server in memory for what moongate.websocket.connect opens: `fn(ws)` runs for each socket,
--- which is closed when it returns; or the status of an answer that makes no WebSocket; or how
--- connecting fails, as test.fail("connect").
---@param url string "ws://host/path", "wss://host/path"
---@param fn fun(ws: moongate.test.ServerWebSocket)|integer
function App:stub_websocket(url, fn)
  websocket_server.stub(self, url, fn)
  return self
end

--- Sends bytes as they are on a connection of their own.
---@return moongate.test.Flight
function App:raw(bytes)
  log_lines = self.logs
  return wire.raw(self, bytes)
end

--- Opens a WebSocket, whose client's end the spec has: :send, :receive, :close. nil and the answer
--- if the app refuses.
---@param path string
---@param options table? headers, protocols; answers_pings: false if it does not
---@return moongate.test.WebSocket?
---@return moongate.test.Response?
function App:websocket(path, options)
  log_lines = self.logs
  return websocket.open(self, path, options)
end

--- Loads the scripts again, as a reload does: WebSockets go on with them. Without `source` those
--- that the app was made of. Raises what is wrong with them; then nothing has changed.
---@param source nil|string|fun(app)
---@return moongate.test.App
function App:reload(source)
  log_lines = self.logs
  local served, message = load(source or self.source, self.given)
  if not served then
    error(message, 2)
  end
  local before = self.served
  sockets.cross()
  self.served = served
  start(self, self.given.jobs, before)
  return self
end

-- --- stubs ---

-- The newest stub that fits a call answers it. `answer` is a value, a Future, test.never() and the
-- like, or a function that returns one of these. `matcher` is what is looked for itself, a table
-- { pattern = "a Lua pattern" }, or a function of the arguments that says whether they are meant.

--- Replaces an async call of ctx and of the modules as a whole: `fn(ctx, ...)` or another answer.
--- Stubs of single statements, keys, paths and requests come first.
function App:stub(name, answer)
  stubs.set(self, name, answer)
  return self
end

--- A stub of HTTP requests: a server in memory, which the real client calls. So what the call says
--- of its own time, tries, redirects and pieces holds.
---@param matcher any "GET http://host/path", a URL for all methods, { method =, url =, pattern = },
--- or a function of the request { method, url, headers, body }
---@param answer any { status =, headers =, cookies =, body = or json = }, the body of a 200 as a
--- string, or a function of the request; a function as `body` is called with `out` and writes
--- pieces with out:write(text), until it returns or calls out:close() to break off
function App:stub_http(matcher, answer)
  stubs.add(self, "http_request", matcher, answer)
  return self
end

--- A stub of statements, transactions and objects of databases included. White space in statements
--- does not count.
---@param matcher any
---@param answer any rows, or a function of the parameters
function App:stub_database(matcher, answer)
  stubs.add(self, "query_database", matcher, answer)
  return self
end

--- A stub of ctx:query_cache for keys. Without arguments: a whole cache in memory, whose entries
--- end in virtual time.
---@param matcher any
---@param answer any the value (nil: it is not there), or a function of the key
function App:stub_cache(matcher, answer)
  if matcher == nil then
    stubs.add_memory_cache(self)
  else
    stubs.add(self, "query_cache", matcher, answer)
  end
  return self
end

--- A stub of commands of Redis, those of pipelines, transactions and scripts too; of
--- redis:subscribe("a", "b") as of the command SUBSCRIBE a b, whose answer is a list of messages.
---@param matcher any the command's words as one text, { pattern = }, or a function of the words
---@param answer any the reply, or a function of the words
function App:stub_redis(matcher, answer)
  stubs.add(self, "redis_command", matcher, answer)
  return self
end

--- A stub of the content that ctx:read_file and ctx:file_chunks find, and of its size.
---@param matcher any a path as it is asked for
---@param answer any the content, or a function of the path
function App:stub_file(matcher, answer)
  stubs.add(self, "read_file", matcher, answer)
  stubs.add(self, "file_chunks", matcher, answer)
  stubs.add(self, "stat_file", matcher, answer)
  return self
end

--- What the servers of an upstream answer (test.app's option `upstreams` says which there are), as
--- for stub_http: by server, which is its URL, "host:port" or its number. A server that no upstream
--- names is stubbed by its URL: stub_upstream("https://api.test", { body = "..." }).
---@param name string
---@param by_server any of an upstream a table<string|integer, any>
function App:stub_upstream(name, by_server)
  upstream_stub.stub(self, name, by_server)
  return self
end

--- The requests that the servers of an upstream have had, in order, or those that a matcher of
--- stub_http means, each try and redirect for itself: { method, url, path, headers, body, server
--- (its URL), at (virtual seconds), cancelled }.
---@param name any
---@return table[]
function App:requests_to(name)
  if type(name) == "string" and not name:find("://", 1, true) then
    return upstream_stub.requests(self, name)
  end
  return net.requests(self, stubs.of_http(name))
end

--- The calls of that name so far, in order: { name, the arguments; of HTTP also request }.
---@param name string
---@param matcher any as of a stub of that call; nil: all
---@return table[]
function App:calls_of(name, matcher)
  return (stubs.calls_of(self, name, matcher))
end

--- Fails unless there was such a call, or exactly `times` of them.
function App:assert_called(name, matcher, times)
  local n = #stubs.calls_of(self, name, matcher)
  if (times and n ~= times) or (not times and n == 0) then
    error(("%s was called %d times as described, not %s%s"):format(name, n,
      times or "once or more", stubs.describe_calls(self, name)), 2)
  end
end

--- Fails if there was such a call.
function App:assert_not_called(name, matcher)
  local n = #stubs.calls_of(self, name, matcher)
  if n > 0 then
    error(("%s was called %d times as described%s"):format(name, n,
      stubs.describe_calls(self, name)), 2)
  end
end

--- Runs `fn(...)` in a coroutine of the app and returns its values: to await in a spec.
function App:run(fn, ...)
  local done, result = false, nil
  local future = time.spawn_in(self.served.root, 2, fn, ...)
  future._looked_at = true
  Future._react(future, {
    scope = self.served.root,
    direct = function()
      done, result = true, future
    end,
  })
  self.clock:until_true(function()
    return done
  end, "the function given to app:run")
  if result:state() == "rejected" then
    error(result._value, 0)
  end
  return Future._values(result)
end

--- Runs the app's job of that name now, and returns when the run has ended. Its error is raised.
---@param name string
function App:run_job(name)
  local jobs = {}
  for _, job in ipairs(self.served.app.jobs or {}) do
    jobs[job.name] = job.fn
  end
  check.string("run_job: the name", name)
  return self:run(jobs[name] or check.one_of("run_job: the job", name, jobs))
end

--- Runs on_stop and cancels the app's background work.
function App:stop()
  local done = false
  boot.stop(self.served, function()
    done = true
  end)
  self.clock:until_true(function()
    return done
  end, "on_stop")
end

--- Fails, naming what is left behind and the line that made it: coroutines, Futures, operations,
--- connections.
function App:assert_no_leaks()
  self.clock:settle()
  local found = leaks.find(self)
  self:close()
  if #found > 0 then
    error("left behind:\n  " .. table.concat(found, "\n  "), 2)
  end
end

--- Closes the app's connections and cancels all it does.
function App:close()
  for _, peer in ipairs(self.peers) do
    peer:close(true) -- at once, with no time to answer
  end
  self.peers = {}
  scopes.cancel_app(self.served.root, errors.new("cancelled", "the spec's app is closed"))
  net.remove(self)
  self.clock:settle()
  Future._end_app(self.served.root)
  stubs.remove(self)
end

-- --- answers for stubs ---

--- A copy of a value in which members whose names tell of secrets are "[redacted]": what recorded
--- specs compare.
M.redacted = require("moongate.core.record.redact").value

M.never, M.after, M.fail = answers.never, answers.after, answers.fail
M.sequence = answers.sequence

return suggest.close(M, "moongate.test")
