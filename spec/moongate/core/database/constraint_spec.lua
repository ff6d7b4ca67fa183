local test = require("moongate.test")
local constraint = require("moongate.core.database.constraint")

local app

-- What a statement that breaks a constraint of SQLite tells.
local function broken(sql)
  local got
  app = test.app(function(a)
    a:get("/", function(ctx)
      ctx:query_database("CREATE TABLE teams (id INTEGER PRIMARY KEY)"):await()
      ctx:query_database("CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT NOT NULL, "
        .. "age INTEGER CONSTRAINT adult CHECK (age > 17), team INTEGER REFERENCES teams (id), "
        .. "UNIQUE (name, team))"):await()
      ctx:query_database("CREATE UNIQUE INDEX by_name ON users (lower(name)) "
        .. "WHERE team IS NULL"):await()
      ctx:query_database("INSERT INTO users VALUES (1, 'Ada', 36, NULL)"):await()
      ctx:query_database("INSERT INTO teams VALUES (7)"):await()
      ctx:query_database("INSERT INTO users VALUES (2, 'Bob', 36, 7)"):await()
      local _, err = ctx:query_database(sql):try_await()
      got = err
      return "x"
    end)
  end, { database = "sqlite::memory:" })
  app:get("/")
  return { got.reason, got.constraint, got.table, got.columns, got.constraint_name }
end

describe("a broken constraint of SQLite", function()
  local CASES = {
    unique = { "INSERT INTO users VALUES (3, 'Bob', 40, 7)",
      { "constraint", "unique", "users", { "name", "team" } } },
    ["a primary key"] = { "INSERT INTO users VALUES (1, 'X', 40, NULL)",
      { "constraint", "unique", "users", { "id" } } },
    ["an index"] = { "INSERT INTO users VALUES (3, 'ADA', 40, NULL)",
      { "constraint", "unique", nil, nil, "by_name" } },
    ["not null"] = { "INSERT INTO users VALUES (3, NULL, 40, NULL)",
      { "constraint", "not_null", "users", { "name" } } },
    check = { "INSERT INTO users VALUES (3, 'X', 3, NULL)",
      { "constraint", "check", nil, nil, "adult" } },
    ["a foreign key"] = { "INSERT INTO users VALUES (3, 'X', 30, 8)",
      { "constraint", "foreign_key" } },
  }
  for name, case in pairs(CASES) do
    it("tells its kind, table and columns: " .. name, function()
      assert.same(case[2], broken(case[1]))
    end)
  end
end)

describe("a broken constraint of PostgreSQL", function()
  local function completed(fields)
    fields.reason = "constraint"
    constraint.complete(fields, "duplicate key")
    return { fields.constraint, fields.columns }
  end

  it("tells its kind and columns from state and detail", function()
    assert.same({ "unique", { "name", "team" } },
      completed({ sqlstate = "23505", detail = "Key (name, team)=(Ada, 7) already exists." }))
    assert.same({ "foreign_key", { "team" } },
      completed({ sqlstate = "23503", detail = 'Key (team)=(8) is not present in table "teams".' }))
    assert.same({ "not_null", { "name" } }, completed({ sqlstate = "23502", column = "name" }))
    assert.same({ "check" }, completed({ sqlstate = "23514" }))
    assert.same({ "exclusion" }, completed({ sqlstate = "23P01" }))
  end)
end)

describe("any other fault of a database", function()
  it("is left as it is", function()
    local fields = { reason = "syntax" }
    constraint.complete(fields, "UNIQUE constraint failed: users.name")
    assert.same({ reason = "syntax" }, fields)
  end)
end)
