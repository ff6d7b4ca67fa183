--- A gateway whose app makes the calls that a test wants, beside the upstreams that it calls.
local json = require("dkjson")
local http = require("support.http")
local process = require("support.process")
local servers = require("support.server")
local wire = require("support.wire")
local M = {}

local Caller = {}

--- A request whose body is `value`; its answer's body.
function Caller:ask(route, value)
  local conn = self:connect()
  local res = conn:request(wire.post(route, json.encode(value)), "POST")
  conn:close()
  assert(res.status == 200, res.status .. ": " .. res.body)
  return http.json(res)
end

--- Makes one call: a URL, or the client's options (and upload, body_hex; see call_options.lua).
---@return table { ok, status, headers, body, body_bytes, sha256, url, redirects, code, message }
function Caller:call(options)
  return self:ask("/call", type(options) == "string" and { url = options } or options)
end

--- As `call`; the JSON of the answer.
function Caller:call_for_json(options)
  local told = self:must_call(options)
  return (assert(json.decode(told.body)))
end

--- As `call`; it must be answered 200.
function Caller:must_call(options)
  local told = self:call(options)
  assert(told.ok, json.encode(told))
  assert(told.status == 200, json.encode(told))
  return told
end

--- Makes a call that must fail with that code; `pattern` is in its message.
function Caller:must_fail(options, code, pattern)
  local told = self:call(options)
  return M.assert_failed(told, code, pattern)
end

--- A connection on which a route was asked, with no wait for the answer.
function Caller:begin(route, value, options)
  local conn = self:connect(options)
  conn:send(wire.post(route, json.encode(value)))
  return conn
end

--- Waits until the call in the background under that name has come to its end.
function Caller:outcome(name)
  return process.wait_until("the call " .. name .. " ends", function()
    local told = http.json(self:get("/outcome/" .. name))
    return not told.pending and told
  end)
end

function M.assert_failed(told, code, pattern)
  local shown = json.encode(told)
  assert(told.ok == false, "no failure: " .. shown)
  assert(told.code == code, code .. " was expected: " .. shown)
  assert(not pattern or told.message:find(pattern), tostring(pattern) .. " is not in " .. shown)
  return told
end

--- Starts the gateway; `upstream` is where its names and its CA come from.
---@param options table|nil of the configuration; its `http` goes over the defaults
---@param how table|nil as in support.server
function M.start(upstream, options, how)
  local config = { app = "lua/client_app.lua", timeouts = { half_close = 0.2 } }
  for k, v in pairs(options or {}) do
    config[k] = v
  end
  config.http = { nameservers = upstream.nameservers, ca = upstream:pem("ca") }
  for k, v in pairs(options and options.http or {}) do
    config.http[k] = v
  end
  local server = servers.start(config, how)
  for name, fn in pairs(Caller) do
    server[name] = fn
  end
  return server
end

--- Runs `fn(server)` with a gateway of its own.
function M.with(upstream, options, fn, how)
  local server = M.start(upstream, options, how)
  local ok, err = xpcall(fn, debug.traceback, server)
  if not ok then
    server:kill()
    error(err, 0)
  end
  server:stop()
end

--- Stops both at the end of a file's tests, whatever the gateway says.
function M.stop(server, upstream)
  local ok, err = pcall(server.stop, server)
  upstream:stop()
  assert(ok, err)
end

return M
