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
