local moongate = require("moongate")
local test = require("moongate.test")
local helpers = dofile("spec/fixture/helpers.lua")
local message_of = helpers.message_of

local app

describe("a stubbed database as an object", function()
  local db

  before_each(function()
    app = test.app(function(a)
      a:get("/", function(ctx)
        return ctx:database():query("SELECT a", 1):await()
      end)
    end)
    db = moongate.database()
    app:stub_database({ pattern = "^SELECT" }, function(id)
      return { { id = id }, { id = id + 1 } }
    end)
  end)
  after_each(function()
    app:assert_no_leaks()
  end)

  it("answers queries, with and without a request", function()
    app:run(function()
      assert.same({ { id = 5 }, { id = 6 } }, db:query("SELECT a", 5):await())
      assert.same({ id = 7 }, db:one("SELECT a", 7):await())
    end)
    assert.same({ { id = 1 }, { id = 2 } }, app:get("/"):json())
    app:assert_called("query_database", "SELECT a", 3)
  end)

  it("gives rows one by one", function()
    app:run(function()
      local ids = {}
      for row in db:rows("SELECT a", 1) do
        ids[#ids + 1] = row.id
      end
      assert.same({ 1, 2 }, ids)
      local rows = db:rows("SELECT a", 1)
      rows()
      rows:close()
      assert.is_nil(rows())
    end)
    app:assert_called("query_database", nil, 2)
  end)

  it("runs transactions, whose statements are stubbed one by one", function()
    app:stub_database("UPDATE", test.fail("database", "constraint"))
    app:run(function()
      assert.equal(3, db:transaction(function(tx)
        return tx:one("SELECT b", 3):await().id
      end):await())
      local _, err = db:transaction(function(tx)
        tx:query("UPDATE"):await()
      end):try_await()
      assert.equal("constraint", err.message)
    end)
    app:assert_called("query_database", "SELECT b", 1)
    app:assert_called("query_database", nil, 2)
  end)

  it("refuses what is not stubbed at the caller's line", function()
    app:run(function()
      for _, name in ipairs({ "query", "one" }) do
        local message = message_of(function()
          local f = db[name](db, "DELETE x", 1)
          return f
        end)
        assert.matches('stub_spec%.lua:%d+: query_database%("DELETE x", 1%) is not', message)
        assert.matches('app:stub_database%("DELETE x"', message)
      end
      local rows = db:rows("DELETE x")
      assert.matches("database_stub_spec%.lua:%d+: query_database.*is not", message_of(function()
        local row = rows()
        return row
      end))
      local _, err = db:transaction(function(tx)
        local f = tx:query("DELETE x")
        return f
      end):try_await()
      assert.matches("query_database%(\"DELETE x\"%) is not stubbed", err.message)
      assert.matches("database_stub_spec%.lua:%d+$", err.where)
    end)
  end)

  it("is the real one again behind its app", function()
    app:close()
    app = test.app(function(a)
      a:get("/", function(ctx)
        return { ctx:database():one("SELECT 7 AS id"):await().id }
      end)
    end, { database = "sqlite::memory:" })
    assert.same({ 7 }, app:get("/"):json())
    app:assert_called("query_database", "SELECT 7 AS id", 1)
  end)
end)
