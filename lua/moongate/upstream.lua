--- Upstreams: named sets of servers that the configuration has under `upstreams`; what a script may
--- know and say of them while the server runs.
---
--- What a script says (set_servers, drain) holds in all workers, over reloads and for workers to
--- come, until the server stops. It is written down in no file.
local native = require("moongate.native")
local json = require("moongate.json")
local check = require("moongate.core.check")
local suggest = require("moongate.core.suggest")
local Future = require("moongate.future")

local M = {}

local known -- the configuration's names as keys; nil: any may be there

--- The app is loaded for a configuration with these upstreams.
---@param names string[]?
function M.know(names)
  known = nil
  if names then
    known = {}
    for _, name in ipairs(names) do
      known[name] = true
    end
  end
end

--- Those names, sorted; nil: any may be there.
---@return string[]?
function M.names()
  return known and check.names(known) or nil
end

--- What is wrong with the name, or nil.
---@param name string
---@return string?
function M.fault(name)
  if not known or known[name] then
    return nil
  end
  local all = M.names()
  return ("there is no upstream '%s', allowed: %s%s"):format(name,
    #all > 0 and table.concat(all, ", ") or "none, since the configuration has no upstreams",
    suggest.for_name(name, known))
end

---@class moongate.UpstreamServer
---@field url string as it was configured or set
---@field address string? "10.0.0.5:8080", one of those of the URL's name
---@field weight integer
---@field backup boolean
---@field state string? "up", "down" (health checks), "ejected" (it failed), "draining"
---@field why string? the reason, "" if there is nothing to say
---@field in_flight integer? requests of all workers
---@field latency number? seconds until the head of an answer, a moving average; 0: unknown

---@class moongate.Upstream
---@field name string
local Upstream = {}
Upstream.__index = Upstream

local function name_of(self)
  if type(self) ~= "table" or getmetatable(self) ~= Upstream then
    error("call it with a colon: upstream:servers()", 3)
  end
  return self.name
end

--- Its servers as they are now: each address of a name is one.
---@return moongate.UpstreamServer[]
function Upstream:servers()
  local name = name_of(self)
  Future._refuse_loading("servers", 2)
  return json.array(native.upstream_servers(name))
end

--- Other servers from now on, in all workers: URLs, or tables { url =, weight =, backup = }. Those
--- that stay keep their connections, those that are not named any more end what they are at. nil:
--- those of the configuration again.
---@param servers (string | { url: string, weight: integer?, backup: boolean? })[]?
function Upstream:set_servers(servers)
  local name = name_of(self)
  Future._refuse_loading("set_servers", 2)
  if servers ~= nil and type(servers) ~= "table" then
    check.fail("servers: a list of URLs or tables { url = ... } is wanted, not "
      .. check.describe(servers))
  end
  local text = servers and (next(servers) == nil and "[]" or json.encode(servers))
  local fault = native.upstream_order(name, "servers", text)
  if fault then
    check.fail(fault)
  end
end

-- A slip of the pen would else be found out when the server is taken down.
local function refuse_unknown(name, url)
  local urls, all = {}, {}
  for _, server in ipairs(native.upstream_servers(name)) do
    if not urls[server.url] then
      urls[server.url] = true
      all[#all + 1] = server.url
    end
  end
  if not urls[url] then
    check.fail(("url: upstream '%s' has no server '%s', allowed: %s%s"):format(name, url,
      #all > 0 and table.concat(all, ", ") or "none", suggest.for_name(url, urls)))
  end
end

--- The server of that URL takes nothing new in any worker, what is under way ends. `false` as the
--- second argument: it takes requests again; so does set_servers.
---@param url string
---@param drain boolean?
function Upstream:drain(url, drain)
  local name = name_of(self)
  Future._refuse_loading("drain", 2)
  url = check.string("url", url):gsub("^(https?://[^/]+)/$", "%1") -- as the configuration has it
  refuse_unknown(name, url)
  local fault = native.upstream_order(name, drain == false and "undrain" or "drain", url)
  if fault then
    check.fail(fault)
  end
end

---@class moongate.UpstreamStatus
---@field name string
---@field servers moongate.UpstreamServer[]
---@field in_flight integer requests of all workers
---@field circuit string "closed", "open", "half open"

--- The same, and what there is to say of all of it.
---@return moongate.UpstreamStatus
function Upstream:status()
  local name = name_of(self)
  Future._refuse_loading("status", 2)
  local status = native.upstream_status(name)
  status.servers = json.array(status.servers)
  return status
end

--- The upstream of that name.
---@param name string
---@return moongate.Upstream
function M.get(name)
  check.string("name", name)
  local fault = M.fault(name)
  if fault then
    check.fail(fault)
  end
  return setmetatable({ name = name }, Upstream)
end

return M
