--- A PostgreSQL server of the tests' own: tests/setup/postgres.sh.
local socket = require("socket")
local process = require("support.process")
local servers = require("support.server")
local M = {}

local Postgres = {}
Postgres.__index = Postgres

local function script(...)
  local said = process.run({ "tests/setup/postgres.sh", ... }, 90)
  assert(said.status == 0, said.err)
end

-- --- the protocol: https://www.postgresql.org/docs/15/protocol-message-formats.html ---

local function number(bytes)
  local n = 0
  for i = 1, #bytes do
    n = n * 256 + bytes:byte(i)
  end
  return n
end

local function send(conn, kind, body)
  local n = #body + 4
  assert(conn:send(kind .. string.char(0, math.floor(n / 65536) % 256, math.floor(n / 256) % 256,
    n % 256) .. body))
end

-- Returns its kind and its body.
local function receive(conn)
  local head = assert(conn:receive(5))
  local n = number(head:sub(2)) - 4
  return head:sub(1, 1), n > 0 and assert(conn:receive(n)) or ""
end

local function row(body)
  local values, at = {}, 3
  for i = 1, number(body:sub(1, 2)) do
    local n = number(body:sub(at, at + 3))
    n = n == 2 ^ 32 - 1 and 0 or n -- NULL
    values[i] = body:sub(at + 4, at + 3 + n)
    at = at + 4 + n
  end
  return table.concat(values, "|") .. "\n"
end

-- Until it is ready for the next query.
local function take_rows(conn)
  local rows = {}
  while true do
    local kind, body = receive(conn)
    if kind == "D" then
      rows[#rows + 1] = row(body)
    elseif kind == "E" then
      error(body:match("%zM([^%z]*)"), 0)
    elseif kind == "Z" then
      return table.concat(rows)
    end
  end
end

local function simple_query(conn, text)
  send(conn, "", "\0\3\0\0user\0moongate\0database\0postgres\0\0")
  take_rows(conn)
  send(conn, "Q", text .. "\0")
  local rows = take_rows(conn)
  send(conn, "X", "")
  return rows
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

--- What `psql -Atqc` prints for statements. A program for each would take longer than the server
--- does, and many wait for an answer.
function Postgres:sql(text)
  local conn = assert(socket.connect("127.0.0.1", self.port))
  conn:settimeout(30)
  local ok, said = pcall(simple_query, conn, text)
  conn:close()
  assert(ok, said)
  return said
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
