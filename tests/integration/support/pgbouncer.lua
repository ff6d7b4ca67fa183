--- pgbouncer in transaction mode before a PostgreSQL server of the tests' own.
local process = require("support.process")
local servers = require("support.server")
local wire = require("support.wire")
local M = {}

local Bouncer = {}
Bouncer.__index = Bouncer

local CONFIG = [[
[databases]
postgres = host=127.0.0.1 port=%d user=moongate
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %d
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 3
]]

function Bouncer:url(options)
  return ("postgres://moongate@127.0.0.1:%d/postgres%s"):format(self.port,
    options and "?" .. options or "")
end

function Bouncer:stop()
  self.process:destroy()
end

---@param database table of support.postgres, in whose folder its file lies
function M.start(database)
  local self = setmetatable({ port = servers.free_port() }, Bouncer)
  local path = database.folder .. "/pgbouncer.ini"
  process.write_file(path, CONFIG:format(database.port, self.port))
  local argv = { "/usr/sbin/pgbouncer", "-q", path }
  if process.run({ "id", "-u" }).out == "0\n" then -- which it refuses to run as
    argv = { "setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups", "--",
      unpack(argv) }
  end
  local log = process.temp_folder()
  self.process = process.start(argv, log .. "/out", log .. "/err")
  process.wait_until("pgbouncer listens", function()
    local ok, conn = pcall(wire.connect, "127.0.0.1", self.port)
    if ok then
      conn:close()
    end
    return ok
  end)
  process.remove_folder(log)
  return self
end

return M
