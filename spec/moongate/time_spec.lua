local moongate = require("moongate")
local test = require("moongate.test")
local helpers = dofile("spec/fixture/helpers.lua")
local message_of = helpers.message_of

local app

before_each(function()
  app = test.app(function() end)
end)

after_each(function()
  app:assert_no_leaks()
end)

describe("moongate.sleep", function()
  it("waits, and never too short", function()
    for _, seconds in ipairs({ 0, 0.001, 0.0015, 1, 90000 }) do
      local start = app.clock:elapsed()
      app:run(function()
        assert.equal(0, select("#", moongate.sleep(seconds):await()))
      end)
      local took = app.clock:elapsed() - start
      assert.is_true(took >= seconds - 1e-6 and took < seconds + 0.002, seconds .. ": " .. took)
    end
  end)

  it("of several ends in the order of time", function()
    local order = {}
    for _, seconds in ipairs({ 3, 1, 2 }) do
      moongate.sleep(seconds):and_then(function()
        order[#order + 1] = seconds
      end)
    end
    app.clock:advance(5)
    assert.same({ 1, 2, 3 }, order)
  end)

  it("wants seconds, at the caller's line", function()
    for _, bad in ipairs({ -1, "1", 0 / 0, 1 / 0 }) do
      assert.matches("time_spec%.lua:%d+: sleep: seconds are wanted", message_of(function()
        local f = moongate.sleep(bad)
        return f
      end))
    end
  end)
end)

describe("moongate.spawn", function()
  it("runs in a coroutine of its own and gives what it returns", function()
    app:run(function()
      local order = {}
      local f = moongate.spawn(function(a, b)
        order[#order + 1] = "spawned"
        return a, b
      end, 1, nil)
      order[#order + 1] = "spawner"
      assert.equal(2, select("#", f:await()))
      assert.same({ "spawner", "spawned" }, order)
    end)
  end)

  it("outlives the request that called it", function()
    app:close()
    local done
    app = test.app(function(a)
      a:get("/", { timeout = 1 }, function()
        moongate.spawn(function()
          moongate.sleep(100):await()
          done = true
        end)
        return "ok"
      end)
    end)
    app:get("/")
    app.clock:advance(200)
    assert.is_true(done)
  end)

  it("wants a function", function()
    assert.matches("time_spec%.lua:%d+: spawn: a function is wanted, not nil", message_of(function()
      local f = moongate.spawn(nil)
      return f
    end))
  end)
end)

describe("moongate.after", function()
  it("calls the function later, in a coroutine, and gives what it returns", function()
    assert.equal("later", app:run(function()
      return moongate.after(5, function()
        moongate.sleep(1):await()
        return "later"
      end):await()
    end))
    assert.near(6, app.clock:elapsed(), 0.001)
  end)

  it("is prevented by cancel", function()
    local called = false
    local f = moongate.after(5, function()
      called = true
    end)
    app.clock:advance(1)
    f:cancel()
    app.clock:advance(10)
    assert.is_false(called)
  end)

  it("outlives the request that called it", function()
    app:close()
    local done
    app = test.app(function(a)
      a:get("/", { timeout = 1 }, function()
        moongate.after(100, function()
          done = true
        end)
        return "ok"
      end)
    end)
    app:get("/")
    app.clock:advance(200)
    assert.is_true(done)
  end)

  it("checks what it is given", function()
    assert.matches("time_spec%.lua:%d+: after: seconds are wanted", message_of(function()
      local f = moongate.after("1", print)
      return f
    end))
    assert.matches("time_spec%.lua:%d+: after: a function is wanted", message_of(function()
      local f = moongate.after(1)
      return f
    end))
  end)
end)

describe("app:every", function()
  local runs

  local function every(seconds, fn)
    app:close()
    runs = {}
    app = test.app(function(a)
      a:every("job", seconds, function()
        runs[#runs + 1] = app.clock:elapsed()
        if fn then
          fn()
        end
      end)
    end)
  end

  it("runs every so many seconds, the first time after the first of them", function()
    every(10)
    app.clock:advance(35)
    assert.same({ 10, 20, 30 }, runs)
  end)

  it("ends a run before the next tick", function()
    every(10, function()
      moongate.sleep(15):await()
    end)
    app.clock:advance(61)
    assert.same({ 10, 35, 60 }, runs)
    app.clock:advance(15)
  end)

  it("goes on after a failure, which is logged with the job's name", function()
    every(10, function()
      error("job broken")
    end)
    app.clock:advance(25)
    assert.equal(2, #runs)
    assert.equal(2, #app.logs)
    assert.matches("job job failed: .*job broken", app.logs[1].message)
  end)

  it("ends with the app", function()
    every(10)
    app:stop()
    app.clock:advance(60)
    assert.same({}, runs)
  end)
end)

describe("app:every with a cron expression", function()
  local function every(when, options, fn)
    app.clock:advance(3600 - moongate.now() % 3600) -- to a full hour of UTC
    app:close()
    local runs = {}
    app = test.app(function(a)
      a:every("job", when, options, function()
        runs[#runs + 1] = os.date("!%H:%M:%S", math.floor(moongate.now()))
        if fn then
          fn(#runs)
        end
      end)
    end)
    return runs
  end

  local function hour(text)
    return (text:gsub("^%d%d", "hh"))
  end

  it("ticks in those minutes of UTC", function()
    local runs = every("10,20-30/5 * * * *", {})
    app.clock:advance(3599)
    for i, at in ipairs({ "hh:10:00", "hh:20:00", "hh:25:00", "hh:30:00" }) do
      assert.equal(at, hour(runs[i]))
    end
    assert.equal(4, #runs)
  end)

  it("never begins before the last run has ended; ticks meanwhile are left out", function()
    local runs = every("*/10 * * * *", {}, function(n)
      if n == 1 then
        moongate.sleep(1500):await() -- from hh:10 to hh:35
      end
    end)
    app.clock:advance(3599)
    assert.same({ "hh:10:00", "hh:40:00", "hh:50:00" },
      { hour(runs[1]), hour(runs[2]), hour(runs[3]) })
  end)

  it("ticks up to jitter later", function()
    local late = {}
    for _ = 1, 5 do
      local runs = every("30 * * * *", { jitter = 600 })
      app.clock:advance(1800 - 1)
      assert.equal(0, #runs)
      app.clock:advance(601)
      assert.equal(1, #runs)
      late[runs[1]:sub(4)] = true
    end
    assert.is_truthy(next(late, next(late))) -- not always the same
  end)
end)

describe("app:every with jitter", function()
  it("ticks up to that much later than its seconds", function()
    local runs = {}
    app:close()
    app = test.app(function(a)
      a:every("job", 10, { jitter = 5 }, function()
        runs[#runs + 1] = app.clock:elapsed()
      end)
    end)
    app.clock:advance(100)
    local last = 0
    for _, at in ipairs(runs) do
      assert.is_true(at - last >= 10 and at - last <= 15.001)
      last = at
    end
    assert.is_true(#runs >= 6 and #runs <= 10)
  end)
end)

describe("a run of app:every", function()
  local native = require("moongate.native")
  local job_begin, job_end = native.job_begin, native.job_end
  local told, allowed

  before_each(function()
    told, allowed = {}, true
    native.job_begin = function(name, each_worker)
      told[#told + 1] = "begin " .. name .. (each_worker and " in each worker" or "")
      return allowed
    end
    native.job_end = function(name)
      told[#told + 1] = "end " .. name
    end
  end)

  after_each(function()
    native.job_begin, native.job_end = job_begin, job_end
  end)

  local function every(options, fn)
    app:close()
    app = test.app(function(a)
      a:every("job", 10, options, fn)
    end)
  end

  it("is asked for, and its end told", function()
    every({}, function()
      told[#told + 1] = "run"
      moongate.sleep(1):await()
    end)
    app.clock:advance(10.5)
    assert.same({ "begin job", "run" }, told)
    app.clock:advance(1)
    assert.same({ "begin job", "run", "end job" }, told)
  end)

  it("in each worker is asked for as such", function()
    every({ each_worker = true }, function() end)
    app.clock:advance(10)
    assert.same({ "begin job in each worker", "end job" }, told)
  end)

  it("is left out in silence while the job runs elsewhere", function()
    local runs = 0
    every({}, function()
      runs = runs + 1
    end)
    allowed = false
    app.clock:advance(20)
    assert.same({ 0, { "begin job", "begin job" }, 0 }, { runs, told, #app.logs })
    allowed = true
    app.clock:advance(10)
    assert.equal(1, runs)
  end)

  it("ends for others too if it fails", function()
    every({}, function()
      moongate.sleep(1):await()
      error("job broken")
    end)
    app.clock:advance(11)
    assert.same({ "begin job", "end job" }, told)
  end)

  it("ticks on if its own coroutine is made to fail", function()
    local job_wait, runs = native.job_wait, 0
    every({}, function()
      runs = runs + 1
    end)
    app.clock:advance(1)
    native.job_wait = function()
      native.job_wait = job_wait
      error("not enough memory")
    end
    app.clock:advance(9)
    assert.equal(1, runs)
    assert.matches("job job was interrupted: .*not enough memory", app.logs[1].message)
    app.clock:advance(11)
    assert.equal(2, runs)
  end)

  it("waits as long as it is told", function()
    local job_wait, runs = native.job_wait, 0
    native.job_wait = function(name, seconds)
      assert.same({ "job", 10 }, { name, seconds })
      return 3
    end
    every({}, function()
      runs = runs + 1
    end)
    app.clock:advance(3)
    native.job_wait = job_wait
    assert.equal(1, runs)
  end)

  it("ends for others too if it is cancelled", function()
    every({}, function()
      moongate.sleep(1000):await()
    end)
    app.clock:advance(11)
    app:close()
    assert.same({ "begin job", "end job" }, told)
  end)
end)

describe("the clocks", function()
  it("are virtual in specs", function()
    local now, monotonic = moongate.now(), moongate.monotonic()
    app.clock:advance(1000)
    assert.near(1000, moongate.now() - now, 0.01)
    assert.near(1000, moongate.monotonic() - monotonic, 0.001)
  end)

  it("begin at the time of day", function()
    local since_loaded = 3600 -- seconds, at most: other specs may have run before
    assert.near(os.time(), moongate.now() - moongate.monotonic(), since_loaded)
  end)
end)
