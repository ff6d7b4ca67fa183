local moongate = require("moongate")
local test = require("moongate.test")

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
      assert.matches("row_stream_spec.lua:%d+$", err.where)
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
      assert.matches("row_stream_spec.lua:%d+$", err.where)
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
