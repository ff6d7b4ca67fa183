--- Raw streams to servers of other protocols: moongate.tcp. Pair of src/lua/bind_tcp.c.
---
--- A stream ends with the coroutine that has asked for it, and with that one's scope, unless it is
--- detached: then it is the scripts'.
local native = require("moongate.native")
local check = require("moongate.core.check")
local errors = require("moongate.core.errors")
local sched = require("moongate.core.sched")
local streams = require("moongate.core.stream")
local files = require("moongate.files")
local Future = require("moongate.future")
local time = require("moongate.time")

local M = {}

---@class moongate.TcpStream: moongate.Stream
local TcpStream = streams.extend({})
TcpStream.__index = TcpStream

-- --- what is asked for ---

local function boolean(name, value)
  return check.type(name, value, "boolean")
end

local function text(name, value)
  check.string(name, value)
  if value == "" or value:find("\0", 1, true) then
    check.fail(name .. ": it is empty or holds a NUL")
  end
  return value
end

local function path(name, value)
  return files.resolve(text(name, value))
end

-- A list of names, or one: as "h2,http/1.1".
local function protocols(name, value)
  local list = type(value) == "table" and value or { value }
  for _, each in ipairs(list) do
    text(name, each)
    if #each > 255 or each:find(",", 1, true) then
      check.fail(name .. ": names of protocols such as \"h2\" are wanted, not \"" .. each .. "\"")
    end
  end
  return table.concat(list, ",")
end

local TLS = {
  ca = path, server_name = text, cert = path, key = path, insecure = boolean, alpn = protocols,
}

local function tls(name, value)
  if type(value) == "boolean" then
    return value and {} or false
  end
  local options = check.options(name, value, TLS)
  if (options.cert == nil) ~= (options.key == nil) then
    check.fail(name .. ": cert and key belong together")
  end
  return options
end

-- One network or name, or a list of them; src/client/rules.c knows which there are.
local function rules(name, value)
  for _, each in ipairs(type(value) == "table" and value or { value }) do
    text(name, each)
  end
  return value
end

local OPTIONS = {
  tls = tls, timeout = check.seconds, idle = check.seconds, max_line = check.positive_integer,
  deny = rules, allow = rules,
}

local WANTED = 'tcp.connect: an address as "host:7000", "[::1]:7000", "unix:run/x.sock" is wanted, '
  .. "not "

-- Host and port, or nil, nil and a path.
local function parse(address)
  check.string("tcp.connect: the address", address)
  local socket = address:match("^unix:(.+)$")
  if socket then
    return nil, nil, files.resolve(socket)
  end
  local host, port = address:match("^%[([%x:.]+)%]:(%d+)$")
  if not host then
    host, port = address:match("^([^:%s%c/@]+):(%d+)$")
  end
  port = tonumber(port)
  if not host or port < 1 or port > 65535 then
    check.fail(WANTED .. '"' .. address .. '"')
  end
  return host, port
end

-- --- the way to it ---

-- A connection under way, in the scheduler's eyes: told when its operation has finished.
local Connecting = {}
Connecting.__index = Connecting

function Connecting:_where()
  return self.future:_where()
end

-- The stream ends with its scope. Taken out when it ends by itself.
local function guard(stream, scope)
  local future = Future._new(scope, 2)
  future._looked_at, future._internal, future._what = true, true, "tcp.connect"
  future._consumers = 1 -- whoever has the stream
  future._cancel = function()
    native.tunnel_release(stream.handle, true)
  end
  stream.guard = future
end

-- It ends with its coroutine; one that failed cuts it off.
function Connecting:cancel(_, err)
  local stream = self.stream
  if not stream then
    self.future:cancel("the coroutine that asked for it has ended")
  elseif stream.guard then
    native.tunnel_release(stream.handle, err ~= nil)
    stream.guard:resolve()
  end
end

function Connecting:_settle_operation(ok, a, b)
  local future = self.future
  future._operation = false
  if future._state ~= "pending" then
    if ok then
      native.tunnel_release(a, true)
    end
  elseif ok then
    local stream = setmetatable(streams.new(false, a, self.max_line), TcpStream)
    stream.held = self
    self.stream = stream
    guard(stream, self.scope)
    future:resolve(stream)
  else
    future:reject(errors.new(a, b, { where = future:_where() }))
  end
end

local function cancel_connecting(future)
  if future._operation then
    sched.cancel_operation(future._operation)
    future._operation = false
  end
end

--- Connects to "host:port" or "unix:path". Options: tls (true, or a table of ca, server_name, cert,
--- key, insecure, alpn), timeout (5 s, for name, dial and handshake), idle (seconds without a byte
--- after which it is closed; none unless given), max_line (64 KiB: what read_line and read_until
--- look through), deny, allow (as of moongate.http, besides http.deny and http.allow). Errors: dns
--- denied connect tls timeout limit cancelled.
---@param address string
---@param given table?
---@return moongate.Future of a moongate.TcpStream
function M.connect(address, given)
  Future._refuse_loading("tcp.connect", 2)
  local host, port, socket = parse(address)
  local options = check.options("tcp.connect: options", given or {}, OPTIONS)
  local scope = Future._current_scope()
  local secure = options.tls or {}
  local handle, wrong = native.tcp_connect(host, port, socket, secure.alpn, {
    tls = options.tls and true or false, ca = secure.ca, server_name = secure.server_name,
    cert = secure.cert, key = secure.key, insecure = secure.insecure, timeout = options.timeout,
    idle = options.idle, deny = options.deny, allow = options.allow,
  })
  if not handle then
    check.fail("tcp.connect: " .. wrong)
  end
  local future = time.operation(handle, scope, 2)
  if future._operation then -- the scope lives
    local connecting = setmetatable({
      future = future, scope = scope, stream = false, max_line = options.max_line,
    }, Connecting)
    future._cancel = cancel_connecting
    sched.watch(handle, connecting)
    if sched.current then
      connecting.task = sched.current
      sched.hold(sched.current, connecting)
    end
  end
  return (Future._named("tcp.connect", future))
end

-- --- what such a stream has besides ---

--- Ends both sides; what was written still leaves.
function TcpStream:close()
  native.tunnel_close(self.handle)
  self:detach()
end

--- It ends neither with the coroutine nor with the request that asked for it, but with the scripts:
--- for pools, which close it themselves.
---@return moongate.TcpStream
function TcpStream:detach()
  if self.guard then
    self.guard:resolve()
    self.guard = false
    sched.release(self.held.task or {}, self.held)
  end
  return self
end

return M
