--- Loads an app and hands it to the server. What src/lua/lua_app.c calls.
local sched = require("moongate.core.sched")
local errors = require("moongate.core.errors")
local app_class = require("moongate.app")
local env = require("moongate.core.scripts.env")
local guard = require("moongate.core.scripts.guard")
local depth = require("moongate.core.scripts.depth")
local modules = require("moongate.core.scripts.modules")
local serve = require("moongate.core.app.serve")
local files = require("moongate.files")
local info = require("moongate.core.info")
local upstream = require("moongate.upstream")
local dev = require("moongate.core.app.dev")
local repl = require("moongate.core.dev.repl")
local routes = require("moongate.core.app.routes")
local explain = require("moongate.core.app.explain")
local streams = require("moongate.core.app.streams")
local strings = require("moongate.core.scripts.strings")
local finalizers = require("moongate.core.scripts.finalizers")

local M = {}

-- The message of a failed load: "file:line: what", without a traceback.
local function describe(err, place)
  local text = errors.show(errors.field(err, "message") or errors.line(err))
  return place and not text:find("^[^\n:]+:%d+: ") and place .. ": " .. text or text
end

-- Runs the script that returns the app: ok, app or error, where it raised.
local function run_app(loader, path)
  local place
  local ok, app = xpcall(loader.run, function(err)
    place = type(err) ~= "string" and sched.user_line(1) or nil -- a text says so itself
    return err
  end, path)
  return ok, app, place
end

-- The state serves this app alone.
local function close_state(root, options)
  if options.serving then
    modules.shut_out(env.prefix(root))
    depth.install()
    guard.install(options.ffi)
    strings.install()
  end
end

---@param root string the project's folder
---@param path string the script that returns the app
---@param options table? handler_seconds; read(path) -> text or nil, instead of the disk;
--- generation, worker (for moongate.info); dev: faults are shown to browsers; serving: the state
--- has no other use; ffi: scripts may have it; upstreams: list of their names;
--- record: the spec that requests are recorded in
---@return table? served
---@return string? message with file and line
function M.load(root, path, options)
  options = options or {}
  info.generation, info.worker = options.generation or 1, options.worker or 0
  upstream.know(options.upstreams)
  local recorder = options.record and require("moongate.core.record.recorder")
  close_state(root, options)
  local loader = env.new(root, options.read)
  sched.loading = true
  local ok, app, place = run_app(loader, path)
  sched.loading = false
  if not ok then
    return nil, describe(app, place)
  end
  if not app_class.is(app) then
    return nil, path .. ": the script must return the app it made with moongate.app()"
  end
  local frozen_ok, frozen = pcall(options.dev and dev.freeze or app.freeze, app)
  if not frozen_ok then
    return nil, describe(frozen)
  end
  if recorder then
    recorder.install(frozen, options.record)
  end
  local prepared, served = pcall(serve.prepare, frozen, {
    root = root,
    upstreams = options.upstreams,
    handler_seconds = options.handler_seconds,
    page = options.dev and dev.page(root, options.read),
    globals = options.dev and loader.globals,
  })
  return prepared and served or nil, not prepared and describe(served) or nil
end

--- Development: what is served while the scripts cannot be loaded. Every request is answered with
--- the fault.
---@param root string
---@param message string "file:line: what"
---@param options table as for M.load
---@return table served
function M.load_fault(root, message, options)
  info.generation, info.worker = options.generation or 1, options.worker or 0
  close_state(root, options)
  local page = dev.page(root, options.read)
  return serve.prepare(dev.fault_app(message, page):freeze(), { root = root, page = page })
end

--- Serves it; `ready(ok, message)` is called when its on_start functions are through.
---@param limit number? seconds that loading and on_start may take
---@param left number? what on_start has of them
function M.start(served, ready, limit, left)
  files.root = served.folder
  serve.start(served, ready, limit, left)
end

--- It serves from now on: its jobs begin, unless `jobs` is false.
function M.commit(served, jobs)
  serve.commit(served, jobs)
end

--- Another generation serves new requests. Jobs end, requests and streams go on, the background has
--- `drain_seconds` left; on_stop runs; then `done()` is called, once.
function M.retire(served, drain_seconds, done)
  serve.retire(served, drain_seconds, done)
end

--- What still waits is answered 503, streams end.
function M.evict(served)
  serve.evict(served)
end

--- What still lives.
---@return integer requests, integer streams, integer background
function M.pins(served)
  return serve.pins(served)
end

--- Nothing of the scripts runs any more behind this.
M.close = finalizers.close

--- The server is about to stop: whoever goes on for long is told (ctx.retiring), jobs tick no more.
function M.announce(served)
  serve.announce(served)
end

--- Ends it; `done()` is called when its on_stop functions are through. `seconds`, if given, are
--- what its background work has before; `stop_seconds` what on_stop has.
function M.stop(served, done, seconds, stop_seconds)
  serve.stop(served, done, seconds, stop_seconds)
end

--- Development: evaluates what was typed; `reply(ok, text)` comes once.
function M.evaluate(served, code, reply)
  repl.evaluate(served, code, reply)
end

--- The table of routes as text.
---@return string
function M.routes(served)
  return routes.text(served.app)
end

--- Where connections of other protocols are wanted, for whoever opens sockets.
---@return string
function M.streams(served)
  return streams.lines(served.app.streams)
end

--- What answers a request, and why, as text.
---@param method string
---@param target string a path with or without a query, or a URL
---@param body_bytes number limits.body
---@return string
function M.explain(served, method, target, body_bytes)
  return explain.text(served, method, target, { body_bytes = body_bytes })
end

return M
