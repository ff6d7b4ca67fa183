--- Load, reloads good and broken, killed workers and stalls, all at once: what a client completes
--- is correct, and no client connects in vain. STORM_SECONDS sets how long (default 8).
local socket = require("socket")
local services = require("support.service")
local servers = require("support.server")
local process = require("support.process")
local wire = require("support.wire")

local SECONDS = tonumber(os.getenv("STORM_SECONDS")) or 8
local CONNECTIONS = 24

local LINES = [[
app:get("/echo/:n", function(ctx) return { n = ctx.params.n, word = "%s" } end)
app:get("/wait/:n", function(ctx)
  ctx:sleep(0.05):await()
  return { n = ctx.params.n, word = "%s" }
end)
app:get("/loop", function() while true do end end)
app:get("/pattern", function()
  return tostring((("a"):rep(30)):find(("a?"):rep(30) .. ("a"):rep(30) .. "b"))
end)
]]

local function app_text(word)
  return services.app(word, LINES:format(word, word))
end

-- Sends a request and checks the answer. False: the connection was lost on the way, as by the death
-- of its worker.
local function exchange(conn, n, words)
  local target = (n % 5 == 0 and "/wait/" or "/echo/") .. n
  local ok, res = pcall(conn.request, conn, wire.get(target))
  if not ok then
    return false
  end
  assert(res.status == 200, target .. " was answered " .. res.status .. ": " .. res.body)
  local value = assert(require("dkjson").decode(res.body), res.body)
  assert(value.n == tostring(n), target .. " was answered " .. res.body)
  assert(words[value.word], "nobody wrote " .. tostring(value.word))
  return true, res.headers.connection ~= "close"
end

local CONF = {
  workers = 3,
  timeouts = { stall_warn = 0.1, stall_abort = 0.4, stall_kill = 0.8 },
  log = { level = "warn", file = "stderr", access = false },
}

-- What goes on: the service, the words that it may answer with, what was done to it.
local function new_storm()
  return {
    service = services.start(CONF, "w1", nil, { app = app_text("w1") }),
    words = { w1 = true }, version = 1, children = {}, stuck = {},
    counts = { answers = 0, lost = 0, kills = 0, reloads = 0, refused = 0, stalls = 0 },
  }
end

local function reload(storm, text)
  local folder, out = storm.service.folder, os.tmpname()
  process.write_file(folder .. "/lua/app.lua", text)
  local argv = { servers.BINARY, "reload", folder .. "/conf/moongate.lua" }
  storm.children[#storm.children + 1] = { process = process.start(argv, out, out), out = out }
end

local function stall(storm, target)
  local conn = storm.service:connect()
  conn:send(wire.get(target))
  storm.stuck[#storm.stuck + 1] = conn
  storm.counts.stalls = storm.counts.stalls + 1
end

local EVENTS = {
  function(storm)
    storm.version = storm.version + 1
    local word = "w" .. storm.version
    storm.words[word] = true
    storm.counts.reloads = storm.counts.reloads + 1
    reload(storm, app_text(word))
  end,
  function(storm)
    storm.counts.refused = storm.counts.refused + 1
    reload(storm, "x = = 1")
  end,
  function(storm)
    local pid = storm.service:pids()[math.random(3)]
    if pid then
      storm.counts.kills = storm.counts.kills + 1
      os.execute("kill -9 " .. pid .. " 2>/dev/null")
    end
  end,
  function(storm)
    stall(storm, "/loop")
  end,
  function(storm)
    if storm.counts.stalls % 3 == 0 then
      stall(storm, "/pattern")
    end
  end,
}

-- One request on each connection. Every seventh ends its connection.
local function ask_all(storm, conns, n)
  local counts = storm.counts
  for i = 1, CONNECTIONS do
    n = n + 1
    local conn = conns[i] or storm.service:connect() -- raises if it is refused
    local ok, keep = exchange(conn, n, storm.words)
    counts[ok and "answers" or "lost"] = counts[ok and "answers" or "lost"] + 1
    if not (ok and keep) or n % 7 == 0 then
      conn:close()
      conn = nil
    end
    conns[i] = conn or false
  end
  return n
end

local function rage(storm)
  local conns, n, turn = {}, 0, 0
  local ends, next_event = socket.gettime() + SECONDS, socket.gettime() + 0.2
  while socket.gettime() < ends do
    n = ask_all(storm, conns, n)
    if socket.gettime() > next_event then
      turn = turn + 1
      EVENTS[turn % #EVENTS + 1](storm)
      next_event = socket.gettime() + 0.15
    end
  end
  for _, conn in pairs(conns) do
    if conn then
      conn:close()
    end
  end
end

local function clean_up(storm)
  for _, conn in ipairs(storm.stuck) do
    conn:close()
  end
  for _, child in ipairs(storm.children) do
    child.process:wait(60)
    os.remove(child.out)
  end
end

describe("a storm", function()
  it("leaves every completed answer correct, and every connect accepted", function()
    local storm = new_storm()
    local service, counts = storm.service, storm.counts
    rage(storm)
    clean_up(storm)
    process.wait_until("three workers serve", function()
      return #service:pids() == 3
    end)
    process.write_file(service.folder .. "/lua/app.lua", app_text("last"))
    service:must_reload()
    assert.equal("last", service:body("/"))
    print(("storm: %d answers, %d connections lost to %d kills, %d stalls; %d + %d reloads"):format(
      counts.answers, counts.lost, counts.kills, counts.stalls, counts.reloads, counts.refused))
    assert.is_true(counts.answers > 20)
    assert.is_true(counts.kills > 0 and counts.reloads > 0 and counts.stalls > 0)
    service:stop()
  end)
end)
