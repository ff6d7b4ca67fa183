--- A PostgreSQL server of the tests' own: tests/setup/postgres.sh.
local process = require("support.process")
local servers = require("support.server")
local M = {}

local Postgres = {}
Postgres.__index = Postgres

local function script(...)
  local said = process.run({ "tests/setup/postgres.sh", ... }, 90)
  assert(said.status == 0, said.err)
end

--- `restarted` with the same data and port. Settings as "max_connections=20".
function Postgres:start(...)
  script("start", self.folder, tostring(self.port), ...)
end

---@param mode "fast"|"immediate"
function Postgres:halt(mode)
  script("stop", self.folder, mode)
end

function Postgres:signal(name)
  script("signal", self.folder, name)
end

--- The URL of a database of it, with options of Moongate's ("pool=2") if there are any.
function Postgres:url(options)
  return ("postgres://moongate@127.0.0.1:%d/postgres%s"):format(self.port,
    options and "?" .. options or "")
end

--- What psql prints for a statement.
function Postgres:sql(text)
  local said = process.run({ "psql", "-X", "-h", "127.0.0.1", "-p", tostring(self.port), "-U",
    "moongate", "-d", "postgres", "-Atqc", text }, 30)
  assert(said.status == 0, said.err)
  return said.out
end

--- It offers TLS from now on, with a chain and its key, which are copied.
function Postgres:use_tls(certificate, key)
  local data = self.folder .. "/data"
  local said = process.run({ "sh", "-c", ("install -m 600 '%s' '%s/server.crt' && install -m 600 "
    .. "'%s' '%s/server.key' && chown --reference='%s' '%s/server.crt' '%s/server.key'"):format(
    certificate, data, key, data, data, data, data) })
  assert(said.status == 0, said.err)
  self:sql("ALTER SYSTEM SET ssl = on")
  self:sql("SELECT pg_reload_conf()")
end

function Postgres:stop()
  script("stop", self.folder)
  process.remove_folder(self.folder)
end

function M.start(...)
  local self = { folder = process.temp_folder(), port = servers.free_port() }
  setmetatable(self, Postgres):start(...)
  return self
end

return M
