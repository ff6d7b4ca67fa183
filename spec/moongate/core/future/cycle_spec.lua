local moongate = require("moongate")
local test = require("moongate.test")
local Future = moongate.Future

local app, db

local function insert()
  return db:query("INSERT INTO t VALUES (1)")
end

local function count()
  return app:run(function()
    return db:one("SELECT count(*) AS n FROM t"):await().n
  end)
end

before_each(function()
  app = test.app(function() end, { database = "sqlite::memory:" })
  db = moongate.database()
  app:run(function()
    db:query("CREATE TABLE t (n)"):await()
  end)
end)

after_each(function()
  app:assert_no_leaks()
end)

describe("a transaction that awaits whoever waits for its end", function()
  local ways = {
    ["a coroutine that writes"] = function()
      moongate.spawn(function()
        insert():await()
      end):await()
    end,
    ["the same, begun before"] = function(tx)
      local child = moongate.spawn(function()
        insert():await()
      end)
      tx:query("SELECT 1"):await()
      moongate.sleep(1):await()
      child:await()
    end,
    ["what is derived from it"] = function()
      local child = moongate.spawn(function()
        insert():await()
      end)
      Future.all({ moongate.sleep(0), child:and_then(print) }):timeout(60):await()
    end,
    ["a coroutine of a coroutine"] = function()
      moongate.spawn(function()
        moongate.spawn(function()
          db:query(" with n(x) AS (SELECT 1) INSERT\nINTO t SELECT x FROM n"):await()
        end):await()
      end):await()
    end,
    ["a callback"] = function()
      moongate.sleep(0):and_then(function()
        moongate.spawn(function() insert():await() end):await()
      end):await()
    end,
  }
  for name, way in pairs(ways) do
    it("fails, and says where: " .. name, function()
      app:run(function()
        local line = debug.getinfo(1, "l").currentline + 1
        local _, err = db:transaction(way):try_await()
        assert.equal("database", err.code)
        assert.equal("busy", err.reason)
        assert.matches("cycle_spec%.lua:%d+$", err.where)
        assert.matches("this would wait for ever: the statement made at %S*cycle_spec%.lua:%d+ "
          .. "waits for the transaction begun at %S*cycle_spec%.lua:" .. line, err.message)
      end)
      assert.equal(0, count())
      assert.is_true(app.clock:elapsed() < 2)
    end)
  end

  it("goes on if it does not await it", function()
    app:run(function()
      local child
      db:transaction(function(tx)
        tx:query("INSERT INTO t VALUES (0)"):await()
        child = moongate.spawn(function()
          insert():await()
        end)
        moongate.sleep(1):await()
      end):await()
      child:await()
    end)
    assert.equal(2, count())
  end)
end)
