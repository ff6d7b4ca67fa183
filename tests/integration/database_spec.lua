--- A database under many coroutines and statements, in two workers at once, while workers die and
--- clients leave: what was answered is there, what was not is there wholly or not at all.
local services = require("support.service")
local process = require("support.process")
local wire = require("support.wire")

local BURSTS, COROUTINES, EACH = 10, 200, 5 -- 10,000 statements

local LINES = ([[
app:on_start(function()
  local db = moongate.database()
  db:query("CREATE TABLE IF NOT EXISTS rows (burst INTEGER, n INTEGER, " ..
    "PRIMARY KEY (burst, n))"):await()
  db:query("CREATE TABLE IF NOT EXISTS parts (tx INTEGER, n INTEGER)"):await()
end)

app:post("/burst/:n", { timeout = 60 }, function(ctx)
  local all = {}
  for c = 1, %d do
    all[c] = ctx:spawn(function()
      for i = 1, %d do
        ctx:query_database("INSERT INTO rows (burst, n) VALUES ($1, $2)", ctx.params.n,
          c * 100 + i):await()
      end
    end)
  end
  moongate.Future.all(all):await()
  return "done"
end)

app:post("/tx/:n", { timeout = 60 }, function(ctx)
  ctx:transaction(function(tx)
    for i = 1, 10 do
      tx:query("INSERT INTO parts VALUES ($1, $2)", ctx.params.n, i):await()
      if ctx.query.slow then
        ctx:sleep(0.05):await()
      end
    end
    if ctx.query.fail then
      error("on purpose")
    end
  end):await()
  return "done"
end)

app:get("/count", function(ctx)
  return ctx:query_database(ctx.query.sql):await()
end)

app:get("/forever", { timeout = 60 }, function(ctx)
  return ctx:query_database("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) " ..
    "SELECT count(*) FROM n"):await()
end)
]]):format(COROUTINES, EACH)

describe("a database", function()
  local service

  before_each(function()
    service = services.start({ database = "sqlite:var/deep/test.db" }, "one", LINES)
  end)
  after_each(function()
    service:stop()
  end)

  local function ask(sql)
    local res = service:request(wire.get("/count?sql=" .. sql:gsub("[^%w]", function(c)
      return ("%%%02X"):format(c:byte())
    end)))
    assert.equal(200, res.status, res.body)
    return assert(require("dkjson").decode(res.body))
  end

  local function post(conn, target)
    conn:send(wire.post(target, ""))
  end

  local function answered(conn)
    local ok, res = pcall(conn.read, conn)
    conn:close()
    return ok and res.status == 200
  end

  it("keeps what it has answered when workers are killed", function()
    local done = {}
    for n = 1, BURSTS, 2 do
      local a, b = service:connect_to(1), service:connect_to(2)
      post(a, "/burst/" .. n)
      post(b, "/burst/" .. n + 1)
      if n % 4 == 3 then
        process.wait_until("a statement of the burst has run", function()
          return ask("SELECT count(*) AS n FROM rows WHERE burst = " .. n)[1].n > 0
        end)
        os.execute("kill -9 " .. service:pids()[1])
      end
      done[n], done[n + 1] = answered(a), answered(b)
    end
    local whole = 0
    for n = 1, BURSTS do
      local count = ask("SELECT count(*) AS n FROM rows WHERE burst = " .. n)[1].n
      if done[n] then
        whole = whole + 1
        assert.equal(COROUTINES * EACH, count)
      end
    end
    assert.is_true(whole >= BURSTS / 2)
    assert.same({ { integrity_check = "ok" } }, ask("PRAGMA integrity_check"))
    assert.equal(2, #service:pids())
  end)

  it("has a transaction wholly or not at all, whoever dies or leaves", function()
    local conns = {}
    for n = 1, 8 do
      conns[n] = service:connect_to(n % 2 + 1)
      post(conns[n], "/tx/" .. n .. "?slow=1")
    end
    os.execute("sleep 0.2; kill -9 " .. service:pids()[1])
    conns[1]:close() -- in worker 2: its client leaves
    local done = {}
    for n = 2, 8 do
      done[n] = answered(conns[n])
    end
    local failed = service:request(wire.post("/tx/9?fail=1", ""))
    assert.equal(500, failed.status)
    for n = 1, 9 do
      local count = ask("SELECT count(*) AS n FROM parts WHERE tx = " .. n)[1].n
      assert.is_true(count == 10 or (count == 0 and not done[n]), n .. " has " .. count)
    end
    assert.equal(0, ask("SELECT count(*) AS n FROM parts WHERE tx = 9")[1].n)
  end)

  it("goes on at once when those have left who asked for too much", function()
    local conns = {}
    for n = 1, 16 do
      conns[n] = service:connect_to(1)
      conns[n]:send(wire.get("/forever"))
    end
    for _, conn in ipairs(conns) do
      conn:close()
    end
    local conn = service:connect_to(1)
    assert.equal("[{\"n\":1}]", conn:request(wire.get("/count?sql=SELECT+1+AS+n")).body)
    conn:close()
  end)

  it("survives reloads, and another database takes its place at one", function()
    assert.equal("done", service:request(wire.post("/tx/1", "")).body)
    service:must_reload()
    assert.equal(10, ask("SELECT count(*) AS n FROM parts")[1].n)
    service:configure({ database = "sqlite:var/other.db" })
    service:must_reload()
    assert.equal(0, ask("SELECT count(*) AS n FROM parts")[1].n)
    service:configure({ database = "sqlite:/proc/nowhere/x.db" })
    local said = service:reload()
    assert.equal(1, said.status)
    assert.matches("database: /proc/nowhere/x.db", said.err)
    assert.equal(0, ask("SELECT count(*) AS n FROM parts")[1].n)
  end)
end)
