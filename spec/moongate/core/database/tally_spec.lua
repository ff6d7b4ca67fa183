local test = require("moongate.test")
local moongate = require("moongate")

local INTO = "COPY t FROM STDIN"

describe("a COPY that was never finished", function()
  local app, db, copied
  before_each(function()
    app = test.app(function() end)
    db = moongate.database()
    copied = false
    app:stub_database(INTO, function(bytes)
      copied = bytes
      return {}
    end)
  end)
  after_each(function()
    app:assert_no_leaks()
    assert.is_false(copied)
  end)

  local function logged()
    local list = {}
    for i, line in ipairs(app.logs) do
      list[i] = line.level .. ": " .. line.message
    end
    return table.concat(list, "\n")
  end

  it("is told when its coroutine has ended, with what was lost and where it began", function()
    app:run(function()
      local copy = db:copy_in(INTO)
      copy:row(1, "a"):row(2, "b")
      copy:write("3\tc\n")
    end)
    assert.matches("error: a COPY: .-tally_spec.lua:32: nothing of 2 rows and 4 bytes was stored: "
      .. "the copy was never finished", logged())
    assert.equal(1, #app.logs)
  end)

  it("is told when nobody can reach it any more", function()
    app:run(function()
      db:copy_in(INTO):row(1)
      collectgarbage()
      collectgarbage()
      db:copy_in(INTO):close() -- whatever is begun next looks for such
      db:query(INTO):try_await()
      assert.matches("nothing of 1 row was stored", logged())
      copied = false
    end)
    assert.equal(1, #app.logs)
  end)

  it("is not told of one that was closed, or in which nothing was written", function()
    app:run(function()
      db:copy_in(INTO):row(1):close()
      db:copy_in(INTO)
    end)
    assert.equal("", logged())
  end)

  it("is not told of where something else is", function()
    local _, err = pcall(app.run, app, function()
      db:copy_in(INTO):row(1)
      error("on purpose")
    end)
    assert.matches("on purpose", tostring(err))
    app:run(function()
      local ended = moongate.spawn(function()
        db:copy_in(INTO):row(1)
        moongate.sleep(9):await()
      end)
      moongate.sleep(1):await()
      ended:cancel()
    end)
    assert.equal("", logged())
  end)

  it("fails a transaction, and a part of one", function()
    app:run(function()
      local _, err = db:transaction(function(tx)
        tx:copy_in(INTO):row(1)
      end):try_await()
      assert.equal("database", err.code)
      assert.matches("nothing of 1 row was stored", err.message)
      assert.matches("tally_spec.lua:82$", err.where)
      db:transaction(function(tx)
        _, err = tx:transaction(function(part)
          part:copy_in(INTO):row(1)
        end):try_await()
      end):await()
      assert.matches("nothing of 1 row was stored", err.message)
      db:transaction(function(tx)
        tx:copy_in(INTO):row(1):close()
      end):await()
    end)
    assert.equal("", logged())
  end)
end)
