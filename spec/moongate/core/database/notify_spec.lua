local test = require("moongate.test")
local moongate = require("moongate")

describe("db:notify", function()
  local app, db
  before_each(function()
    app = test.app(function() end)
    db = moongate.database()
  end)
  after_each(function()
    app:assert_no_leaks()
  end)

  it("tells by a statement whose parts are parameters", function()
    local told = {}
    app:stub_database("SELECT pg_notify($1, $2)", function(channel, payload)
      told[#told + 1] = channel .. "=" .. payload
      return {}
    end)
    app:run(function()
      db:notify("a", "b"):await()
      db:notify("a"):await()
      db:transaction(function(tx)
        tx:notify("c", "d"):await()
      end):await()
    end)
    assert.same({ "a=b", "a=", "c=d" }, told)
  end)

  it("refuses what PostgreSQL would, at the caller's line", function()
    app:run(function()
      local function refused(channel, payload)
        return (select(2, pcall(function()
          db:notify(channel, payload)
        end)))
      end
      assert.matches("notify: a channel is wanted, a name of 1 to 63 bytes", refused(""))
      assert.matches("notify: a channel is wanted", refused(("x"):rep(64)))
      assert.matches("a payload is a text of up to 7999 bytes, not 8000 bytes",
        refused("c", ("x"):rep(8000)))
      assert.matches("notify_spec.lua:%d+: notify: a payload is a text of up to 7999 bytes, "
        .. "not table", refused("c", {}))
    end)
  end)
end)
