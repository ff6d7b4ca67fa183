--- Raw streams to servers of other protocols: moongate.tcp. Pair of src/lua/bind_tcp.c.
---
--- A stream ends with the coroutine that has asked for it, and with that one's scope, unless it is
--- detached: then it is the scripts'.
local native = require("moongate.native")
local check = require("moongate.core.check")
local connecting = require("moongate.core.connecting")
local streams = require("moongate.core.stream")
local Future = require("moongate.future")
local text, path = connecting.text, connecting.path

local M = {}

---@class moongate.TcpStream: moongate.Stream
local TcpStream = streams.extend({})
TcpStream.__index = TcpStream

-- --- what is asked for ---

-- A list of names, or one: as "h2,http/1.1".
local function protocols(name, value)
  local list = type(value) == "table" and value or { value }
  for _, each in ipairs(check.list(name, list, "protocols")) do
    text(name, each)
    if #each > 255 or each:find(",", 1, true) then
      check.fail(name .. ": names of protocols such as \"h2\" are wanted, not \"" .. each .. "\"")
    end
  end
  return table.concat(list, ",")
end

local TLS = {
  ca = path, server_name = text, cert = path, key = path, insecure = connecting.boolean,
  alpn = protocols,
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

local OPTIONS = {
  tls = tls, timeout = check.seconds, idle = check.seconds, max_line = check.positive_integer,
  deny = connecting.rules, allow = connecting.rules,
}

local WANTED = 'tcp.connect: an address as "host:7000", "[::1]:7000", "unix:run/x.sock" is wanted, '
  .. "not "

-- Host and port, or nil, nil and a path.
local function parse(address)
  check.string("tcp.connect: the address", address)
  local socket = address:match("^unix:(.+)$")
  if socket then
    return nil, nil, path("tcp.connect: the address", socket)
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

local KIND = { what = "tcp.connect" }

function KIND.make(max_line, handle)
  return setmetatable(streams.new(false, handle, max_line), TcpStream)
end

function KIND.drop(handle)
  native.tunnel_release(handle, true)
end

-- What failed is cut off.
KIND.release = streams.release

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
  local secure = options.tls or {}
  local handle, wrong = native.tcp_connect(host, port, socket, secure.alpn, {
    tls = options.tls and true or false, ca = secure.ca, server_name = secure.server_name,
    cert = secure.cert, key = secure.key, insecure = secure.insecure, timeout = options.timeout,
    idle = options.idle, deny = options.deny, allow = options.allow,
  })
  if not handle then
    check.fail("tcp.connect: " .. wrong)
  end
  return (connecting.begin(KIND, handle, options.max_line))
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
  connecting.detach(self)
  return self
end

return M
