--- Servers of Redis of the tests' own: on private ports, with private folders, and no connection to
--- any other that may run on this machine.
local socket = require("socket")
local process = require("support.process")
local servers = require("support.server")
local M = {}

local Redis = {}
Redis.__index = Redis

local function answers(port, word)
  local sock = socket.tcp4()
  sock:settimeout(1)
  local ok = sock:connect("127.0.0.1", port) and sock:send(word .. "\r\n")
  local line = ok and sock:receive("*l")
  sock:close()
  return line
end

local function run(self)
  self.process = process.start(self.argv, self.folder .. "/stdout", self.folder .. "/stderr")
  process.wait_until("Redis answers", function()
    local status = self.process:poll()
    assert(not status, process.read_file(self.folder .. "/stdout"))
    return answers(self.port, "PING")
  end)
end

--- Again, on the same port, without what it had.
function Redis:start()
  run(self)
end

--- @param settings table? words of redis-server's command line, as { "--requirepass", "x" }
function M.start(settings)
  local self = setmetatable({ folder = process.temp_folder(), port = servers.free_port() }, Redis)
  self.argv = {
    "redis-server", "--bind", "127.0.0.1", "--port", tostring(self.port), "--dir", self.folder,
    "--save", "", "--appendonly", "no", "--unixsocket", self.folder .. "/redis.sock",
    "--enable-debug-command", "yes", unpack(settings or {}),
  }
  run(self)
  return self
end

--- Sentinels need a file of their own, which they write into.
---@param master table a server of this module
function M.start_sentinel(master, quorum)
  local self = setmetatable({ folder = process.temp_folder(), port = servers.free_port() }, Redis)
  process.write_file(self.folder .. "/sentinel.conf", ([[
port %d
bind 127.0.0.1
dir %s
sentinel monitor main 127.0.0.1 %d %d
sentinel down-after-milliseconds main 500
sentinel failover-timeout main 2000
]]):format(self.port, self.folder, master.port, quorum or 1))
  self.argv = { "redis-server", self.folder .. "/sentinel.conf", "--sentinel" }
  run(self)
  return self
end

local function bulk(conn, n)
  local text = n > 0 and assert(conn:receive(n)) or ""
  assert(n < 0 or conn:receive(2))
  return text
end

local function reply(conn)
  local kind, rest = assert(conn:receive("*l")):match("^(.)(.*)$")
  if kind == "$" then
    return bulk(conn, tonumber(rest))
  elseif kind == "*" then
    local list = {}
    for i = 1, tonumber(rest) do
      list[i] = reply(conn)
    end
    return table.concat(list, "\n")
  end
  return rest -- a number, a word, an error
end

local function ask(conn, words)
  local out = { ("*%d\r\n"):format(#words) }
  for _, word in ipairs(words) do
    out[#out + 1] = ("$%d\r\n%s\r\n"):format(#word, word)
  end
  assert(conn:send(table.concat(out)))
  return reply(conn)
end

--- What redis-cli prints for a command; itself is started only for options of its own, since many
--- wait for an answer.
function Redis:cli(...)
  local words = { ... }
  if words[1]:sub(1, 1) == "-" then
    local said = process.run({ "redis-cli", "-p", tostring(self.port), ... }, 10)
    assert(said.status == 0, said.err)
    return (said.out:gsub("\n$", ""))
  end
  local conn = assert(socket.connect("127.0.0.1", self.port))
  conn:settimeout(10)
  local ok, said = pcall(ask, conn, words)
  conn:close()
  assert(ok, said)
  return said
end

function Redis:url(rest)
  return ("redis://127.0.0.1:%d%s"):format(self.port, rest or "")
end

function Redis:signal(name)
  self.process:signal(name)
end

--- At once, as a machine that fails.
function Redis:kill()
  self.process:destroy()
end

function Redis:stop()
  self.process:destroy()
  process.remove_folder(self.folder)
end

return M
