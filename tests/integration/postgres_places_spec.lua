--- The same scripts wherever PostgreSQL is: behind pgbouncer, over TLS, among several hosts; and
--- what is said before anything is served.
local json = require("dkjson")
local pgbouncer = require("support.pgbouncer")
local postgres = require("support.postgres")
local process = require("support.process")
local redis = require("support.redis")
local servers = require("support.server")
local services = require("support.service")
local tls = require("support.tls")
local wire = require("support.wire")

local LINES = [[
app:post("/sql", { timeout = 20 }, function(ctx)
  local rows, err = ctx:query_database(ctx:body():await()):try_await()
  return err and { code = err.code, message = err.message } or rows
end)

moongate.database():decoder("numeric", tonumber)
moongate.database():decoder("int4[]", function(text)
  return "ints " .. text
end)
moongate.database():decoder("point", function()
  error("no points")
end)
moongate.database():decoder("time", function()
  while true do end
end)
moongate.database():decoder("date", function()
  return moongate.sleep(0):await()
end)

app:get("/decoded", { timeout = 20 }, function(ctx)
  local db = ctx:database()
  local sql = "SELECT 1.50::numeric AS n, '{1,2}'::int4[] AS a, NULL::numeric AS z, 'x' AS t, "
    .. "'[1,5)'::int4range AS r, '{\"a b\",\"c\\\"d\"}'::text[] AS q"
  local function check(row)
    assert(row.n == 1.5 and row.a == "ints {1,2}" and row.z == moongate.json.null)
    assert(row.t == "x" and row.r == "[1,5)" and row.q[1] == "a b" and row.q[2] == 'c"d')
  end
  check(db:query(sql):await()[1])
  check(db:one(sql):await())
  db:transaction(function(tx)
    check(tx:one(sql):await())
  end):await()
  local n = 0
  for row in db:rows(sql .. " FROM generate_series(1, 250)") do
    check(row)
    n = n + 1
  end
  assert(n == 250)
  local _, err = db:one("SELECT '(1,2)'::point"):try_await()
  assert(err.code == "database" and err.message:find("a decoder failed: .*no points"), err.message)
  local _, refused = db:one("SELECT '2026-01-02'::date"):try_await()
  assert(refused.message:find("await cannot cross a decoder", 1, true), refused.message)
  return "decoded"
end)

app:get("/shared", { timeout = 20 }, function(ctx)
  local all, told = {}, { wrong = 0, failed = 0 }
  for i = 1, 100 do
    all[i] = ctx:database():one("SELECT $1::int + " .. i % 7 .. " AS n", i)
  end
  for i, each in ipairs(all) do
    local row, err = each:try_await()
    if err then
      told.failed, told.why = told.failed + 1, err.message
    elseif row.n ~= i + i % 7 then
      told.wrong = told.wrong + 1
    end
  end
  return told
end)

app:get("/endless", { timeout = 20 }, function(ctx)
  return ctx:database():one("SELECT '12:00'::time"):await()
end)

app:get("/many", { timeout = 20 }, function(ctx)
  local all, sum = {}, 0
  for i = 1, 100 do
    all[i] = ctx:query_database("SELECT $1::int AS i, $2::text AS t", i, "x"):and_then(
      function(rows)
        return rows[1].i
      end)
  end
  for _, i in ipairs(moongate.Future.all(all):await()) do
    sum = sum + i
  end
  ctx:transaction(function(tx)
    tx:query("INSERT INTO t VALUES ($1)", sum):await()
    local _, err = tx:transaction(function(part)
      part:query("INSERT INTO t VALUES ($1)", sum):await()
    end):try_await()
    assert(err.constraint == "unique")
  end):await()
  for row in ctx:database():rows("SELECT generate_series(1, 300) AS i") do
    sum = sum + row.i
  end
  return { sum = sum }
end)
]]

describe("PostgreSQL elsewhere", function()
  local database, service

  setup(function()
    database = postgres.start()
    database:sql("CREATE TABLE t (n int PRIMARY KEY)")
  end)
  teardown(function()
    database:stop()
  end)
  before_each(function()
    database:sql("TRUNCATE t")
  end)

  local function serve(url)
    if service then
      service:configure({ database = url })
      service:must_reload()
    else
      service = services.start({ database = url, workers = 1 }, "one", LINES)
    end
  end
  teardown(function()
    service:stop()
  end)

  local function sql(text)
    return assert(json.decode(service:request(wire.post("/sql", text)).body))
  end

  it("serves behind pgbouncer in transaction mode", function()
    local bouncer = pgbouncer.start(database)
    serve(bouncer:url("prepare=false&pool=8"))
    for _ = 1, 3 do
      database:sql("TRUNCATE t")
      assert.equal(5050 + 45150, json.decode(service:request(wire.get("/many")).body).sum)
    end
    assert.equal("5050\n", database:sql("SELECT n FROM t"))
    assert.equal("0\n", database:sql("SELECT count(*) FROM pg_stat_activity WHERE state LIKE "
      .. "'idle in%'"))
    serve(bouncer:url("pool=8")) -- a mistake, which runs nobody else's statement
    local told = json.decode(service:request(wire.get("/shared")).body)
    assert.equal(0, told.wrong)
    if told.failed > 0 then -- twice in a row; most are found to be unknown, and prepared again
      assert.matches("does not exist %(behind a pooler .* prepare=false%)", told.why)
    end
    bouncer:stop()
  end)

  -- What a session held would stay with the pooler's connection.
  it("migrates behind pgbouncer, and leaves no lock there", function()
    local bouncer = pgbouncer.start(database)
    local folder = servers.project("")
    local conf = folder .. "/conf/moongate.lua"
    process.write_file(conf, servers.config_text({ listen = { "127.0.0.1:1" },
      app = "lua/app.lua", database = bouncer:url("prepare=false") }))
    process.make_folder(folder .. "/lua/migrations")
    process.write_file(folder .. "/lua/migrations/0001_a.sql", "CREATE TABLE moved (n int);")
    process.write_file(folder .. "/lua/migrations/0002_b.sql",
      "-- moongate: no transaction\nCREATE INDEX CONCURRENTLY moved_n ON moved (n);")
    local said = process.run({ servers.BINARY, "migrate", conf }, 30)
    assert.equal(0, said.status, said.err)
    assert.matches("up to date: 2 applied", said.out)
    assert.equal("0\n", database:sql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"))
    database:sql("DROP TABLE moved, moongate_migrations")
    process.remove_folder(folder)
    bouncer:stop()
  end)

  it("passes over a host that does not answer, and one that only reads", function()
    serve(("postgres://moongate@127.0.0.1:1,127.0.0.1:%d,localhost:%d/postgres?"
      .. "target_session_attrs=read-write"):format(database.port, database.port))
    assert.equal(1, sql("SELECT 1 AS one")[1].one)
    database:sql("ALTER SYSTEM SET default_transaction_read_only = on")
    database:sql("SELECT pg_reload_conf()")
    serve(("postgres://moongate@127.0.0.1:%d/postgres?target_session_attrs=read-write&wait=1")
      :format(database.port))
    assert.matches("read%-only", sql("SELECT 1 AS one").message)
    database:sql("ALTER SYSTEM RESET default_transaction_read_only")
    database:sql("SELECT pg_reload_conf()")
  end)

  it("speaks TLS as the URL says, and verifies who answers", function()
    local folder = process.temp_folder()
    tls.make(folder, "localhost")
    local certificate = folder .. "/localhost.pem"
    database:use_tls(certificate, folder .. "/localhost.key")
    local function with(host, options)
      serve(("postgres://moongate@%s:%d/postgres?wait=1&%s"):format(host, database.port, options))
      return sql("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
    end
    local verified = "sslmode=verify-full&sslrootcert=" .. certificate
    assert.is_true(with("localhost", verified)[1].ssl)
    assert.is_false(with("localhost", "sslmode=disable")[1].ssl)
    assert.matches("certificate", with("127.0.0.1", verified).message)
    assert.matches('root certificate file "/nowhere/ca.pem" does not exist', with("localhost",
      "sslmode=verify-full&sslrootcert=/nowhere/ca.pem").message)
    process.remove_folder(folder)
  end)

  it("is tried by moongate check --connect, which shows no secret", function()
    local folder = servers.project("")
    local conf = folder .. "/conf/moongate.lua"
    local function check(config)
      config.listen, config.app = { "127.0.0.1:1" }, "lua/app.lua"
      process.write_file(conf, servers.config_text(config))
      return process.run({ servers.BINARY, "check", conf, "--connect" }, 30)
    end
    local here = ("127.0.0.1:%d"):format(database.port)
    local said = check({ database = "postgres://moongate:s3cret@" .. here .. "/postgres" })
    assert.equal(0, said.status, said.err)
    assert.matches("database default: postgres://" .. here .. "/postgres works %(%d+ ms%)\n",
      said.out)
    said = check({
      database = { one = "postgres://moongate:s3cret@" .. here .. "/missing",
        two = "postgres://moongate:s3cret@127.0.0.1:1/x", three = "sqlite:var/x.db" },
      upstreams = { users = { "http://127.0.0.1:1" } },
    })
    assert.equal(1, said.status)
    assert.matches('database one: .-/missing fails: .-database "missing" does not exist', said.out)
    assert.matches("database two: postgres://127.0.0.1:1/x fails: .-Connection refused", said.out)
    assert.matches("database three: sqlite:.-/var/x.db works", said.out)
    assert.matches("upstream users: http://127.0.0.1:1 fails: connect: ", said.out)
    assert.is_nil((said.out .. said.err):find("s3cret", 1, true))
    said = check({ database = "postgres://moongate:s3cret@" .. here .. "/postgres?sslmod=require" })
    assert.equal(1, said.status)
    assert.matches('conf/moongate.lua: database: sslmod: there is no such option, allowed: .-'
      .. '%(did you mean "sslmode"%?%)', said.err)
    assert.is_nil((said.out .. said.err):find("s3cret", 1, true))
    process.remove_folder(folder)
  end)

  it("decodes types as the app wishes", function()
    serve(database:url())
    assert.equal("decoded", service:request(wire.get("/decoded")).body)
  end)

  it("ends a decoder that does not end, and nothing else", function()
    service:configure({ timeouts = { stall_warn = 0.1, stall_abort = 0.5, stall_kill = 5 } })
    serve(database:url())
    local before = service:pids()
    assert.equal(503, service:request(wire.get("/endless")).status)
    service:wait_for_log("it did not let go for")
    assert.same(before, service:pids())
    service:configure({ timeouts = {} })
  end)

  it("runs the specs of SQLite", function()
    local said = process.run({ "env", "MOONGATE_TEST_DATABASE=" .. database:url(), servers.BINARY,
      "test", "spec/moongate/database_engines_spec.lua" }, 60)
    assert.equal(0, said.status, said.out .. said.err)
    assert.matches("0 failures / 0 errors", said.out)
  end)

  it("holds the sample app with Redis, by DATABASE_URL and CACHE_URL: two nodes are one", function()
    local store = redis.start()
    local folder = process.temp_folder()
    local function command(...)
      return { "env", "DATABASE_URL=" .. database:url(), "CACHE_URL=" .. store:url(),
        servers.BINARY, ... }
    end
    local said = process.run(command("migrate"), 30)
    assert.equal(0, said.status, said.err)
    local function run(name)
      local port = servers.free_port()
      local sample = process.start(command("run", "--workers", "0", "--listen",
        "127.0.0.1:" .. port), folder .. "/" .. name, folder .. "/" .. name .. ".err")
      return sample, process.wait_until("the sample app listens", function()
        assert(not sample:poll(), process.read_file(folder .. "/" .. name .. ".err"))
        local ok, conn = pcall(wire.connect, "127.0.0.1", port)
        return ok and conn
      end)
    end
    local one, here = run("one")
    local two, there = run("two")
    local function names(conn)
      local list = {}
      for i, user in ipairs(json.decode(conn:request(wire.get("/users")).body)) do
        list[i] = user.name
      end
      return list
    end
    assert.same({ "Ada Lovelace", "Grace Hopper" }, names(here))
    process.wait_until("the list is cached", function()
      return store:cli("KEYS", "*users:all") ~= ""
    end)
    database:sql("UPDATE users SET name = 'Augusta Ada King' WHERE id = 1")
    assert.equal("Ada Lovelace", names(there)[1]) -- out of the cache that both have
    local res = here:request(wire.post("/users", '{"name":"Emmy Noether"}',
      "Content-Type: application/json"), "POST")
    assert.equal(201, res.status, res.body)
    assert.equal(3, json.decode(res.body).id)
    assert.same({ "Augusta Ada King", "Grace Hopper", "Emmy Noether" }, names(there))
    assert.equal("Emmy Noether", json.decode(there:request(wire.get("/users/3")).body).name)
    for sample, conn in pairs({ [one] = here, [two] = there }) do
      conn:close()
      sample:signal("TERM")
      assert.equal(0, sample:wait(20))
    end
    process.remove_folder(folder)
    store:stop()
  end)
end)
