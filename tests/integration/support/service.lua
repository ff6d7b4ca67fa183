--- A server of several processes, spoken to by its own commands.
local bit = require("bit")
local ffi = require("ffi")
local json = require("dkjson")
local servers = require("support.server")
local process = require("support.process")
local wire = require("support.wire")
local M = {}

local Service = {}

-- Each app begins with this: `app` and `moongate` are there.
local BEGIN = [[
local moongate = require("moongate")
local app = moongate.app()
app:get("/who", function()
  local info = moongate.info()
  return info.worker .. " " .. info.pid .. " " .. info.generation
end)
app:get("/sleep/:ms", function(ctx)
  ctx:sleep(ctx.params.ms / 1000):await()
  return "slept\n"
end)
]]

--- The text of an app with these lines; GET / answers `word`.
function M.app(word, lines)
  return BEGIN .. ("app:get('/', function() return %q end)\n"):format(word) .. (lines or "")
    .. "\nreturn app\n"
end

--- Starts a service on an app of M.app.
---@param options table|nil as for support.server; workers is 2 unless it says otherwise
---@param word string|nil what GET / answers
---@param lines string|nil further declarations
---@param how table|nil
function M.start(options, word, lines, how)
  local config = { workers = 2, log = { level = "info", file = "stderr", access = false } }
  for k, v in pairs(options or {}) do
    config[k] = v
  end
  how = how or {}
  how.app = how.app or M.app(word or "one", lines)
  local server = servers.start(config, how)
  for name, fn in pairs(Service) do
    server[name] = fn
  end
  return server
end

--- For specs whose tests have a service each: a function that starts one as M.start does, and one
--- for after_each that stops it, gracefully. `keep(service)` is told which there is, nil behind it.
---@param keep fun(service: table|nil)
---@return fun(...): table start
---@return fun() stop
function M.each(keep)
  local current
  return function(...)
    current = M.start(...)
    keep(current)
    return current
  end, function()
    local ended = current
    current = nil
    keep(nil)
    if ended then
      ended:stop()
    end
  end
end

function Service:write_app(word, lines)
  process.write_file(self.folder .. "/lua/app.lua", M.app(word, lines))
end

function Service:write(path, text)
  process.write_file(self.folder .. "/" .. path, text)
end

--- Changes keys of the configuration file; takes effect at a reload.
function Service:configure(changes)
  for k, v in pairs(changes) do
    self.config[k] = v
  end
  self:write("conf/moongate.lua", servers.config_text(self.config))
end

--- Runs a command of Moongate on the service.
---@return table { status, out, err }
function Service:command(verb, ...)
  return process.run({ servers.BINARY, verb, self.conf, ... }, 60)
end

function Service:reload(...)
  return self:command("reload", ...)
end

--- Reloads; it must succeed.
function Service:must_reload(...)
  local said = self:reload(...)
  assert(said.status == 0, said.err)
  return said
end

--- Reloads, and calls `fn` over and over until the reload has ended; it must succeed.
function Service:must_reload_during(fn)
  local conf = self.folder .. "/conf/moongate.lua"
  local out, err = self.folder .. "/reload.out", self.folder .. "/reload.err"
  local reload = process.start({ servers.BINARY, "reload", conf }, out, err)
  local ok, fault = pcall(process.wait_until, "the reload ends", function()
    fn()
    return reload:poll()
  end)
  local status = ok and reload.status or reload:destroy()
  assert(ok, fault)
  assert(status == 0, process.read_file(err))
end

local RUNTIME = os.getenv("XDG_RUNTIME_DIR") -- tests/run.sh sets it

-- Where its control socket lies: src/gate/control_path.c. Nil: the command finds it.
local function control_path(service)
  if service.config.control then
    return service.folder .. "/" .. service.config.control
  elseif not RUNTIME then
    return nil
  end
  local hash = ffi.cast("uint64_t", 0xcbf29ce484222325ULL)
  for i = 1, #service.conf do
    hash = bit.bxor(hash, service.conf:byte(i)) * 0x100000001b3ULL
  end
  return ("%s/moongate/%s.sock"):format(RUNTIME, bit.tohex(hash, 16))
end

--- What `moongate status --json` tells, asked of the control socket itself: many wait for it, and a
--- process for each question takes most of the time. Raises if nobody answers.
---@return table
function Service:status()
  local path = control_path(self)
  if not path then
    return (assert(json.decode(self:command("status", "--json").out)))
  end
  local conn = wire.connect_unix(path)
  conn:send('{"command":"status"}\n')
  local said = conn:take_rest()
  conn:close()
  return (assert(json.decode(said)))
end

---@return integer[] of the workers that serve or should, by worker
function Service:pids()
  local pids = {}
  for _, worker in ipairs(self:status().workers) do
    if worker.state == "serving" or worker.state == "stuck" then
      pids[worker.worker] = worker.pid
    end
  end
  return pids
end

function Service:body(target)
  return self:request(wire.get(target)).body
end

--- A connection that worker `wanted` holds.
function Service:connect_to(wanted)
  return process.wait_until("worker " .. wanted .. " accepts a connection", function()
    local conn = self:connect()
    if conn:request(wire.get("/who")).body:match("^%d+") == tostring(wanted) then
      return conn
    end
    conn:close()
  end)
end

return M
