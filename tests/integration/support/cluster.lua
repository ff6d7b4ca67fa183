--- A Redis Cluster of the tests' own: three masters, each with a replica, on private ports.
local process = require("support.process")
local redis = require("support.redis")
local servers = require("support.server")
local M = {}

local Cluster = {}
Cluster.__index = Cluster

local function start_server()
  return redis.start({
    "--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf", "--cluster-node-timeout",
    "500", "--cluster-port", tostring(servers.free_port()), "--repl-diskless-sync-delay", "0",
    "--cluster-replica-validity-factor", "0",
  })
end

--- Who of them is asked by default; `ask`, a number, is another one once the first is dead.
function Cluster:asked()
  return self.servers[self.ask or 1]
end

--- Of who answers, lines of CLUSTER NODES as { id, port, flags, master, slots }.
function Cluster:nodes(of)
  local list = {}
  for line in (of or self:asked()):cli("CLUSTER", "NODES"):gmatch("[^\n]+") do
    local id, port, flags, master, slots =
      line:match("^(%x+) [%d.]+:(%d+)@%S+ (%S+) (%S+) %S+ %S+ %S+ %S+ ?(.*)$")
    list[#list + 1] = { id = id, port = tonumber(port), flags = flags, master = master,
      slots = slots }
  end
  return list
end

function Cluster:server_at(port)
  for _, server in ipairs(self.servers) do
    if server.port == port then
      return server
    end
  end
end

--- The server that has that slot, and its line of CLUSTER NODES.
function Cluster:owner(slot, of)
  for _, node in ipairs(self:nodes(of)) do
    for first, last in node.slots:gsub("%[.-%]", ""):gmatch("(%d+)%-?(%d*)") do
      if tonumber(first) <= slot and slot <= (tonumber(last) or tonumber(first)) then
        return self:server_at(node.port), node
      end
    end
  end
end

--- The slot of a key, as a server says.
function Cluster:slot(key)
  return tonumber(self:asked():cli("CLUSTER", "KEYSLOT", key))
end

--- Redis' own way of asking: follows the slots.
function Cluster:cli(...)
  return self:asked():cli("-c", ...)
end

function Cluster:url(rest)
  local hosts = {}
  for i = 1, 3 do
    hosts[i] = "127.0.0.1:" .. self.servers[i].port
  end
  return "redis+cluster://" .. table.concat(hosts, ",") .. (rest or "")
end

function Cluster:stop()
  for _, server in ipairs(self.servers) do
    server:stop()
  end
end

function M.start()
  local self = setmetatable({ servers = {} }, Cluster)
  local words = { "redis-cli", "--cluster", "create" }
  for i = 1, 6 do
    self.servers[i] = start_server()
    words[#words + 1] = "127.0.0.1:" .. self.servers[i].port
  end
  for _, word in ipairs({ "--cluster-replicas", "1", "--cluster-yes" }) do
    words[#words + 1] = word
  end
  local made = process.run(words, 30)
  assert(made.status == 0, made.out .. made.err)
  for _, server in ipairs(self.servers) do
    process.wait_until("the cluster is whole", function()
      return server:cli("CLUSTER", "INFO"):find("cluster_state:ok", 1, true)
        and #self:nodes(server) == 6
    end)
  end
  return self
end

return M
