--- Clients that leave at any moment, beside statements that must never be hit; a server that goes
--- and comes back under load. `make endurance` runs it whole: 10,000 clients, 1,000 canaries.
local json = require("dkjson")
local lag = require("support.lag")
local postgres = require("support.postgres")
local process = require("support.process")
local services = require("support.service")
local socket = require("socket")
local wire = require("support.wire")

local VICTIMS = tonumber(os.getenv("POSTGRES_VICTIMS")) or 300
local WHOLE = os.getenv("POSTGRES_VICTIMS") ~= nil
local CANARIES = math.ceil(VICTIMS / 10)
local AT_ONCE = 24
local POOL = 4

local LINES = [[
app:get("/victim/:ms", { timeout = 20 }, function(ctx)
  local ms = tonumber(ctx.params.ms)
  if ms % 3 == 0 then -- in a transaction
    ctx:transaction(function(tx)
      tx:query("INSERT INTO seen VALUES (-1)"):await()
      tx:query("SELECT pg_sleep($1::float8)", ms / 1000):await()
      error("never kept")
    end):await()
  elseif ms % 3 == 1 then
    for _ in ctx:database():rows("SELECT repeat('x', 1000) FROM generate_series(1, 2000)") do
    end
  end
  return ctx:query_database("SELECT pg_sleep($1::float8)", ms / 1000):await()
end)

app:get("/canary/:n", { timeout = 60 }, function(ctx)
  return ctx:database():one("SELECT pg_sleep(0.002) IS NULL AS a, $1::int AS n",
    ctx.params.n):await()
end)

app:post("/insert/:n", { timeout = 30 }, function(ctx)
  ctx:query_database("INSERT INTO seen VALUES ($1)", ctx.params.n):await()
  return "inserted"
end)

app:get("/asked", { timeout = 0.3 }, function(ctx)
  return ctx:database():one("SELECT 1 AS one"):await()
end)

app:get("/warm", { timeout = 20 }, function()
  local few, all = moongate.database("few"), {}
  for i = 1, 3 do
    all[i] = few:transaction(function(tx)
      tx:query("SELECT pg_sleep(0.2)"):await()
    end)
  end
  moongate.sleep(0.1):await() -- until these have a connection each
  all[4] = few:query("SELECT 1")
  moongate.Future.all(all):await()
  return "warm"
end)

local refused = 0
app:get("/refused", function()
  return tostring(refused)
end)

app:get("/flight/:n", { timeout = 20 }, function(ctx)
  local all, told = {}, { right = 0, refused = 0 }
  for i = 1, ctx.params.n do
    all[i] = moongate.database("few"):one("SELECT $1::int AS i, pg_backend_pid() AS pid", i)
    all[i]:catch(function()
      refused = refused + 1
    end)
  end
  local pids = {}
  for i, each in ipairs(all) do
    local row, err = each:try_await()
    if err then
      told.refused, told.why = told.refused + 1, err.message
    else
      told.right, pids[row.pid] = told.right + (row.i == i and 1 or 0), true
    end
  end
  told.connections = 0
  for _ in pairs(pids) do
    told.connections = told.connections + 1
  end
  return told
end)

app:get("/prepared", function(ctx)
  return ctx:database():one("SELECT count(*) AS n FROM pg_prepared_statements"):await()
end)
]]

describe("PostgreSQL under a storm", function()
  local database, service, quiet

  setup(function()
    database = postgres.start()
    database:sql("CREATE TABLE seen (n int)")
    service = services.start({
      database = { default = database:url("pool=" .. POOL .. "&wait=30"),
        few = database:url("pool=4&wait=1") },
      workers = 1, timeouts = lag.TIMEOUTS,
    }, "one", LINES .. lag.LINES)
    quiet = WHOLE and lag.quiet(service)
    math.randomseed(7)
  end)
  teardown(function()
    service:stop()
    database:stop()
  end)

  local function ours(more)
    return tonumber(database:sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = "
      .. "'moongate' " .. (more or "")))
  end

  -- Times are judged by `make endurance`, on a machine that does nothing else; not in the suite.
  local function look_at_lag(what, look)
    if WHOLE then
      look(service, quiet, what)
    end
  end

  it("hits who leaves and nobody else", function()
    lag.forget(service)
    local canary = service:connect()
    local here, sent, seen = {}, 0, 0
    for n = 1, VICTIMS do
      if #here >= AT_ONCE then
        table.remove(here, math.random(#here)):close()
      end
      local conn = service:connect()
      conn:send(wire.get("/victim/" .. math.random(0, 30)))
      here[#here + 1] = conn
      if n % 10 == 0 then
        sent = sent + 1
        canary:send(wire.get("/canary/" .. sent))
        while sent - seen > 3 or n == VICTIMS and seen < sent do
          seen = seen + 1
          local res = canary:read()
          assert.equal(200, res.status, res.body)
          assert.equal(seen, json.decode(res.body).n)
        end
      end
    end
    assert.equal(CANARIES, seen)
    for _, conn in ipairs(here) do
      conn:close()
    end
    canary:close()
    process.wait_until("all is quiet", function()
      return ours("AND state <> 'idle'") == 0
    end)
    assert.is_true(ours() <= POOL + 4)
    assert.equal("0\n", database:sql("SELECT count(*) FROM seen"))
    assert.is_true(json.decode(service:body("/prepared")).n <= 8)
    look_at_lag("clients that leave", lag.tell)
  end)

  it("frozen it holds deadlines, and holds up nothing else", function()
    local asking, sent, late = {}, 0, 0
    assert.equal(200, service:request(wire.get("/asked")).status)
    lag.forget(service)
    database:signal("STOP")
    for n = 1, WHOLE and 200 or 24 do
      if n % 8 == 1 then
        sent = socket.gettime()
        for i = 1, 8 do
          asking[i] = asking[i] or service:connect()
          asking[i]:send(wire.get("/asked"))
        end
      end
      assert.equal("one", service:body("/"))
      assert.equal(504, asking[(n - 1) % 8 + 1]:read().status)
      late = math.max(late, socket.gettime() - sent)
    end
    look_at_lag("frozen", lag.judge)
    if WHOLE then
      print(("frozen: a deadline of 0.3 s was told after %.3f s at most"):format(late))
      process.make_folder(service.folder .. "/lua/migrations")
      service:write("lua/migrations/0001_a.sql", "CREATE TABLE a (n int);")
      local said = service:command("migrate") -- within connect_timeout
      assert.equal(1, said.status)
      assert.matches("timeout expired", said.err)
    end
    database:signal("CONT")
    for _, conn in ipairs(asking) do
      conn:close()
    end
    process.wait_until("it answers again", function()
      return service:request(wire.get("/asked")).status == 200
    end)
    process.wait_until("all is quiet", function()
      return ours("AND state <> 'idle'") == 0
    end)
    assert.is_true(ours() <= POOL + 4)
  end)

  -- What is not under way after a second fails; so all others were, though nothing answered.
  it("has 32 statements under way in each connection, and tells the rest why they wait", function()
    process.wait_until("it has four connections", function()
      assert.equal("warm", service:body("/warm"))
      return ours() >= POOL + 4
    end)
    database:signal("STOP")
    local conn = service:connect()
    conn:send(wire.get("/flight/140"))
    process.wait_until("those beyond are refused", function()
      return service:body("/refused") == "12"
    end)
    database:signal("CONT")
    local told = json.decode(conn:read().body)
    conn:close()
    assert.equal(128, told.right)
    assert.equal(12, told.refused)
    assert.equal(4, told.connections)
    assert.matches("no connection within 1 s: 4 of 4 are in use, the oldest for %d+.%d s .*; the "
      .. "server has said nothing for %d+.%d s", told.why)
  end)

  local ends = {
    fast = function() database:halt("fast") end,
    immediate = function() database:halt("immediate") end,
    kill = function() database:signal("KILL") end,
  }

  for round, mode in ipairs({ "fast", "immediate", "kill" }) do
    it("repeats nothing and is whole within a second of its return: " .. mode, function()
      database:sql("TRUNCATE seen")
      lag.forget(service)
      local conns, first = {}, round * 1000
      for n = 1, 40 do
        conns[n] = service:connect()
        conns[n]:send(wire.post("/insert/" .. first + n, ""))
        if n == 20 then
          ends[mode]()
        end
      end
      database:start()
      local returned = socket.gettime()
      local told = {}
      for n, conn in ipairs(conns) do
        told[n] = conn:read()
        conn:close()
      end
      if WHOLE then -- on a machine that does nothing else
        assert.is_true(socket.gettime() - returned < 1)
      end
      local counts = {}
      local rows = database:sql("SELECT n, count(*) FROM seen GROUP BY n")
      for n, count in rows:gmatch("(%d+)|(%d+)") do
        counts[tonumber(n) - first] = tonumber(count)
      end
      for n, res in ipairs(told) do
        local count = counts[n] or 0
        assert.is_true(count == 1 or count == 0 and res.status ~= 200, n .. ": " .. count)
      end
      for n = 21, 40 do -- what was asked while it was down has waited
        assert.equal(200, told[n].status, told[n].body)
      end
      assert.is_true(ours() <= POOL + 4)
      look_at_lag(mode, lag.tell)
    end)
  end
end)
