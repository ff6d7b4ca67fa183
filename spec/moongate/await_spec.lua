local moongate = require("moongate")
local test = require("moongate.test")
local helpers = dofile("spec/fixture/helpers.lua")
local Future = moongate.Future
local here = helpers.here

local app

-- Runs `fn` in a coroutine of the app and returns what it returns.
local function run(fn)
  return app:run(fn)
end

before_each(function()
  app = test.app(function() end)
end)

after_each(function()
  app:close()
end)

describe("await", function()
  it("serves any number of coroutines on one Future", function()
    local sum = run(function()
      local f, total, waiters = moongate.future(), 0, {}
      for i = 1, 100 do
        waiters[i] = moongate.spawn(function()
          local value = f:await()
          total = total + value
        end)
      end
      moongate.sleep(1):await()
      f:resolve(2)
      Future.all(waiters):await()
      return total
    end)
    assert.equal(200, sum)
  end)

  it("does not yield for a settled Future", function()
    local order = run(function()
      local list = {}
      local other = moongate.spawn(function()
        list[#list + 1] = "other"
      end)
      local f = moongate.future()
      f:resolve()
      for _ = 1, 998 do
        f:await()
      end
      list[#list + 1] = "first"
      other:await()
      return list
    end)
    assert.same({ "first", "other" }, order)
  end)

  it("lets the loop turn at every 1,000th settled one in a row", function()
    local turns = run(function()
      local ticks, going = 0, true
      moongate.spawn(function()
        while going do
          ticks = ticks + 1
          moongate.sleep(0):await() -- a timer: it fires when the loop turns
        end
      end)
      local f = moongate.future()
      f:resolve()
      for _ = 1, 10000 do
        f:await()
      end
      going = false
      return ticks
    end)
    assert.is_true(turns >= 9, turns .. " turns")
  end)

  it("lets the loop turn for try_await too", function()
    local ran = run(function()
      local seen = false
      moongate.sleep(0):and_then(function()
        seen = true
      end)
      local f = moongate.future()
      f:reject("x")
      for _ = 1, 3000 do
        f:try_await()
      end
      return seen
    end)
    assert.is_true(ran)
  end)

  it("outside a coroutine is an error that says so", function()
    local f = moongate.future()
    local expected = "await_spec%.lua:%d+: await outside a coroutine: await in a handler, a call"
    assert.matches(expected, helpers.error_of(function()
      f:await()
    end))
    f:resolve(1)
    assert.matches(expected, helpers.error_of(function()
      f:try_await()
    end))
  end)
end)

describe("a traceback", function()
  it("is stitched over coroutines that await each other", function()
    local inner_line, outer_line
    local err = run(function()
      return (select(2, moongate.spawn(function()
        outer_line = here() + 5
        local child = moongate.spawn(function()
          inner_line = here() + 1
          error("deep inside")
        end)
        child:await()
      end):try_await()))
    end)
    assert.equal("deep inside", err.message)
    assert.matches("await_spec%.lua:" .. inner_line, err.traceback)
    assert.matches("awaited by.*await_spec%.lua:" .. outer_line, err.traceback)
  end)

  it("is stitched over callbacks", function()
    local callback_line, await_line
    local err = run(function()
      return (select(2, moongate.spawn(function()
        local f = moongate.sleep(1):and_then(function()
          callback_line = here() + 1
          error("in a callback")
        end)
        await_line = here() + 1
        f:await()
      end):try_await()))
    end)
    assert.matches("await_spec%.lua:" .. callback_line, err.traceback)
    assert.matches("awaited by.*await_spec%.lua:" .. await_line, err.traceback)
  end)
end)
