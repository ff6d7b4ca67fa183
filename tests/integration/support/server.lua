--- Starts the Moongate under test on a fixture project in a temporary folder, and sees it off.
local socket = require("socket")
local folders = require("support.folder")
local process = require("support.process")
local wire = require("support.wire")
local M = {}

M.BINARY = os.getenv("MOONGATE") or "build/moongate"
M.FIXTURE = "tests/integration/fixture"

local LOOPBACK = "127.0.0.1"
local PORTS = { first = 10000, last = 32000 }
local TAKEN = os.getenv("XDG_RUNTIME_DIR") -- of tests/run.sh, which removes it

math.randomseed(socket.gettime() * 1000 % 2 ^ 31)

-- --- configuration ---

local write_value

local function write_table(value)
  local out = {}
  for k, v in pairs(value) do
    local key = type(k) == "number" and "" or string.format("[%q] = ", k)
    out[#out + 1] = key .. write_value(v)
  end
  return "{ " .. table.concat(out, ", ") .. " }"
end

function write_value(value)
  if type(value) == "table" then
    return write_table(value)
  end
  return type(value) == "string" and string.format("%q", value) or tostring(value)
end

--- The text of a configuration file that returns `value`.
function M.config_text(value)
  return "return " .. write_value(value) .. "\n"
end

local function can_bind(host, port)
  local sock = assert(host:find(":", 1, true) and socket.tcp6() or socket.tcp4())
  local ok = sock:bind(host, port)
  sock:close()
  return ok
end

local function claim(port)
  return not TAKEN or process.make_folder(("%s/port-%d"):format(TAKEN, port))
end

--- A TCP port that nobody listens on. It is below those that the kernel hands out by itself, and no
--- other runner is given it: a folder beside the control sockets stands for each one that is taken.
function M.free_port(host)
  for _ = 1, 1000 do
    local port = math.random(PORTS.first, PORTS.last)
    if claim(port) and can_bind(host or LOOPBACK, port) then
      return port
    end
  end
  error("no free port between " .. PORTS.first .. " and " .. PORTS.last)
end

local function with_defaults(options, port)
  local config = {
    listen = { LOOPBACK .. ":" .. port },
    workers = 0, -- all in the process that the test sees
    app = "lua/app.lua",
    log = { level = "info", file = "stderr", access = "access.log" },
  }
  for k, v in pairs(options or {}) do
    config[k] = v
  end
  return config
end

-- --- project folders ---

local fixture -- read once

--- A temporary project: a copy of the fixture, with the configuration's text in conf/moongate.lua.
---@return string path of the folder; the caller removes it
function M.project(text)
  local folder = process.temp_folder()
  fixture = fixture or folders.read(M.FIXTURE)
  fixture.conf = {}
  folders.write(folder, fixture)
  process.write_file(folder .. "/conf/moongate.lua", text)
  return folder
end

-- --- running servers ---

local Server = {}
Server.__index = Server

local function can_connect(address)
  if type(address) == "string" then
    return pcall(function()
      wire.connect_unix(address):close()
    end)
  end
  local sock = socket.tcp4()
  sock:settimeout(1)
  local ok = sock:connect(LOOPBACK, address)
  sock:close()
  return ok
end

local function wait_until_it_accepts(server, address)
  process.wait_until("the server accepts", function()
    local status = server.process:poll()
    assert(not status, ("the server ended with %s:\n%s"):format(tostring(status), server:stderr()))
    return can_connect(address)
  end)
end

--- Starts a server and waits until it accepts.
---@param options table|nil keys of the configuration file, over the defaults above
---@param how table|nil command: words before the binary; verb: instead of "run"; arguments: words
---  after CONF; app: text of lua/app.lua, instead of the fixture's; wait_for: port or Unix path
---  that accepts once it is ready, if not the default one; arrange: function(folder) that may move
---  things and returns the path of the configuration
function M.start(options, how)
  how = how or {}
  local port = M.free_port()
  local config = with_defaults(options, port)
  local folder = M.project(M.config_text(config))
  if how.app then
    process.write_file(folder .. "/lua/app.lua", how.app)
  end
  local argv = { unpack(how.command or {}) }
  argv[#argv + 1] = M.BINARY
  argv[#argv + 1] = how.verb or "run"
  local conf = how.arrange and how.arrange(folder) or folder .. "/conf/moongate.lua"
  argv[#argv + 1] = conf
  for _, word in ipairs(how.arguments or {}) do
    argv[#argv + 1] = word
  end
  local started = process.start(argv, folder .. "/stdout", folder .. "/stderr")
  local server = {
    process = started, pid = started.pid, port = port, folder = folder, conf = conf,
    config = config,
  }
  setmetatable(server, Server)
  local ok, err = pcall(wait_until_it_accepts, server, how.wait_for or port)
  if not ok then
    server:kill()
    error(err, 0)
  end
  return server
end

function Server:stderr()
  return process.read_file(self.folder .. "/stderr") or ""
end

function Server:stdout()
  return process.read_file(self.folder .. "/stdout") or ""
end

function Server:access_log()
  return process.read_file(self.folder .. "/access.log") or ""
end

--- Waits until the error log has a line with that pattern; returns the whole log.
function Server:wait_for_log(pattern)
  return process.wait_until("the log says " .. pattern, function()
    local text = self:stderr()
    return text:find(pattern) and text
  end)
end

function Server:connect(options)
  return wire.connect(LOOPBACK, self.port, options)
end

function Server:url(target)
  return ("http://%s:%d%s"):format(LOOPBACK, self.port, target)
end

--- One request on a connection of its own.
function Server:request(bytes, method)
  local conn = self:connect()
  local res = conn:request(bytes, method)
  conn:close()
  return res
end

function Server:get(target, ...)
  return self:request(wire.get(target, ...), "GET")
end

--- Polls a route until its body is `body`.
function Server:wait_for_body(target, body)
  process.wait_until(target .. " answers " .. body, function()
    return self:get(target).body == body
  end)
end

local REPORTS = { "ERROR: %w+Sanitizer", "runtime error:", "Assertion", "PANIC" }

--- What a sanitizer or an assertion left on stderr, or nil.
function Server:report()
  local text = self:stderr()
  for _, pattern in ipairs(REPORTS) do
    local at = text:find(pattern)
    if at then
      return text:sub(math.max(1, at - 200))
    end
  end
end

--- Stops it gracefully; it must end with 0 and without a report.
function Server:stop()
  self.process:signal("TERM")
  local ok, status = pcall(self.process.wait, self.process, 60)
  local report, text = self:report(), self:stderr()
  self:kill()
  assert(ok, "the server does not stop on SIGTERM:\n" .. text)
  assert(not report, report)
  assert(status == 0, ("the server ended with %s:\n%s"):format(tostring(status), text))
end

--- Ends it at once and removes its folder.
function Server:kill()
  self.process:destroy()
  process.remove_folder(self.folder)
end

-- --- what it holds ---

-- What it holds is what it goes on holding: a server that has just begun opens more, and one that
-- has closed a connection may not have done so yet.
local STEADY = 10 -- looks

---@return table descriptors, rss_kb
function Server:footprint()
  collectgarbage() -- closes the connections that a failed test has left open
  local conn = self:connect()
  conn:send("?\r\n\r\n") -- whoever answers has begun
  conn:take_rest()
  conn:close()
  local descriptors, looks = 0, 0
  process.wait_until("the descriptors stay as they are", function()
    local now = process.descriptors(self.pid)
    looks = now == descriptors and looks + 1 or 0
    descriptors = now
    return looks == STEADY
  end)
  return { descriptors = descriptors, rss_kb = process.rss_kb(self.pid) }
end

--- Waits until no more descriptors are open than before; raises if some stay.
function Server:wait_for_descriptors(before)
  process.wait_until("the descriptors are back to " .. before, function()
    return process.descriptors(self.pid) <= before
  end)
end

return M
