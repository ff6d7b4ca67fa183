--- What the API of databases means on every engine. `moongate test` runs it on SQLite in memory;
--- tests/integration/postgres_spec.lua runs it on PostgreSQL: MOONGATE_TEST_DATABASE is the URL.
local moongate = require("moongate")
local test = require("moongate.test")
local json = moongate.json

local URL = os.getenv("MOONGATE_TEST_DATABASE") or "sqlite::memory:"
local IS_POSTGRES = URL:find("^postgres") ~= nil
local BYTES = IS_POSTGRES and "BYTEA" or "BLOB"

describe("a database", function()
  local app, db

  local function run(fn)
    return app:run(fn)
  end

  local function begin(declare)
    app = test.app(declare, { database = URL })
    db = moongate.database()
    run(function()
      db:query("DROP TABLE IF EXISTS pets"):await()
      db:query("DROP TABLE IF EXISTS people"):await()
      db:query("CREATE TABLE people (id BIGINT PRIMARY KEY, name TEXT NOT NULL, born BIGINT, "
        .. "is_here BOOLEAN, picture " .. BYTES .. ", weight DOUBLE PRECISION, "
        .. "CONSTRAINT named UNIQUE (name, born), CONSTRAINT sane CHECK (weight > 0))"):await()
      db:query("CREATE TABLE pets (id BIGINT PRIMARY KEY, "
        .. "owner BIGINT REFERENCES people (id))"):await()
    end)
  end

  before_each(function()
    begin(function() end)
  end)
  after_each(function()
    app:assert_no_leaks()
    app:close()
  end)

  local function add(id, name)
    return db:query("INSERT INTO people (id, name) VALUES ($1, $2)", id, name)
  end

  local function count()
    return db:one("SELECT count(*) AS n FROM people"):await().n
  end

  it("gives back values of every kind as they were", function()
    run(function()
      local big = json.decode("9223372036854775807")
      db:query("INSERT INTO people VALUES ($1, $2, $3, $4, $5, $6)", big, "Zoë \\ \"'$1",
        -9007199254740993LL, true, moongate.blob("\0\255\\x"), 0.1):await()
      db:query("INSERT INTO people VALUES (1, '', NULL, $1, $2, $3)", false, nil,
        json.null):await()
      local rows = db:query("SELECT * FROM people ORDER BY id"):await()
      assert.equal(2, #rows)
      local empty, full = rows[1], rows[2]
      assert.is_true(full.id == 9223372036854775807LL)
      assert.equal("Zoë \\ \"'$1", full.name)
      assert.is_true(full.born == -9007199254740993LL)
      assert.is_true(full.is_here)
      assert.equal("\0\255\\x", full.picture)
      assert.equal(0.1, full.weight)
      assert.equal(1, empty.id)
      assert.equal("", empty.name)
      assert.equal(json.null, empty.born)
      assert.is_false(empty.is_here)
      assert.equal(json.null, empty.picture)
      assert.equal(json.null, empty.weight)
    end)
  end)

  it("refuses what is no value, and names the parameter", function()
    run(function()
      local function refused(value)
        local ok, err = pcall(function()
          db:query("SELECT $1, $2", 1, value)
        end)
        assert.is_false(ok)
        assert.matches("engines_spec.lua:%d+: parameter $2: ", err)
        return err
      end
      assert.matches("moongate.json.encode", refused({}), 1, true)
      assert.matches("nan is no value", refused(0 / 0), 1, true)
      assert.matches("a function is no value", refused(print), 1, true)
      assert.matches("beyond 63 bits", refused(18446744073709551615ULL), 1, true)
    end)
  end)

  it("gives arrays of rows in JSON, even empty ones", function()
    run(function()
      assert.equal("[]", json.encode(db:query("SELECT * FROM people"):await()))
      assert.equal('[{"n":1}]', json.encode(db:query("SELECT 1 AS n"):await()))
    end)
  end)

  it("tells how many rows were changed, and returns them", function()
    run(function()
      assert.equal(1, add(1, "Ada"):await().affected)
      add(2, "Alan"):await()
      local rows = db:query("UPDATE people SET born = $1 WHERE id > $2", 1912, 0):await()
      assert.equal(2, rows.affected)
      assert.equal(0, #rows)
      rows = db:query("DELETE FROM people WHERE id = 2 RETURNING name, born"):await()
      assert.equal(1, rows.affected)
      assert.same({ name = "Alan", born = 1912 }, rows[1])
      assert.equal(0, db:query("SELECT * FROM people"):await().affected)
    end)
  end)

  it("gives the first row or nothing", function()
    run(function()
      add(1, "Ada"):await()
      assert.equal("Ada", db:one("SELECT name FROM people"):await().name)
      assert.is_nil(db:one("SELECT name FROM people WHERE id = 7"):await())
    end)
  end)

  it("runs statements beside each other, and one's failure is none of the others'", function()
    run(function()
      local good, bad = {}, {}
      for i = 1, 20 do
        good[i], bad[i] = add(i, "name " .. i), db:query("SELECT wrong")
      end
      for i = 1, 20 do
        assert.equal(1, good[i]:await().affected)
        local _, err = bad[i]:try_await()
        assert.equal("database", err.code)
        assert.equal("SELECT wrong", err.statement)
      end
      assert.equal(20, count())
    end)
  end)

  -- --- faults ---

  local function fault(sql, ...)
    local rows, err = db:query(sql, ...):try_await()
    assert.is_nil(rows)
    assert.equal("database", err.code)
    assert.matches("engines_spec.lua:%d+$", err.where)
    return err
  end

  it("tells constraints apart alike", function()
    run(function()
      add(1, "Ada"):await()
      local err = fault("INSERT INTO people (id, name) VALUES (1, 'again')")
      assert.equal("constraint", err.reason)
      assert.equal("unique", err.constraint)
      assert.equal("id", err.columns[1])
      assert.equal("people", err.table)
      err = fault("INSERT INTO people (id) VALUES (2)")
      assert.equal("not_null", err.constraint)
      assert.equal("name", err.columns[1])
      err = fault("INSERT INTO people (id, name, weight) VALUES (2, 'x', -1)")
      assert.equal("check", err.constraint)
      assert.equal("sane", err.constraint_name)
      assert.equal("foreign_key", fault("INSERT INTO pets VALUES (1, 77)").constraint)
    end)
  end)

  it("says what is wrong with a statement", function()
    run(function()
      assert.equal("syntax", fault("SELEC 1").reason)
      assert.matches("missing", fault("SELECT * FROM missing").message)
      fault("")
      fault("SELECT 1; SELECT 2")
      assert.matches("NUL byte", fault("SELECT \0").message)
      for _, sql in ipairs({ "BEGIN", "COMMIT", "SAVEPOINT x" }) do
        assert.matches("use db:transaction%(fn%)", fault(sql).message)
      end
      assert.equal(0, count())
    end)
  end)

  -- --- rows one by one ---

  it("reads rows one by one, and loops nest", function()
    run(function()
      local added, n = {}, 0
      for i = 1, 250 do
        added[i] = add(i, "name " .. i)
      end
      moongate.Future.all(added):await()
      for row in db:rows("SELECT id FROM people WHERE id > $1 ORDER BY id", 0) do
        n = n + 1
        assert.equal(n, row.id)
        if n == 1 then
          local inner = db:rows("SELECT id FROM people ORDER BY id DESC")
          assert.equal(250, inner().id)
          inner:close()
        end
      end
      assert.equal(250, n)
      assert.has_error(function()
        for _ in db:rows("SELECT wrong FROM people") do
          n = n + 1
        end
      end)
    end)
  end)

  -- --- transactions ---

  it("keeps a transaction wholly or not at all", function()
    run(function()
      db:transaction(function(tx)
        tx:query("INSERT INTO people (id, name) VALUES (1, 'Ada')"):await()
        assert.equal(1, tx:one("SELECT count(*) AS n FROM people"):await().n)
      end):await()
      assert.equal(1, count())
      local _, err = db:transaction(function(tx)
        tx:query("INSERT INTO people (id, name) VALUES (2, 'Alan')"):await()
        error("no")
      end):try_await()
      assert.equal("no", err.message)
      _, err = db:transaction(function(tx)
        tx:query("INSERT INTO people (id, name) VALUES (3, 'Grace')"):await()
        tx:query("INSERT INTO people (id, name) VALUES (1, 'twice')")
      end):try_await()
      assert.equal("unique", err.constraint)
      assert.equal(1, count())
    end)
  end)

  it("undoes a part of a transaction alone", function()
    run(function()
      db:transaction(function(tx)
        tx:query("INSERT INTO people (id, name) VALUES (1, 'Ada')"):await()
        local _, err = tx:transaction(function(part)
          part:query("INSERT INTO people (id, name) VALUES (2, 'Alan')"):await()
          part:query("INSERT INTO people (id, name) VALUES (1, 'twice')"):await()
        end):try_await()
        assert.equal("unique", err.constraint)
        tx:transaction(function(part)
          part:query("INSERT INTO people (id, name) VALUES (3, 'Grace')"):await()
        end):await()
      end):await()
      local rows = db:query("SELECT id FROM people ORDER BY id"):await()
      assert.same({ 1, 3 }, { rows[1].id, rows[2].id })
      assert.equal(2, #rows)
    end)
  end)

  it("refuses to write in a transaction that only reads", function()
    run(function()
      for _, options in ipairs({ { read_only = true },
        { read_only = true, isolation = "serializable", deferrable = true } }) do
        local _, err = db:transaction(function(tx)
          tx:query("INSERT INTO people (id, name) VALUES (1, 'Ada')"):await()
        end, options):try_await()
        assert.equal("readonly", err.reason)
      end
      assert.equal(0, count())
    end)
  end)

  it("rolls back what is cancelled, and its connection serves others", function()
    run(function()
      for _ = 1, 3 do
        local future = db:transaction(function(tx)
          tx:query("INSERT INTO people (id, name) VALUES (1, 'Ada')"):await()
          moongate.sleep(3600):await()
        end)
        moongate.sleep(1):await()
        future:cancel()
        assert.equal(0, count())
      end
    end)
  end)

  it("rolls back when the request's client leaves or its deadline passes", function()
    app:close()
    begin(function(a)
      a:post("/", { timeout = 2 }, function(ctx)
        ctx:transaction(function(tx)
          tx:query("INSERT INTO people (id, name) VALUES (1, 'Ada')"):await()
          ctx:sleep(60):await()
        end):await()
      end)
      a:get("/", function(ctx)
        return ctx:database():one("SELECT count(*) AS n FROM people"):await()
      end)
    end)
    assert.equal(504, app:post("/").status)
    assert.equal('{"n":0}', app:get("/").body)
    local flight = app:start("POST", "/")
    app.clock:advance(1)
    flight:disconnect()
    app.clock:settle()
    assert.equal('{"n":0}', app:get("/").body)
  end)
end)
