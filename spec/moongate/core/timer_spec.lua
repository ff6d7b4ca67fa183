local timers = require("moongate.core.timer")
local test = require("moongate.test")
local helpers = dofile("spec/fixture/helpers.lua")

local app

before_each(function()
  app = test.app(function() end)
end)

after_each(function()
  app:assert_no_leaks()
end)

describe("a bare timer", function()
  it("calls its function with the argument, once, in a coroutine that may await", function()
    local calls = {}
    timers.after(2, function(arg)
      calls[#calls + 1] = arg
      require("moongate").sleep(1):await()
      calls[#calls + 1] = "awaited"
    end, "later")
    app.clock:advance(1.9)
    assert.same({}, calls)
    app.clock:advance(60)
    assert.same({ "later", "awaited" }, calls)
  end)

  it("calls a function that fails again, if that is wanted", function()
    local calls = {}
    local function fail_twice(arg)
      calls[#calls + 1] = app.clock:elapsed() .. " " .. arg
      assert(#calls > 2, "not yet")
    end
    timers.after(2, fail_twice, "a", 5)
    app.clock:advance(60)
    assert.same({ "2 a", "7 a", "12 a" }, calls)
    timers.after(1, fail_twice, "b")
    calls = {}
    app.clock:advance(60)
    assert.same({ "61 b" }, calls)
    assert.equal(3, #app.logs)
  end)

  it("can be stopped, also when it is over or never was", function()
    local called = 0
    local timer = timers.after(1, function()
      called = called + 1
    end)
    timers.stop(timer)
    timers.stop(timer)
    timers.stop(nil)
    timers.stop(false)
    local over = timers.after(1, function()
      called = called + 10
    end)
    app.clock:advance(2)
    timers.stop(over)
    assert.equal(10, called)
  end)

  it("whose function fails is logged", function()
    timers.after(1, function()
      error("no time")
    end)
    app.clock:advance(1)
    assert.matches("a timer's function failed: .*timer_spec%.lua:%d+: no time", helpers.logged(app))
  end)
end)
