--- Endpoints of other protocols: app:stream. Each connection runs the app's function in a coroutine
--- of its own, in the background of these scripts: with others in their place it has the time of
--- the drain.
local native = require("moongate.native")
local check = require("moongate.core.check")
local errors = require("moongate.core.errors")
local seldom = require("moongate.core.seldom")
local sched = require("moongate.core.sched")
local raw = require("moongate.core.stream")
local log = require("moongate.log")
local time = require("moongate.time")

local M = {}

-- --- declaring ---

local OPTIONS = {
  idle = check.seconds, connections = check.positive_integer, max_line = check.positive_integer,
}
local OPERATORS = { tls = true, proxy_protocol = true, mode = true } -- keys of an item of `listen`

local function check_options(options)
  for key in pairs(check.type("stream: options", options, "table")) do
    if OPERATORS[key] then
      check.fail(("stream: %s is for whoever operates the server to say: in the configuration, as "
        .. "listen = { { address = ..., stream = true, %s = ... } }"):format(key, key))
    end
  end
  return check.options("stream: options", options, OPTIONS)
end

--- Declares what is spoken at an address.
---@param declared table of the app: by address, and as a list
---@param address string "0.0.0.0:7000", "[::]:7000", "unix:run/x.sock"
---@param options table? idle, connections (at once, of a worker), max_line
---@param fn fun(s: moongate.ServerStream)
function M.declare(declared, address, options, fn)
  check.string("stream: the address", address)
  local wrong = native.stream_check(address)
  if wrong then
    check.fail("stream: " .. wrong)
  end
  local first = declared[address]
  if first then
    check.fail(("stream: %s is spoken at by the function at %s already"):format(address,
      first.where))
  end
  local endpoint = check_options(options or {})
  endpoint.fn, endpoint.where = check.callable("stream: the function of " .. address, fn),
    check.caller()
  endpoint.address, endpoint.live, endpoint.refused = address, 0, seldom.new()
  declared[address] = endpoint
  declared[#declared + 1] = endpoint
end

--- Where these scripts want to be connected to, for whoever opens sockets: a line each, "address\t
--- file:line".
---@return string
function M.lines(declared)
  local lines = {}
  for i, endpoint in ipairs(declared) do
    lines[i] = endpoint.address .. "\t" .. endpoint.where .. "\n"
  end
  return table.concat(lines)
end

-- --- serving ---

local live = {} -- handle -> Future of the function that has it

-- A path of a Unix socket begins at the project's folder; C tells the whole.
local function find(served, address)
  local declared = served.app.streams
  local path = address:match("^unix:(.*)$")
  local root = served.folder
  if path and root and path:sub(1, #root + 1) == root .. "/" then
    return declared[address] or declared["unix:" .. path:sub(#root + 2)]
  end
  return declared[address]
end

local Ending = {}
Ending.__index = Ending

-- However the coroutine ends, its connection does; the peer sees whether it failed.
function Ending:cancel(_, err)
  self.was_over = native.tunnel_is_over(self.handle)
  live[self.handle] = nil
  self.endpoint.live = self.endpoint.live - 1
  native.tunnel_release(self.handle, err ~= nil)
end

local OF_PEERS = { closed = true, timeout = true }

-- That a peer leaves, or has nothing to say for too long, is nothing special, nor that the scripts
-- end. That some other connection was lost, or a Future cancelled, is a failure like any other.
local function is_expected(ending, future, err)
  if errors.is_cancellation(err) then
    return not future._died
  end
  return ending.was_over and OF_PEERS[errors.code(err)]
end

local function failed(ending, stream, err)
  log.failure(("the stream at %s failed (client %s)"):format(ending.endpoint.address,
    stream.client_ip), errors.wrap(err))
end

local function new_stream(endpoint, handle, client_ip, tls)
  local stream = raw.new(false, handle, endpoint.max_line)
  stream.client_ip, stream.address, stream.tls = client_ip, endpoint.address, tls or false
  if endpoint.idle then
    native.stream_set_idle(handle, endpoint.idle)
  end
  return stream
end

local function begin(served, endpoint, handle, client_ip, tls)
  local stream = new_stream(endpoint, handle, client_ip, tls)
  local ending = setmetatable({ handle = handle, endpoint = endpoint, was_over = false }, Ending)
  endpoint.live = endpoint.live + 1
  local future = time.spawn_in(served.root, 1, endpoint.fn, stream)
  future._what = "app:stream"
  future._source, future._line = endpoint.where:match("^(.*):(%d+)$")
  if not future._task then -- these scripts are over
    return ending:cancel(nil, future)
  end
  sched.hold(future._task, ending)
  live[handle] = future
  future:catch(function(err)
    if not is_expected(ending, future, err) then
      failed(ending, stream, err)
    end
  end)
end

local function accept(served, handle, address, client_ip, tls)
  local endpoint = find(served, address)
  if not endpoint then -- it was, until a moment ago
    native.tunnel_release(handle, true)
  elseif endpoint.live >= (endpoint.connections or math.huge) then
    seldom.warn(endpoint.refused, ("%s: more than %d connections: %s is refused"):format(
      endpoint.address, endpoint.connections, client_ip))
    native.tunnel_release(handle, true)
  else
    begin(served, endpoint, handle, client_ip, tls)
  end
end

local REASONS = { closed = "the client left", stop = "the server stops" }

--- What C tells: a connection has come, or (address false) gone.
function M.tell(served, handle, address, a, b)
  if address then
    accept(served, handle, address, a, b)
  elseif live[handle] then
    live[handle]:cancel(REASONS[a])
  end
end

return M
