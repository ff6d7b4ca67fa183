local moongate = require("moongate")
local sched = require("moongate.core.sched")
local test = require("moongate.test")

local app

before_each(function()
  app = test.app(function(a)
    a:get("/", function()
      return "served"
    end)
  end)
end)

after_each(function()
  app:assert_no_leaks()
end)

describe("the scheduler", function()
  it("runs what is ready in the order in which it got ready", function()
    local order = {}
    app:run(function()
      local tasks = {}
      for i = 1, 50 do
        tasks[i] = moongate.spawn(function()
          order[#order + 1] = i
        end)
      end
      moongate.Future.all(tasks):await()
    end)
    for i = 1, 50 do
      assert.equal(i, order[i])
    end
  end)

  it("does not starve sockets and timers while coroutines keep each other going", function()
    local going, ticks = true, 0
    moongate.spawn(function()
      while going do
        moongate.spawn(function()
          ticks = ticks + 1
        end):await()
      end
    end)
    local flight = app:start("GET", "/")
    assert.equal("served", flight:response().body)
    going = false
    assert.is_true(ticks > 0)
  end)

  it("goes on with 100,000 coroutines at once", function()
    local sum = app:run(function()
      local total = 0
      local gate = moongate.future()
      local tasks = {}
      for i = 1, 100000 do
        tasks[i] = moongate.spawn(function()
          local value = gate:await()
          total = total + value
        end)
      end
      moongate.sleep(1):await()
      gate:resolve(1)
      moongate.Future.all(tasks):await()
      return total
    end)
    assert.equal(100000, sum)
  end)

  it("survives a failure whose handling fails", function()
    sched.start_soon({ false, false }, function()
      error("first")
    end, function()
      error("second")
    end)
    app.clock:settle()
    assert.matches("a failure could not be handled: .*second", app.logs[1].message)
    assert.equal("served", app:get("/").body)
  end)

  it("uses a coroutine again", function()
    local seen, count = {}, 0
    app:run(function()
      for _ = 1, 100 do
        moongate.spawn(function()
          local co = coroutine.running()
          if not seen[co] then
            seen[co] = true
            count = count + 1
          end
        end):await()
      end
    end)
    assert.is_true(count <= 2, count .. " coroutines")
  end)
end)
