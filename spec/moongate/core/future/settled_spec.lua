local test = require("moongate.test")
local settled = require("moongate.core.future.settled")
local helpers = dofile("spec/fixture/helpers.lua")

local app

before_each(function()
  app = test.app(function(a)
    a:get("/", function()
      return ""
    end)
  end)
end)

after_each(function()
  app:assert_no_leaks()
end)

describe("a Future that is settled from the start", function()
  it("has its value, or its error with the line that asked", function()
    app:run(function()
      local scope = require("moongate.future")._current_scope()
      local good = settled.resolved(scope, 7, 1)
      assert.equal("resolved", good:state())
      assert.equal(7, good:await())
      local bad = settled.rejected(scope, "limit", "too much", 1, { status = 413 })
      local line = helpers.here() - 1
      local _, err = bad:try_await()
      assert.equal("limit", err.code)
      assert.equal("too much", err.message)
      assert.equal(413, err.status)
      assert.matches("settled_spec%.lua:" .. line .. "$", err.where)
    end)
  end)

  it("is cancelled in a scope that is over", function()
    local state, why
    app:close()
    app = test.app(function(a)
      a:get("/", function(ctx)
        ctx:on_close(function()
          local _, err = settled.abandoned(ctx, 1):try_await()
          why = err.code
          state = "seen"
        end)
        ctx:sleep(10):await()
      end)
    end)
    app:start("GET", "/"):disconnect(1)
    assert.equal("seen", state)
    assert.equal("cancelled", why)
  end)
end)
