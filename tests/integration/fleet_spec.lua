--- A fleet: two Moongates on one Redis Cluster of six servers. What they share, and what they see
--- while slots move and a master dies, alone and under load. In the suite a small run;
--- `make endurance` loads it for FLEET_SECONDS each time.
local cluster = require("support.cluster")
local process = require("support.process")
local servers = require("support.server")
local wire = require("support.wire")
local json = require("dkjson")
local socket = require("socket")

local SECONDS = tonumber(os.getenv("FLEET_SECONDS") or "1.5")

-- POST /lua runs its body.
local APP = [==[
local moongate = require("moongate")
local app = moongate.app()
local cache = moongate.cache()
app:every("count", 0.1, function()
  cache:increment("ran:NODE"):await()
end)
app:get("/feed", function(ctx) return ctx:events({ topics = { "room" } }) end)
app:post("/lua", { timeout = 300 }, function(ctx)
  local chunk = assert(loadstring(ctx:body():await()))
  setfenv(chunk, setmetatable({ redis = moongate.redis(), cache = cache,
    moongate = moongate, all = moongate.Future.all }, { __index = _G }))
  local ok, value = pcall(chunk)
  if not ok then
    return 409, type(value) == "table" and value.message or tostring(value)
  end
  return type(value) == "table" and moongate.json.encode(value) or tostring(value)
end)
return app
]==]

-- Many who write, each a key of its own, and read what they have written: what comes back is the
-- newest value, or one newer than what is known to be stored if a call failed meanwhile. Every
-- other one counts instead: each step comes once.
local LOAD = [==[
local name, seconds = "%s", %g
local report = { calls = 0, failed = 0, wrong = {}, older = 0, slowest = 0, reasons = {} }
local function ask(...)
  local began = moongate.monotonic()
  local value, err = redis:command(...):try_await()
  report.calls = report.calls + 1
  report.slowest = math.max(report.slowest, moongate.monotonic() - began)
  if err then
    report.failed = report.failed + 1
    report.reasons[err.reason] = (report.reasons[err.reason] or 0) + 1
  end
  return value, err
end
local function wrong(...)
  report.wrong[#report.wrong + 1] = table.concat({ ... }, " ")
end
local function judge(key, got, least, most)
  if not got or got > most then
    wrong(key, tostring(got), "of", least, "to", most)
  elseif got < least then
    report.older = report.older + 1
  end
end
local ends = moongate.monotonic() + seconds
local function write(key)
  local stored, tried = 0, 0
  ask("DEL", key)
  while moongate.monotonic() < ends do
    tried = tried + 1
    local _, err = ask("SET", key, key .. "=" .. tried)
    stored = err and stored or tried
    local value, failed = ask("GET", key)
    if not failed then
      local whose, n = (value or key .. "=0"):match("^(.*)=(%%d+)$")
      judge(key, whose == key and tonumber(n), stored, tried)
      stored = tonumber(n) or stored
    end
  end
end
local function count(key)
  local least, most = 0, 0
  ask("DEL", key)
  while moongate.monotonic() < ends do
    local sum, err = ask("INCR", key)
    most = most + 1
    if not err then
      judge(key, sum, least + 1, most)
      least, most = sum, sum
    end
  end
end
local tasks = {}
for i = 1, 32 do
  tasks[i] = moongate.spawn(i %% 2 == 0 and count or write, "load:" .. name .. ":" .. i)
end
all(tasks):await()
report.state = redis:stats().state
return report
]==]

describe("a fleet on a Redis Cluster", function()
  local redis
  local nodes = {}

  local function start(name)
    return servers.start({ cache = redis:url("?near=4M&prefix=app:&timeout=5") },
      { app = (APP:gsub("NODE", name)) })
  end

  local function lua(name, text, ...)
    local answer = nodes[name]:request(wire.post("/lua", text:format(...)), "POST")
    assert.equal(200, answer.status, answer.body)
    return answer.body
  end

  setup(function()
    redis = cluster.start()
    nodes.a, nodes.b = start("a"), start("b")
  end)
  teardown(function()
    nodes.a:stop()
    nodes.b:stop()
    redis:stop()
  end)

  -- A master that is not `from`, and what the cluster tells of it.
  local function another_master(from)
    local to, to_node
    for _, node in ipairs(redis:nodes()) do
      if node.flags:find("master", 1, true) and node.port ~= from.port then
        to, to_node = redis:server_at(node.port), node
      end
    end
    return to, to_node
  end

  it("shares counters and values, wherever their slots are", function()
    assert.equal("55", lua("a", [[
      local sum
      for i = 1, 10 do sum = cache:increment("sum", i):await() end
      return sum
    ]]))
    assert.equal("60", lua("b", "return cache:increment('sum', 5):await()"))
    assert.equal("", lua("a", [[
      local sets = {}
      for i = 1, 50 do sets[i] = cache:set("key" .. i, { n = i }) end
      all(sets):await()
      return ""
    ]]))
    assert.equal("1275", lua("b", [[
      local sum = 0
      for i = 1, 50 do sum = sum + cache:get("key" .. i):await().n end
      return sum
    ]]))
  end)

  it("parts commands of several keys, and joins their replies in order", function()
    assert.equal("1 nil 3 4 5", lua("a", [[
      redis:command("MSET", "m1", 1, "m3", 3, "m4", 4, "m5", 5):await()
      local got = redis:command("MGET", "m1", "m2", "m3", "m4", "m5"):await()
      for i = 1, 5 do got[i] = tostring(got[i]):gsub("userdata.*", "nil"):gsub("null", "nil") end
      return table.concat(got, " ")
    ]]))
    assert.equal("3", lua("a", "return redis:command('DEL', 'm1', 'm3', 'm4', 'm2'):await()"))
  end)

  it("refuses what no server can do, and says what to do instead", function()
    local text = "redis:command('SINTER', 'x', 'y'):await()"
    local answer = nodes.a:request(wire.post("/lua", text), "POST")
    assert.equal(409, answer.status)
    assert.truthy(answer.body:find('SINTER: the keys "x" and "y" lie in different slots', 1, true),
      answer.body)
  end)

  it("finds the keys of all servers", function()
    assert.equal("50 50", lua("b", [[
      local seen, n = {}, 0
      for key in redis:scan{ match = "app:key*", count = 5 } do
        n = n + (seen[key] and 0 or 1)
        seen[key] = true
      end
      local known = 0
      for i = 1, 50 do known = known + (seen["app:key" .. i] and 1 or 0) end
      return n .. " " .. known
    ]]))
  end)

  it("lets what waits at a server hold up nobody, wherever its key is", function()
    assert.equal("list pushed 1", lua("a", [[
      local waiting = redis:command("BLPOP", "list", 5)
      local pipeline = redis:pipeline{ { "SET", "{w}a", 1 }, { "WAIT", 1, 2000 } }
      moongate.sleep(0.02):await()
      redis:command("RPUSH", "list", "pushed"):await()
      local replicas = pipeline:await()[2]
      return table.concat(waiting:await(), " ") .. " " .. replicas
    ]]))
  end)

  it("never serves a value near that is older than its invalidation", function()
    for i = 1, 30 do
      lua("a", "cache:set('hot', %d):await()", i)
      -- One round trip of b's own to that server, then what is near.
      assert.equal("true", lua("b", [[
        assert(cache:get("hot"):await() <= %d)
        redis:command("GET", "app:hot"):await()
        local first = cache:get("hot"):await()
        return first == %d and cache:get("hot"):await() == %d
      ]], i, i, i))
    end
    assert.truthy(tonumber(lua("b", "return cache.stats().near_hits")) >= 30)
  end)

  it("keeps nothing near when its connection is lost", function()
    for i = 1, 2 do
      assert.equal(tostring(i - 1), lua("b", [[
        cache:set("lost", %d):await()
        cache:get("lost"):await()
        return cache:get("lost"):await()
      ]], i - 1))
      for _, server in ipairs(redis.servers) do
        server:cli("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
      end
      redis:cli("SET", "app:lost", tostring(i))
      -- A call may meet the connection's end, and says so.
      assert.equal(tostring(i), process.wait_until("b has connected again", function()
        local request = wire.post("/lua", "return cache:get('lost'):await()")
        local answer = nodes.b:request(request, "POST")
        return answer.status == 200 and answer.body
      end))
    end
  end)

  it("runs a job on one of its nodes, and on the other one once that has stopped", function()
    local function runs(name)
      return tonumber(redis:cli("GET", "app:ran:" .. name)) or 0
    end
    process.wait_until("the job has run", function()
      return runs("a") + runs("b") > 3
    end)
    assert.equal(0, math.min(runs("a"), runs("b")))
    local leader, other = "a", "b"
    if runs("b") > 0 then
      leader, other = "b", "a"
    end
    nodes[leader]:stop()
    process.wait_until("the other node runs it", function()
      return runs(other) > 0
    end)
    nodes[leader] = start(leader)
  end)

  it("carries what is published to subscribers of both nodes, once", function()
    local function listen(name)
      local c = wire.connect("127.0.0.1", nodes[name].port)
      c:send("GET /feed HTTP/1.1\r\nHost: x\r\n\r\n")
      return c
    end
    local here, there = listen("a"), listen("b")
    local function heard(c, text)
      c.seen = c.seen or ""
      process.wait_until("it hears " .. text, function()
        c.sock:settimeout(0.05)
        local bytes, _, part = c.sock:receive(4096)
        c.seen = c.seen .. (bytes or part or "")
        return c.seen:find(text, 1, true)
      end)
    end
    -- Until Redis has confirmed that b listens.
    process.wait_until("b listens", function()
      lua("a", "moongate.publish('room', 'again') return ''")
      there.sock:settimeout(0.05)
      local bytes, _, part = there.sock:receive(4096)
      there.seen = (there.seen or "") .. (bytes or part or "")
      return there.seen:find("again", 1, true)
    end)
    lua("a", "moongate.publish('room', 'from a') return ''")
    heard(there, "from a")
    heard(here, "from a")
    lua("b", "moongate.publish('room', 'from b') return ''")
    heard(here, "from b")
    heard(there, "from b")
    lua("a", "moongate.publish('room', 'the end') return ''")
    heard(here, "the end")
    heard(there, "the end")
    for _, c in ipairs({ here, there }) do
      for _, text in ipairs({ "from a", "from b", "the end" }) do
        assert.equal(1, select(2, c.seen:gsub("data: " .. text, "")), c.seen)
      end
      c:close()
    end
  end)

  it("follows slots that move, key by key", function()
    local key = "{moving}"
    local slot = redis:slot(key)
    local from, from_node = redis:owner(slot)
    local to, to_node = another_master(from)
    local write = [[
      for i = 1, 6 do
        redis:command("SET", "{moving}" .. i, %d * 10 + i):await()
      end
      return ""
    ]]
    local check = [[
      for i = 1, 6 do
        local want = %d * 10 + i
        assert(tonumber(redis:command("GET", "{moving}" .. i):await()) == want)
        assert(cache:increment("n{moving}", 1):await())
      end
      return cache:get("n{moving}"):await()
    ]]
    lua("a", write, 1)
    assert.equal("6", lua("b", check, 1))
    to:cli("CLUSTER", "SETSLOT", tostring(slot), "IMPORTING", from_node.id)
    from:cli("CLUSTER", "SETSLOT", tostring(slot), "MIGRATING", to_node.id)
    assert.equal("12", lua("b", check, 1)) -- all are there yet
    local moved = 0
    for name in from:cli("CLUSTER", "GETKEYSINSLOT", tostring(slot), "100"):gmatch("%S+") do
      if moved < 4 then
        from:cli("MIGRATE", "127.0.0.1", tostring(to.port), name, "0", "1000")
        moved = moved + 1
      end
    end
    assert.equal("18", lua("a", check, 1)) -- ASK for some
    lua("a", write, 2)
    assert.equal("24", lua("b", check, 2))
    for name in from:cli("CLUSTER", "GETKEYSINSLOT", tostring(slot), "100"):gmatch("%S+") do
      from:cli("MIGRATE", "127.0.0.1", tostring(to.port), name, "0", "1000", "REPLACE")
    end
    to:cli("CLUSTER", "SETSLOT", tostring(slot), "NODE", to_node.id)
    from:cli("CLUSTER", "SETSLOT", tostring(slot), "NODE", to_node.id)
    assert.equal("30", lua("a", check, 2)) -- MOVED
    assert.equal("36", lua("b", check, 2))
  end)

  -- Both nodes, loaded at once; `fn` does something to the cluster meanwhile. Their reports.
  local function load(fn)
    local connections, reports = {}, {}
    for name, node in pairs(nodes) do
      connections[name] = node:connect()
      connections[name]:send(wire.post("/lua", LOAD:format(name, SECONDS)))
    end
    fn()
    for name, connection in pairs(connections) do
      connection.sock:settimeout(SECONDS + 20)
      local answer = connection:read("POST")
      assert.equal(200, answer.status, answer.body)
      reports[name] = assert(json.decode(answer.body))
      connection:close()
      local report = reports[name]
      assert.same({}, report.wrong)
      assert.equal("ready", report.state)
      assert.is_true(report.calls > 100)
      print(("cluster %s: %d calls, %d failed %s, slowest %.3f s, %d writes lost by the failover")
        :format(name, report.calls, report.failed, json.encode(report.reasons), report.slowest,
          report.older))
    end
    return reports
  end

  -- All keys of that slot, to any other master.
  local function move(slot)
    local from, from_node = redis:owner(slot)
    local to, to_node = another_master(from)
    to:cli("CLUSTER", "SETSLOT", tostring(slot), "IMPORTING", from_node.id)
    from:cli("CLUSTER", "SETSLOT", tostring(slot), "MIGRATING", to_node.id)
    for name in from:cli("CLUSTER", "GETKEYSINSLOT", tostring(slot), "100"):gmatch("%S+") do
      from:cli("MIGRATE", "127.0.0.1", tostring(to.port), name, "0", "1000")
    end
    to:cli("CLUSTER", "SETSLOT", tostring(slot), "NODE", to_node.id)
    from:cli("CLUSTER", "SETSLOT", tostring(slot), "NODE", to_node.id)
  end

  it("gives no wrong value and no error while slots move under load", function()
    local reports = load(function()
      local ends, i = socket.gettime() + SECONDS, 1
      while socket.gettime() < ends do
        move(redis:slot("load:" .. (i % 2 == 0 and "a" or "b") .. ":" .. i % 32 + 1))
        i = i + 1
        socket.sleep(0.1) -- the servers tell each other of it
      end
    end)
    for _, report in pairs(reports) do
      assert.equal(0, report.failed)
      assert.equal(0, report.older)
    end
  end)

  it("waits for another master when one dies, and loses no answer", function()
    local slot = redis:slot("app:survivor")
    local victim = redis:owner(slot)
    lua("a", "cache:set('survivor', 'before'):await()")
    local alive
    for i, server in ipairs(redis.servers) do
      alive = alive or (server ~= victim and i)
    end
    redis.ask = alive
    process.wait_until("its replica has it", function()
      return victim:cli("WAIT", "1", "100") == "1"
    end)
    victim:kill()
    local began = socket.gettime()
    assert.equal("before after", lua("b", [[
      local before = cache:get("survivor"):await()
      cache:set("survivor", "after"):await()
      return before .. " " .. cache:get("survivor"):await()
    ]]))
    assert.truthy(socket.gettime() - began < 10)
    assert.equal("after", lua("a", "return cache:get('survivor'):await()"))
    -- Other masters were never in question.
    assert.equal("1275", lua("a", [[
      local sum = 0
      for i = 1, 50 do sum = sum + cache:get("key" .. i):await().n end
      return sum
    ]]))
  end)

  -- A master with a replica that is alive, and that is not the one that is asked.
  local function next_victim()
    local replicas = {}
    for _, node in ipairs(redis:nodes()) do
      if not node.flags:find("fail", 1, true) then
        replicas[node.master] = true
      end
    end
    for _, node in ipairs(redis:nodes()) do
      if node.flags:find("master", 1, true) and not node.flags:find("fail", 1, true)
        and replicas[node.id] and node.port ~= redis:asked().port then
        return redis:server_at(node.port)
      end
    end
  end

  it("gives no wrong value when a master dies under load, and goes on without a restart", function()
    local victim = assert(next_victim())
    load(function()
      socket.sleep(SECONDS / 3)
      victim:kill()
    end)
    process.wait_until("another one has its slots", function()
      return redis:asked():cli("CLUSTER", "INFO"):find("cluster_state:ok", 1, true)
    end)
    for _, report in pairs(load(function() end)) do
      assert.equal(0, report.failed)
      assert.equal(0, report.older)
    end
  end)

  it("forgets the cache's own keys, on all masters, and no others", function()
    assert.equal("true 20", lua("b", [[
      local theirs = {}
      for i = 1, 20 do theirs[i] = redis:command("SET", "theirs" .. i, i) end
      all(theirs):await()
      local cleared = cache:clear():await()
      for i = 1, 50 do assert(cache:get("key" .. i):await() == nil) end
      local left = 0
      for _ in redis:scan{ match = "theirs*" } do left = left + 1 end
      return tostring(cleared) .. " " .. left
    ]]))
  end)
end)

describe("conf/fleet.lua", function()
  it("is a configuration", function()
    local said = process.run({ servers.BINARY, "check", "conf/fleet.lua" })
    assert.equal(0, said.status, said.out .. said.err)
  end)
end)
