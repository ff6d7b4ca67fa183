--- A gateway in front of upstreams. What is asked below / is relayed by C alone, below /lua through
--- ctx:proxy: whatever holds of the one holds of the other.
local process = require("support.process")
local services = require("support.service")
local M = {}

M.PREFIXES = { ["by app:proxy"] = "", ["by ctx:proxy"] = "/lua" }

local ROUTES = [[
app:any("/lua/*path", { name = "lua" }, function(ctx)
  ctx:proxy("up", { path = ctx.target:match("^/lua([^?]*)") })
end)
app:proxy("/*path", "up", { name = "relayed" })
]]

local Proxy = {}

--- Reloads; what was asked before is answered, what is asked then by the new configuration.
function Proxy:configure_and_reload(changes)
  self:configure(changes)
  return self:must_reload()
end

local function with_urls(up)
  local list = {}
  for i, server in ipairs(up) do
    local is_listener = type(server) == "table" and server.port
    list[i] = is_listener and ("http://127.0.0.1:%d"):format(server.port) or server
  end
  for key, value in pairs(up) do
    if type(key) ~= "number" then
      list[key] = value
    end
  end
  return list
end

--- An upstream's configuration: { listener or URL or { url = ... }, ..., further keys }.
function M.upstream(up)
  local all = with_urls(up)
  local servers_of = { unpack(all) }
  for i = 1, #servers_of do
    all[i] = nil
  end
  all.servers = not all.split and servers_of or nil -- a split has its parts
  return all
end

--- Starts it.
---@param up table as for M.upstream: what "up" is
---@param options table|nil keys of the configuration
---@param lines string|nil declarations before the routes of all
---@param how table|nil as for support.server
function M.start(up, options, lines, how)
  local config = { upstreams = { up = M.upstream(up) }, workers = 0,
    timeouts = { half_close = 0.2 } }
  for k, v in pairs(options or {}) do
    config[k] = v
  end
  for name, one in pairs(options and options.upstreams or {}) do
    config.upstreams[name] = M.upstream(one)
  end
  config.upstreams.up = config.upstreams.up or M.upstream(up)
  config.log = config.log or { level = "info", file = "stderr", access = "access.log" }
  local gateway = services.start(config, "one", (lines or "") .. ROUTES, how)
  for name, fn in pairs(Proxy) do
    gateway[name] = fn
  end
  return gateway
end

--- Runs `fn(gateway)` with a gateway of its own.
function M.with(up, options, fn, lines, how)
  local gateway = M.start(up, options, lines, how)
  local ok, err = xpcall(fn, debug.traceback, gateway)
  if not ok then
    local log = gateway:stderr()
    gateway:kill()
    if type(err) == "string" then
      err = err .. "\nthe gateway said:\n" .. log:sub(-2000)
    end
    error(err, 0) -- a table: an assertion's own
  end
  gateway:stop()
end

--- A second gateway's address as an upstream.
function M.url(gateway)
  return ("http://127.0.0.1:%d"):format(gateway.port)
end

--- The fields of a request as the upstream's raw listener saw them, by lower-case name.
function M.fields_of(head)
  local fields = {}
  for name, value in head:gmatch("\r\n([^:\r\n]+):[ \t]*([^\r\n]*)") do
    local key = name:lower()
    fields[key] = fields[key] and fields[key] .. ", " .. value or value
  end
  return fields
end

--- The last request that a raw listener has seen.
function M.last_request(listener)
  return process.wait_until("the upstream sees a request", function()
    local requests = listener:seen().requests
    return requests[#requests]
  end)
end


return M
