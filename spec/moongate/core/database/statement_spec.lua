--- What goes into a statement, what comes out, and what is told when it fails.
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
          assert.matches("statement_spec.lua:%d+: ", err)
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
    assert.matches("statement_spec.lua:%d+$", err.where)
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
      assert.matches(where .. ": the statement is wanted as a string, not 7", err, 1, true)
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
