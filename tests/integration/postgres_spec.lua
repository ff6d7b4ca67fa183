--- PostgreSQL under a running server: what scripts see of it, and what happens when it goes,
--- freezes and comes back.
local postgres = require("support.postgres")
local process = require("support.process")
local servers = require("support.server")
local services = require("support.service")
local wire = require("support.wire")

local LINES = [[
app:post("/sql", { timeout = 20 }, function(ctx)
  local rows, err = ctx:query_database(ctx:body():await()):try_await()
  if not rows then
    return 409, { code = err.code, reason = err.reason, sqlstate = err.sqlstate,
      constraint = err.constraint, name = err.constraint_name,
      detail = err.detail, position = err.position,
      column = err.column, message = err.message }
  end
  return { rows = rows, affected = rows.affected }
end)

app:get("/types", function(ctx)
  local row = ctx:database():one("SELECT $1::int8 AS i, $2::jsonb AS j, $3::text[] AS a, " ..
    "$4::bytea AS b, $5::bool AS t, NULL AS n", moongate.json.decode("9223372036854775807"),
    '{"x":[1,null]}', "{a,b}", moongate.blob("\0\255"), true):await()
  assert(row.i == 9223372036854775807LL and row.j.x[1] == 1 and row.j.x[2] == moongate.json.null)
  assert(#row.a == 2 and row.a[2] == "b" and row.b == "\0\255" and row.t == true)
  assert(row.n == moongate.json.null)
  return "as they are"
end)

app:get("/rows", { timeout = 60 }, function(ctx)
  local n, sum = 0, 0
  for row in ctx:database():rows("SELECT i, repeat('x', 100) FROM generate_series(1, " ..
    "50000) AS i") do
    n, sum = n + 1, sum + row.i
  end
  return { n = n, sum = sum }
end)

app:post("/move", { timeout = 20 }, function(ctx)
  return ctx:transaction(function(tx)
    tx:query("UPDATE accounts SET euro = euro - 1 WHERE id = 1"):await()
    tx:query("UPDATE accounts SET euro = euro + 1 WHERE id = 2"):await()
    if ctx.query.fail then
      error("on purpose")
    end
    return "moved"
  end):await()
end)

app:post("/beside", { timeout = 20 }, function(ctx)
  return ctx:transaction(function(tx)
    tx:query("INSERT INTO seen VALUES (1)"):await()
    ctx:spawn(function()
      ctx:query_database("INSERT INTO seen VALUES (2)"):await()
    end):await()
    return "both"
  end):await()
end)

app:post("/insert/:n", { timeout = 20 }, function(ctx)
  ctx:query_database("INSERT INTO seen VALUES ($1)", ctx.params.n):await()
  return "inserted"
end)

app:get("/slow", { timeout = 0.5 }, function(ctx)
  return ctx:query_database("SELECT 1 AS one"):await()
end)
]]

describe("PostgreSQL", function()
  local database, service

  setup(function()
    database = postgres.start()
  end)
  teardown(function()
    database:stop()
  end)
  before_each(function()
    database:sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    service = services.start({ database = database:url("pool=3") }, "one", LINES)
  end)
  after_each(function()
    service:stop()
  end)

  local function sql(text)
    local res = service:request(wire.post("/sql", text))
    return assert(require("dkjson").decode(res.body), res.body), res.status
  end

  it("gives scripts values of their own types", function()
    local res = service:request(wire.get("/types"))
    assert.equal("as they are", res.body)
  end)

  it("tells what the server says of a fault", function()
    sql("CREATE TABLE t (id int CONSTRAINT one_of_each PRIMARY KEY, name text NOT NULL)")
    assert.equal(1, (sql("INSERT INTO t VALUES (1, 'a')")).affected)
    local err, status = sql("INSERT INTO t VALUES (1, 'b')")
    assert.equal(409, status)
    assert.same({ "database", "constraint", "23505", "unique", "one_of_each" },
      { err.code, err.reason, err.sqlstate, err.constraint, err.name })
    assert.equal("Key (id)=(1) already exists.", err.detail)
    assert.equal("name", (sql("INSERT INTO t VALUES (2, NULL)")).column)
    assert.equal(8, (sql("SELECT wrong")).position)
  end)

  it("reads rows of any number, piece by piece", function()
    local res = service:request(wire.get("/rows"))
    assert.same({ n = 50000, sum = 1250025000 }, require("dkjson").decode(res.body))
  end)

  it("has a transaction wholly or not at all", function()
    sql("CREATE TABLE accounts (id int PRIMARY KEY, euro int)")
    sql("INSERT INTO accounts VALUES (1, 10), (2, 10)")
    assert.equal(200, service:request(wire.post("/move", "")).status)
    assert.equal(500, service:request(wire.post("/move?fail=1", "")).status)
    assert.equal("9\n11\n", database:sql("SELECT euro FROM accounts ORDER BY id"))
  end)

  it("has many writers: one beside a transaction waits for nobody", function()
    sql("CREATE TABLE seen (n int)")
    assert.equal("both", service:request(wire.post("/beside", "")).body)
    assert.equal("1\n2\n", database:sql("SELECT n FROM seen ORDER BY n"))
  end)

  for _, mode in ipairs({ "fast", "immediate" }) do
    it("repeats nothing and is whole again when it was restarted: " .. mode, function()
      sql("CREATE TABLE seen (n int)")
      local conns = {}
      for n = 1, 12 do
        conns[n] = service:connect_to(n % 2 + 1)
        conns[n]:send(wire.post("/insert/" .. n, ""))
      end
      database:halt(mode)
      for n = 13, 16 do
        conns[n] = service:connect_to(n % 2 + 1)
        conns[n]:send(wire.post("/insert/" .. n, ""))
      end
      database:start()
      for n, conn in ipairs(conns) do
        local res = conn:read()
        conn:close()
        local count = tonumber(database:sql("SELECT count(*) FROM seen WHERE n = " .. n))
        assert.is_true(count <= 1, n .. " is there " .. count .. " times")
        assert.is_true(res.status ~= 200 or count == 1, n .. " was answered and is not there")
      end
      for n = 17, 20 do
        assert.equal(200, service:request(wire.post("/insert/" .. n, "")).status)
      end
    end)
  end

  it("holds back only who asks it while it is frozen", function()
    assert.equal(200, service:request(wire.get("/slow")).status)
    database:signal("STOP")
    local frozen = service:request(wire.get("/slow"))
    local other = service:request(wire.get("/"))
    database:signal("CONT")
    assert.equal(504, frozen.status)
    assert.equal(200, other.status)
    process.wait_until("it answers again", function()
      return service:request(wire.get("/slow")).status == 200
    end)
  end)

  it("is interrupted for those who leave, and for nobody else", function()
    local conns = {}
    for n = 1, 6 do
      conns[n] = service:connect_to(1)
      conns[n]:send(wire.post("/sql", "SELECT pg_sleep(60)"))
    end
    -- So long that nothing is sent behind them any more.
    process.wait_until("statements run", function()
      return database:sql("SELECT bool_and(now() - query_start > '0.1 s') FROM pg_stat_activity "
        .. "WHERE state = 'active' AND query LIKE 'SELECT pg_sleep%'") == "t\n"
    end)
    for _, conn in ipairs(conns) do
      conn:close()
    end
    local one = service:connect_to(1)
    one:send(wire.post("/sql", "SELECT 7 AS seven"))
    assert.truthy(one:read().body:find('{"seven":7}', 1, true))
    one:close()
    process.wait_until("nothing of them runs", function()
      return database:sql("SELECT count(*) FROM pg_stat_activity WHERE state = 'active' "
        .. "AND query LIKE 'SELECT pg_sleep%'") == "0\n"
    end)
  end)

  it("is told in a sentence, without the password, when it cannot be had", function()
    service:configure({ database = "postgres://moongate:s3cret@127.0.0.1:"
      .. database.port .. "/missing" })
    service:must_reload()
    local err = sql("SELECT 1")
    assert.equal("closed", err.code)
    assert.truthy(err.message:find('database "missing" does not exist', 1, true), err.message)
    assert.is_nil(err.message:find("s3cret", 1, true))
    assert.is_nil(service:stderr():find("s3cret", 1, true))
  end)
end)

describe("moongate migrate on PostgreSQL", function()
  local database, folder

  setup(function()
    database = postgres.start()
  end)
  teardown(function()
    database:stop()
  end)

  local function put(name, text)
    process.write_file(folder .. "/lua/migrations/" .. name, text)
  end

  local function migrate(...)
    return process.run({ servers.BINARY, "migrate", folder .. "/conf/moongate.lua", ... })
  end

  before_each(function()
    database:sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    folder = servers.project("")
    os.execute("mkdir '" .. folder .. "/lua/migrations'")
    process.write_file(folder .. "/conf/moongate.lua", servers.config_text({
      listen = { "127.0.0.1:1" }, app = "lua/app.lua", database = database:url(),
    }))
    put("0001_users.sql", "CREATE TABLE users (id int);\n" ..
      "CREATE FUNCTION one() RETURNS int AS $$\nBEGIN RETURN 1; END; $$ LANGUAGE plpgsql;\n")
  end)
  after_each(function()
    process.remove_folder(folder)
  end)

  it("applies each file once", function()
    local said = migrate()
    assert.equal(0, said.status, said.err)
    assert.truthy(said.out:find("0001_users.sql: applied", 1, true), said.out)
    assert.truthy(migrate().out:find("default is up to date\n", 1, true))
    put("0002_more.sql", "ALTER TABLE users ADD name text;")
    assert.truthy(migrate("--status").out:find("pending +0002_more.sql"))
    assert.truthy(migrate().out:find("0002_more.sql: applied", 1, true))
    assert.equal("1\n2\n", database:sql("SELECT number FROM moongate_migrations ORDER BY number"))
  end)

  it("leaves nothing of a file that fails, and names its line", function()
    put("0002_broken.sql", "CREATE TABLE good (id int);\n-- why\nINSERT INTO missing VALUES (1);\n")
    local said = migrate()
    assert.equal(1, said.status)
    assert.truthy(said.err:find("0002_broken.sql:3: relation \"missing\" does not exist", 1, true),
      said.err)
    assert.equal("\n", database:sql("SELECT to_regclass('good')"))
    assert.equal("1\n", database:sql("SELECT number FROM moongate_migrations"))
  end)

  it("runs a marked file outside of a transaction", function()
    put("0002_index.sql", "-- moongate: no transaction\n"
      .. "CREATE INDEX CONCURRENTLY i ON users (id);\nCREATE INDEX CONCURRENTLY j ON users (id);")
    local said = migrate()
    assert.equal(0, said.status, said.err)
    assert.equal("i|j\n", database:sql("SELECT to_regclass('i'), to_regclass('j')"))
  end)

  it("refuses a file that has changed since, or that commits", function()
    put("0002_commits.sql", "CREATE TABLE a (id int);\nCOMMIT;\n")
    local said = migrate()
    assert.truthy(said.err:find("0002_commits.sql:2: COMMIT and ROLLBACK are not for migrations",
      1, true), said.err)
    put("0001_users.sql", "CREATE TABLE users (id int, more int);")
    said = migrate()
    assert.equal(1, said.status)
    assert.truthy(said.err:find("has changed since", 1, true), said.err)
  end)

  it("lets two at once apply each file once", function()
    put("0002_slow.sql", "SELECT pg_sleep(0.5);\nINSERT INTO users VALUES (1);")
    local first = process.start({ servers.BINARY, "migrate", folder .. "/conf/moongate.lua" },
      folder .. "/first.out", folder .. "/first.err")
    local second = migrate()
    assert.equal(0, second.status, second.err)
    first:wait(30)
    assert.equal("1\n", database:sql("SELECT count(*) FROM users"))
  end)
end)
