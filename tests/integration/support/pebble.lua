--- An ACME directory of the tests' own: Debian's pebble, with a DNS in which every name is this
--- machine.
local process = require("support.process")
local servers = require("support.server")
local tls = require("support.tls")
local M = {}

local CONFIG = [[{ "pebble": {
  "listenAddress": "127.0.0.1:%d", "managementListenAddress": "127.0.0.1:%d",
  "certificate": "%s/localhost.pem", "privateKey": "%s/localhost.key",
  "httpPort": %d, "tlsPort": %d, "ocspResponderURL": "",
  "externalAccountBindingRequired": %s, "externalAccountMACKeys": { %s },
  "certificateValidityPeriod": %d } }]]

local Pebble = {}
Pebble.__index = Pebble

local function accepts(port)
  local sock = require("socket").tcp4()
  sock:settimeout(1)
  local ok = sock:connect("127.0.0.1", port)
  sock:close()
  return ok
end

local function start(self, name, words)
  local started = process.start(words, self.folder .. "/" .. name .. ".out",
    self.folder .. "/" .. name .. ".err")
  self[name] = started
end

--- Ports, certificate and settings are there; nobody answers yet.
---@param options table|nil seconds (that certificates are good for), refused_nonces (percent),
--- hmac_key (accounts need it, with the id "kid-1")
function M.prepare(options)
  options = options or {}
  local folder = process.temp_folder()
  local self = setmetatable({
    folder = folder, port = servers.free_port(), http_port = servers.free_port(),
    tls_port = servers.free_port(), dns_port = servers.free_port(),
    manage_port = servers.free_port(), refused_nonces = options.refused_nonces or 0,
  }, Pebble)
  tls.make(folder, "localhost", { alt = "DNS:localhost,IP:127.0.0.1" })
  self.ca = folder .. "/localhost.pem"
  self.directory = ("https://127.0.0.1:%d/dir"):format(self.port)
  process.write_file(folder .. "/config.json", CONFIG:format(self.port, servers.free_port(),
    folder, folder, self.http_port, self.tls_port, tostring(options.hmac_key ~= nil),
    options.hmac_key and ('"kid-1": "%s"'):format(options.hmac_key) or "",
    options.seconds or 86400))
  start(self, "dns", {
    "pebble-challtestsrv", "-http01", "", "-https01", "", "-tlsalpn01", "", "-defaultIPv6", "",
    "-dns01", "127.0.0.1:" .. self.dns_port, "-management", "127.0.0.1:" .. self.manage_port,
  })
  return self
end

--- It knows nothing of a life before.
function Pebble:start()
  start(self, "server", {
    "env", "PEBBLE_VA_NOSLEEP=1", "PEBBLE_WFE_NONCEREJECT=" .. self.refused_nonces,
    "pebble", "-config", self.folder .. "/config.json", "-dnsserver",
    "127.0.0.1:" .. self.dns_port,
  })
  process.wait_until("pebble answers", function()
    assert(not self.server:poll(), "pebble has ended")
    return accepts(self.port) and accepts(self.manage_port)
  end)
  return self
end

--- How often its log of this life holds that text.
function Pebble:count(text)
  local said = process.read_file(self.folder .. "/server.out") or ""
  return select(2, said:gsub(text, ""))
end

function Pebble:halt()
  self.server:destroy()
  self.server = nil
end

function Pebble:stop()
  for _, name in ipairs({ "server", "dns" }) do
    if self[name] then
      self[name]:destroy()
    end
  end
  process.remove_folder(self.folder)
end

return M
