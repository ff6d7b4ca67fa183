local moongate = require("moongate")
local test = require("moongate.test")
local json = moongate.json

local MEMORY = { database = "sqlite::memory:" }

-- An app with a table of users in memory; `declare(app)` adds routes.
local function new_app(declare, options)
  local app = test.app(declare or function() end, options or MEMORY)
  app:run(function()
    local db = moongate.database()
    db:query("CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT UNIQUE, n INTEGER)"):await()
  end)
  app.calls = {}
  return app
end

local function here()
  return debug.getinfo(2, "Sl").short_src:match("[^/]+$") .. ":"
    .. debug.getinfo(2, "l").currentline
end

describe("ctx:query_database", function()
  local app
  after_each(function()
    app:assert_no_leaks()
  end)

  it("gives rows by column name", function()
    app = new_app(function(a)
      a:get("/users/:id", function(ctx)
        return ctx:query_database("SELECT id, name FROM users WHERE id = $1",
          ctx.params.id):await()
      end)
    end)
    app:run(function()
      moongate.database():query("INSERT INTO users (name) VALUES ($1), ($2)", "ada", "bob"):await()
    end)
    assert.equal('[{"id":2,"name":"bob"}]', (app:get("/users/2").body:gsub('{"name":"bob","id":2}',
      '{"id":2,"name":"bob"}')))
    assert.equal("[]", app:get("/users/7").body)
  end)

  it("tells how many rows were affected and the last id", function()
    app = new_app()
    app:run(function()
      local db = moongate.database()
      local rows = db:query("INSERT INTO users (name) VALUES ('a'), ('b'), ('c')"):await()
      assert.equal(3, rows.affected)
      assert.equal(3, rows.last_id)
      assert.equal("[]", json.encode(rows))
      rows = db:query("SELECT name FROM users"):await()
      assert.equal(0, rows.affected)
      assert.is_nil(rows.last_id)
      assert.equal('[{"name":"a"},{"name":"b"},{"name":"c"}]', json.encode(rows))
      assert.equal(rows, json.array(rows))
      assert.equal(1, db:query("UPDATE users SET n = 1 WHERE name = 'a'"):await().affected)
    end)
  end)

  it("runs two statements at once, and is cancelled with the request", function()
    app = new_app(function(a)
      a:get("/two", function(ctx)
        local one = ctx:query_database("SELECT 1 AS n")
        local two = ctx:query_database("SELECT 2 AS n")
        return { one:await()[1].n, two:await()[1].n }
      end)
      a:get("/long", { timeout = 2 }, function(ctx)
        ctx:query_database("WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) "
          .. "SELECT count(*) FROM c")
        ctx:fail(418, "tea")
      end)
    end)
    assert.equal("[1,2]", app:get("/two").body)
    assert.equal(418, app:get("/long").status)
    assert.equal("[1,2]", app:get("/two").body) -- the connection is free again
  end)

  it("becomes 500 when the statement is wrong, and says which in the log", function()
    app = new_app(function(a)
      a:get("/", function(ctx)
        return ctx:query_database("SELECT nme FROM users"):await()
      end)
    end)
    assert.equal(500, app:get("/").status)
    assert.matches("database_spec.lua:%d+: no such column: nme.*, in \"SELECT nme FROM users\"",
      app.logs[1].message)
  end)

  it("is answered by stubs, by whatever way the statement is made", function()
    app = test.app(function(a)
      a:get("/", function(ctx)
        local db = ctx:database()
        local sum = db:one("SELECT 1"):await().n
        for row in db:rows("SELECT 1") do
          sum = sum + row.n
        end
        sum = sum + db:transaction(function(tx)
          return tx:query("SELECT 2", 7):await()[1].n
        end):await() + ctx:query_database("SELECT 1"):await()[1].n
        return tostring(sum)
      end)
      a:get("/none", function(ctx)
        return ctx:database():query("SELECT 3"):await()
      end)
    end)
    app:stub_database("SELECT 1", { { n = 10 } })
    app:stub_database("SELECT 2", function(seven)
      return { { n = seven * 100 } }
    end)
    assert.equal("730", app:get("/").body)
    assert.equal(4, #app.calls)
    assert.same({ name = "query_database", n = 2, "SELECT 2", 7 }, app.calls[3])
    assert.equal(500, app:get("/none").status)
    assert.matches("database_spec.lua:%d+: query_database%(\"SELECT 3\"%) is not stubbed",
      app.logs[1].message)
  end)

  it("is stubbed beside a database for the statements that are named", function()
    app = new_app(function(a)
      a:get("/", function(ctx)
        return { ctx:query_database("SELECT 1 AS n"):await()[1].n,
          ctx:query_database("SELECT 2 AS n"):await()[1].n }
      end)
    end)
    app:stub_database("SELECT 2 AS n", { { n = "two" } })
    assert.equal('[1,"two"]', app:get("/").body)
  end)
end)

describe("values of a database", function()
  local app
  before_each(function()
    app = new_app()
  end)
  after_each(function()
    app:assert_no_leaks()
  end)

  local function ask(sql, ...)
    return app:run(function(...)
      return moongate.database():one(sql, ...):await()
    end, ...)
  end

  it("are exact integers, beyond 2^53 too", function()
    assert.equal(9007199254740992, ask("SELECT 9007199254740992 AS n").n)
    assert.equal(9007199254740993LL, ask("SELECT 9007199254740993 AS n").n)
    assert.equal(-9223372036854775807LL - 1, ask("SELECT -9223372036854775808 AS n").n)
    local sent = ask("SELECT $1 AS a, $2 AS b, typeof($1) AS t", 9007199254740993LL, 5ULL)
    assert.equal(9007199254740993LL, sent.a)
    assert.equal(5, sent.b)
    assert.equal("integer", sent.t)
  end)

  it("are integers if they are whole, else reals", function()
    local row = ask("SELECT typeof($1) AS a, typeof($2) AS b, typeof($3) AS c, $2 AS v",
      3, 3.5, 1e300)
    assert.same({ a = "integer", b = "real", c = "real", v = 3.5 }, row)
  end)

  it("are null and not nil, so that every column is there", function()
    local row = ask("SELECT NULL AS a, $1 IS NULL AS b, $2 IS NULL AS c, $3 AS d", nil, json.null,
      nil)
    assert.equal(json.null, row.a)
    assert.equal(1, row.b)
    assert.equal(1, row.c)
    assert.equal(json.null, row.d)
  end)

  it("are text as a string and bytes as moongate.blob", function()
    local bytes = "a\0\255b"
    local row = ask("SELECT typeof($1) AS a, typeof($2) AS b, $2 AS bytes, length($2) AS n",
      "text", moongate.blob(bytes))
    assert.same({ a = "text", b = "blob", bytes = bytes, n = 4 }, row)
    assert.equal("blob of 4 bytes", tostring(moongate.blob(bytes)))
    assert.equal("", ask("SELECT $1 AS b", moongate.blob("")).b)
  end)

  it("are true and false as 1 and 0, and back in columns that say so", function()
    assert.same({ a = 1, b = 0 }, ask("SELECT $1 AS a, $2 AS b", true, false))
    ask("CREATE TABLE flags (a BOOLEAN, b BOOLEAN)")
    ask("INSERT INTO flags VALUES ($1, $2)", true, false)
    assert.same({ a = true, b = false }, ask("SELECT a, b FROM flags"))
  end)

  it("are many", function()
    local names, values = {}, {}
    for i = 1, 200 do
      names[i], values[i] = "$" .. i, i
    end
    local row = ask("SELECT " .. table.concat(names, " + ") .. " AS sum", unpack(values))
    assert.equal(20100, row.sum)
  end)

  it("are refused at the caller's line if they are none", function()
    local faults = {
      { {}, "parameter $2: a table is no value of a database" },
      { function() end, "parameter $2: a function is no value" },
      { 0 / 0, "parameter $2: nan" },
      { 18446744073709551615ULL, "parameter $2: an integer beyond 63 bits" },
      { coroutine.create(function() end), "parameter $2: nil, a boolean" },
      { json.array({}), "parameter $2: a table" },
    }
    app:run(function()
      local db = moongate.database()
      for _, fault in ipairs(faults) do
        for _, call in ipairs({ "query", "one", "rows" }) do
          local ok, err = pcall(function()
            local _ = db[call](db, "SELECT $1, $2", 1, fault[1])
          end)
          assert.is_false(ok)
          assert.matches(fault[2], err, 1, true)
          assert.matches("database_spec.lua:%d+: ", err)
        end
      end
    end)
  end)

  it("are of the last of two columns with one name", function()
    assert.same({ n = 2 }, ask("SELECT 1 AS n, 2 AS n"))
  end)
end)

describe("a fault of a database", function()
  local app
  after_each(function()
    app:assert_no_leaks()
  end)

  local function fail(sql, ...)
    return app:run(function(...)
      local value, err = moongate.database():query(sql, ...):try_await()
      assert.is_nil(value)
      assert.equal("database", err.code)
      return err
    end, ...)
  end

  it("says what kind it is, the statement and the line", function()
    app = new_app()
    fail("INSERT INTO users (name) VALUES ($1), ($1)", "ada")
    local err = fail("INSERT INTO users (name)\n VALUES ($1), ($1)", "ada")
    assert.equal("constraint", err.reason)
    assert.equal("INSERT INTO users (name)\n VALUES ($1), ($1)", err.statement)
    assert.matches('UNIQUE constraint failed: users.name, in "INSERT INTO users (name)  VALUES',
      err.message, 1, true)
    assert.matches("database_spec.lua:%d+$", err.where)
    assert.is_number(err.native)
    assert.equal("syntax", fail("SELEC 1").reason)
  end)

  it("shows the beginning of a long statement, cut between characters", function()
    app = new_app()
    local err = fail("SELECT '" .. ("ü"):rep(400) .. "' FROM nowhere")
    assert.equal(500 - 500 % 2, #err.statement)
    assert.matches('in "SELECT \'[ü]+%.%.%."$', err.message)
    assert.is_string(json.encode({ err.message, err.statement }))
  end)

  it("is a cancellation if it was cancelled", function()
    app = new_app()
    app:run(function()
      local future = moongate.database():query("SELECT 1")
      future:cancel()
      local _, err = future:try_await()
      assert.equal("cancelled", err.code)
    end)
  end)

  it("says how to configure one where there is none", function()
    app = test.app(function() end, MEMORY)
    require("moongate.native").test_database(false)
    local err = fail("SELECT 1")
    assert.equal('no database is configured: database = "sqlite:build/var/app.db" in the '
      .. "configuration", err.message)
  end)

  it("names the databases there are if that name is unknown", function()
    app = new_app()
    app:run(function()
      local _, err = moongate.database("defualt"):query("SELECT 1"):try_await()
      assert.equal("database", err.code)
      assert.equal("there is no database 'defualt' (did you mean 'default'?); configured: default",
        err.message)
    end)
  end)

  it("is raised at the caller's line where it is misused", function()
    app = new_app()
    app:run(function()
      local db = moongate.database()
      local where
      local _, err = pcall(function()
        where = here() db:query(7)
      end)
      assert.matches(where .. ": the statement is wanted as a string, not number", err, 1, true)
      _, err = pcall(function()
        where = here() db.query("SELECT 1")
      end)
      assert.matches(where .. ": call it with a colon", err, 1, true)
      _, err = pcall(function()
        where = here() db:transaction("SELECT 1")
      end)
      assert.matches(where .. ": transaction: a function is wanted", err, 1, true)
      _, err = pcall(function()
        where = here() db:transaction(function() end, { readonyl = true })
      end)
      assert.matches(where .. ': transaction: "readonyl" is unknown', err, 1, true)
      _, err = pcall(function()
        where = here() db:transaction(function() end, "readonly")
      end)
      assert.matches(where .. ": transaction: a table is wanted", err, 1, true)
      _, err = pcall(function()
        where = here() db:transaction(function() end, { readonly = "no" })
      end)
      assert.matches(where .. ": transaction.readonly: a boolean is wanted", err, 1, true)
      _, err = pcall(function()
        where = here() db:qeury("SELECT 1")
      end)
      assert.matches(where .. ": a database has no 'qeury' (did you mean 'query'?)", err, 1, true)
      _, err = pcall(function()
        where = here() moongate.database(7)
      end)
      assert.matches(where .. ": database: a name is wanted", err, 1, true)
      _, err = pcall(function()
        where = here() moongate.blob(7)
      end)
      assert.matches(where .. ": blob: a string is wanted", err, 1, true)
    end)
  end)

  it("refuses statements while the app is loading", function()
    app = new_app()
    assert.has_error(function()
      test.app(function()
        moongate.database():query("SELECT 1")
      end)
    end)
  end)
end)

describe("db:transaction", function()
  local app, db
  before_each(function()
    app = new_app()
    db = moongate.database()
  end)
  after_each(function()
    app:assert_no_leaks()
  end)

  local function count()
    return app:run(function()
      return db:one("SELECT count(*) AS n FROM users"):await().n
    end)
  end

  it("commits when the function returns, and gives what that returns", function()
    local a, b = app:run(function()
      return db:transaction(function(tx)
        tx:query("INSERT INTO users (name) VALUES ('a')"):await()
        tx:query("INSERT INTO users (name) VALUES ('b')")
        return tx:one("SELECT count(*) AS n FROM users"):await().n, "two"
      end):await()
    end)
    assert.equal(2, a)
    assert.equal("two", b)
    assert.equal(2, count())
  end)

  it("awaits a Future that the function returns", function()
    local rows = app:run(function()
      return db:transaction(function(tx)
        return tx:query("INSERT INTO users (name) VALUES ('a')")
      end):await()
    end)
    assert.equal(1, rows.affected)
    assert.equal(1, count())
  end)

  it("rolls back when it raises", function()
    app:run(function()
      local _, err = db:transaction(function(tx)
        tx:query("INSERT INTO users (name) VALUES ('a')"):await()
        error("changed my mind")
      end):try_await()
      assert.equal("changed my mind", err.message)
    end)
    assert.equal(0, count())
  end)

  it("rolls back when a statement failed that nobody awaited", function()
    app:run(function()
      local _, err = db:transaction(function(tx)
        tx:query("INSERT INTO users (name) VALUES ('a')")
        tx:query("INSERT INTO users (name) VALUES ('a')")
      end):try_await()
      assert.equal("constraint", err.reason)
    end)
    assert.equal(0, count())
  end)

  it("goes on after a failure that was looked at", function()
    app:run(function()
      db:transaction(function(tx)
        tx:query("INSERT INTO users (name) VALUES ('a')"):await()
        tx:query("INSERT INTO users (name) VALUES ('a')"):try_await()
      end):await()
    end)
    assert.equal(1, count())
  end)

  it("rolls back when it is cancelled", function()
    app:run(function()
      local future = db:transaction(function(tx)
        tx:query("INSERT INTO users (name) VALUES ('a')"):await()
        moongate.sleep(10):await()
      end)
      moongate.sleep(1):await()
      future:cancel()
    end)
    assert.equal(0, count())
  end)

  it("does not commit what was cancelled, whatever the function makes of it", function()
    app:run(function()
      local future = db:transaction(function(tx)
        tx:query("INSERT INTO users (name) VALUES ('a')"):await()
        pcall(function()
          moongate.sleep(10):await()
        end)
        return true
      end)
      moongate.sleep(1):await()
      future:cancel()
      moongate.sleep(1):await()
    end)
    assert.equal(0, count())
  end)

  it("rolls back when nobody waits for it any more", function()
    app:run(function()
      local _, err = db:transaction(function(tx)
        tx:query("INSERT INTO users (name) VALUES ('a')"):await()
        moongate.sleep(10):await()
      end):timeout(1):try_await()
      assert.equal("timeout", err.code)
    end)
    assert.equal(0, count())
  end)

  it("is over behind its end", function()
    app:run(function()
      local kept
      db:transaction(function(tx)
        kept = tx
      end):await()
      local _, err = kept:query("SELECT 1"):try_await()
      assert.equal("closed", err.code)
      db:transaction(function(tx)
        kept = tx
        error("no")
      end):try_await()
      _, err = kept:query("SELECT 1"):try_await()
      assert.equal("closed", err.code)
    end)
  end)

  it("does not nest, and says so", function()
    app:run(function()
      local _, err = db:transaction(function(tx)
        tx:transaction(function() end)
      end):try_await()
      assert.matches("transactions do not nest", err.message, 1, true)
    end)
  end)

  it("refuses what would wait for its own end, at the caller's line", function()
    app:run(function()
      local calls = {
        function() db:query("SELECT 1") end,
        function() db:one("SELECT 1") end,
        function() db:rows("SELECT 1") end,
        function() db:transaction(function() end) end,
      }
      for _, call in ipairs(calls) do
        local _, err = db:transaction(call):try_await()
        assert.matches("inside a transaction statements go through it", err.message, 1, true)
        assert.matches("database_spec.lua:%d+$", err.where)
      end
      local _, err = db:transaction(function(tx)
        tx:rows("SELECT 1")
      end):try_await()
      assert.matches("come all at once", err.message, 1, true)
      local other = db:transaction(function()
        return moongate.spawn(function()
          return 7
        end):await()
      end)
      assert.equal(7, other:await())
    end)
  end)

  it("refuses to write if it is for reading only", function()
    app:run(function()
      local _, err = db:transaction(function(tx)
        tx:query("INSERT INTO users (name) VALUES ('a')"):await()
      end, { readonly = true }):try_await()
      assert.equal("database", err.code)
      assert.equal("readonly", err.reason)
    end)
    assert.equal(0, count())
  end)

  it("ends with the request that began it", function()
    app:close()
    app = new_app(function(a)
      a:get("/", { timeout = 2 }, function(ctx)
        ctx:transaction(function(tx)
          tx:query("INSERT INTO users (name) VALUES ('a')"):await()
          ctx:sleep(60):await()
        end):await()
      end)
      a:get("/count", function(ctx)
        return ctx:database():one("SELECT count(*) AS n FROM users"):await()
      end)
    end)
    assert.equal(504, app:get("/").status)
    assert.equal('{"n":0}', app:get("/count").body)
    local flight = app:start("GET", "/")
    app.clock:advance(1)
    flight:disconnect()
    app.clock:settle()
    assert.equal('{"n":0}', app:get("/count").body)
  end)

  it("works in on_error, when the request's own work is cancelled", function()
    app:close()
    app = new_app(function(a)
      a:get("/", function(ctx)
        ctx:fail(418, "tea")
      end)
      a:on_error(function(ctx, err)
        ctx:transaction(function(tx)
          tx:query("INSERT INTO users (name) VALUES ($1)", err.message):await()
        end):await()
        return ctx:database():one("SELECT name FROM users"):await().name
      end)
    end)
    assert.equal("tea", app:get("/").body)
  end)

  it("finishes behind an answer that did not await it", function()
    app:close()
    app = new_app(function(a)
      a:post("/", function(ctx)
        ctx:transaction(function(tx)
          tx:query("INSERT INTO users (name) VALUES ('a')"):await()
        end)
        return 202, "later"
      end)
    end)
    db = moongate.database()
    assert.equal(202, app:post("/").status)
    app.clock:settle()
    assert.equal(1, count())
  end)
end)

describe("db:rows", function()
  local app, db, path
  local function fill()
    db = moongate.database()
    app:run(function()
      db:query("WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 1050) "
        .. "INSERT INTO users (n) SELECT n FROM c"):await()
    end)
  end
  before_each(function()
    path = os.tmpname()
    app = new_app(nil, { database = "sqlite:" .. path })
    fill()
  end)
  after_each(function()
    app:assert_no_leaks()
    test.app(function() end):close() -- closes the database
    for _, ending in ipairs({ "", "-wal", "-shm" }) do
      os.remove(path .. ending)
    end
  end)

  -- Two loops over more rows than come at once, one inside the other.
  local function nest(depth)
    local n = 0
    for row in db:rows("SELECT n FROM users WHERE n <= 150 ORDER BY n") do
      n = n + 1
      if row.n == 1 then
        n = n + db:one("SELECT 1 AS one"):await().one
        if depth > 1 then
          n = n + nest(depth - 1)
        end
      end
    end
    return n
  end

  it("nests, however many do at once, and lets statements go on meanwhile", function()
    app:run(function()
      local all = {}
      for i = 1, 12 do
        all[i] = moongate.spawn(nest, 3)
      end
      all[13] = moongate.spawn(function()
        return db:transaction(function(tx)
          return tx:one("SELECT 453 AS n"):await().n
        end, { readonly = true }):await()
      end)
      for _, n in ipairs(moongate.Future.all(all):await()) do
        assert.equal(453, n)
      end
    end)
  end)

  it("is refused at once when all connections are held by rows that ask for more", function()
    app:run(function()
      local _, err = moongate.spawn(nest, 40):try_await()
      assert.equal("limit", err.reason)
      assert.matches("all connections are held by rows", err.message, 1, true)
      assert.matches("database_spec.lua:%d+$", err.where)
      assert.equal(151, nest(1))
    end)
  end)

  it("lets its loop write, and sees what was there when it began", function()
    app:run(function()
      local n = 0
      for row in db:rows("SELECT n FROM users") do
        db:query("INSERT INTO users (n) VALUES ($1)", 2000 + row.n):await()
        n = n + 1
      end
      assert.equal(1050, n)
      assert.equal(2100, db:one("SELECT count(*) AS n FROM users"):await().n)
    end)
  end)

  it("of a statement that writes has written when the first row comes", function()
    app:run(function()
      local rows = db:rows("DELETE FROM users WHERE n <= 500 RETURNING n")
      assert.is_number(rows().n)
      assert.equal(550, db:one("SELECT count(*) AS n FROM users"):await().n)
      db:query("UPDATE users SET n = n + 1"):await()
      assert.is_number(rows().n)
    end)
  end)

  it("does all that with a database in memory, whose rows come as a whole", function()
    app:assert_no_leaks()
    app = new_app()
    fill()
    app:run(function()
      assert.equal(453, nest(3))
      for row in db:rows("SELECT n FROM users ORDER BY n") do
        db:query("DELETE FROM users WHERE n = $1", row.n):await()
      end
      assert.equal(0, db:one("SELECT count(*) AS n FROM users"):await().n)
    end)
  end)

  it("gives every row in order, piece by piece", function()
    app:run(function()
      local n = 0
      for row in db:rows("SELECT n FROM users WHERE n > $1 ORDER BY n", 50) do
        n = n + 1
        assert.equal(50 + n, row.n)
      end
      assert.equal(1000, n)
      assert.is_nil(db:rows("SELECT 1 WHERE 0")())
    end)
  end)

  it("gives the connection back at its end, on close, and with the coroutine", function()
    app:run(function()
      for _ in db:rows("SELECT n FROM users") do -- luacheck: ignore 542
      end
      assert.equal(1050, db:one("SELECT count(*) AS n FROM users"):await().n)
      local rows = db:rows("SELECT n FROM users")
      assert.is_number(rows().n)
      rows:close()
      assert.is_nil(rows())
      assert.equal(1050, db:one("SELECT count(*) AS n FROM users"):await().n)
      moongate.spawn(function()
        for row in db:rows("SELECT n FROM users") do
          if row.n then
            break
          end
        end
      end):await()
      assert.equal(1050, db:one("SELECT count(*) AS n FROM users"):await().n)
      moongate.spawn(function()
        for _ in db:rows("SELECT n FROM users") do
          error("broken")
        end
      end):try_await()
      assert.equal(1050, db:one("SELECT count(*) AS n FROM users"):await().n)
    end)
  end)

  it("gives the connection back when nobody can read on", function()
    app:run(function()
      local function first()
        for row in db:rows("SELECT n FROM users") do
          if row.n then
            return row
          end
        end
      end
      for _ = 1, 3 do
        assert.equal(1, first().n)
        collectgarbage()
        collectgarbage()
        assert.equal(1050, db:one("SELECT count(*) AS n FROM users"):await().n)
      end
    end)
  end)

  it("raises a fault where the loop is", function()
    app:run(function()
      local ok, err = pcall(function()
        for _ in db:rows("SELECT nme FROM users") do -- luacheck: ignore 542
        end
      end)
      assert.is_false(ok)
      assert.equal("database", err.code)
      assert.matches("no such column: nme", err.message, 1, true)
      assert.matches("database_spec.lua:%d+$", err.where)
      assert.equal(1050, db:one("SELECT count(*) AS n FROM users"):await().n)
    end)
  end)

  it("ends with the request", function()
    app:close()
    app = new_app(function(a)
      a:get("/", { timeout = 2 }, function(ctx)
        for _ in ctx:database():rows("SELECT 1 UNION SELECT 2") do
          ctx:sleep(60):await()
        end
      end)
      a:get("/one", function(ctx)
        return ctx:database():one("SELECT 1 AS n"):await()
      end)
    end)
    assert.equal(504, app:get("/").status)
    assert.equal('{"n":1}', app:get("/one").body)
  end)

  it("says so if its coroutine has ended", function()
    app:run(function()
      local rows = db:rows("SELECT n FROM users")
      moongate.spawn(function()
        rows()
      end):await()
      local ok, err
      for _ = 1, 100 do
        ok, err = pcall(rows)
      end
      assert.is_false(ok)
      assert.equal("closed", err.code)
    end)
  end)
end)

describe("test.app with migrations", function()
  it("runs them before the app starts", function()
    local seen
    local app = test.app(function(a)
      a:on_start(function()
        seen = moongate.database():query("SELECT name, note FROM users ORDER BY id"):await()
      end)
    end, { database = "sqlite::memory:", migrations = "spec/fixture/migrations" })
    assert.same({ { name = "ada", note = "a;b!" }, { name = "grace", note = "a;b!" } }, seen)
    assert.equal(1, #app.calls) -- on_start's own
    app:assert_no_leaks()
  end)

  it("begins with an empty database each time", function()
    for _ = 1, 3 do
      local app = new_app()
      app:run(function()
        moongate.database():query("INSERT INTO users (id) VALUES (1)"):await()
      end)
      app:assert_no_leaks()
    end
  end)
end)
