local moongate = require("moongate")
local test = require("moongate.test")
local helpers = dofile("spec/fixture/helpers.lua")
local error_of = helpers.error_of
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

describe("a Future", function()
  it("is moongate.Future, and what require('moongate.future') returns", function()
    assert.equal(Future, require("moongate.future"))
    assert.equal(Future, getmetatable(moongate.future()))
  end)

  it("tells its state", function()
    local f, g = moongate.future(), moongate.future()
    assert.equal("pending", f:state())
    f:resolve(1)
    g:reject("no")
    assert.equal("resolved", f:state())
    assert.equal("rejected", g:state())
    g:catch(function() end)
  end)

  it("settles once and ignores a second settle", function()
    run(function()
      local f = moongate.future()
      f:resolve(1)
      f:resolve(2)
      f:reject("late")
      f:cancel()
      assert.equal(1, f:await())
      local g = moongate.future()
      g:reject("first")
      g:resolve("late")
      local _, err = g:try_await()
      assert.equal("first", err.message)
    end)
  end)

  it("carries any number of values, nil among them", function()
    run(function()
      local f = moongate.future()
      f:resolve(nil, 2, nil)
      assert.same({ n = 3, nil, 2, nil }, { n = select("#", f:await()), f:await() })
      local none = moongate.future()
      none:resolve()
      assert.equal(0, select("#", none:await()))
      local one = moongate.future()
      one:resolve(nil)
      assert.equal(1, select("#", one:await()))
    end)
  end)

  it("adopts a Future that it is resolved with", function()
    run(function()
      local outer, inner = moongate.future(), moongate.future()
      outer:resolve(inner)
      assert.equal("pending", outer:state())
      outer:resolve("too late")
      inner:resolve("value")
      assert.equal("value", outer:await())
      local bad = moongate.future()
      local rejected = moongate.future()
      rejected:reject("why")
      bad:resolve(rejected)
      local _, err = bad:try_await()
      assert.equal("why", err.message)
    end)
  end)

  it("is rejected when it is resolved with itself", function()
    run(function()
      local f = moongate.future()
      f:resolve(f)
      local _, err = f:try_await()
      assert.matches("cannot be resolved with itself", err.message)
    end)
  end)
end)

describe("callbacks", function()
  it("run in the order of registration, each exactly once", function()
    local seen = {}
    run(function()
      local f = moongate.future()
      for i = 1, 3 do
        f:and_then(function(v)
          seen[#seen + 1] = v .. i
        end)
      end
      f:resolve("v")
      f:resolve("again")
      f:and_then(function(v)
        seen[#seen + 1] = v .. "late"
      end):await()
    end)
    app.clock:settle()
    assert.same({ "v1", "v2", "v3", "vlate" }, seen)
  end)

  it("keep that order among awaiters and callbacks", function()
    local seen = {}
    run(function()
      local f = moongate.future()
      f:and_then(function()
        seen[#seen + 1] = "callback"
      end)
      local waiter = moongate.spawn(function()
        f:await()
        seen[#seen + 1] = "awaiter"
      end)
      moongate.sleep(0):await()
      local last = f:and_then(function()
        seen[#seen + 1] = "last"
      end)
      f:resolve()
      Future.all({ waiter, last }):await()
    end)
    assert.same({ "callback", "awaiter", "last" }, seen)
  end)

  it("never run inside the call that settles", function()
    run(function()
      local f, order = moongate.future(), {}
      local done = f:and_then(function()
        order[#order + 1] = "callback"
      end)
      f:resolve()
      order[#order + 1] = "settled"
      done:await()
      assert.same({ "settled", "callback" }, order)
    end)
  end)

  it("never run inside the call that registers them on a settled one", function()
    run(function()
      local f, order = moongate.future(), {}
      f:resolve()
      local done = f:finally(function()
        order[#order + 1] = "callback"
      end)
      order[#order + 1] = "registered"
      done:await()
      assert.same({ "registered", "callback" }, order)
    end)
  end)

  it("run in a coroutine and may await", function()
    local took = run(function()
      local start = moongate.monotonic()
      local f = moongate.future()
      local g = f:and_then(function(v)
        moongate.sleep(1):await()
        return v + 1
      end)
      f:resolve(1)
      assert.equal(2, g:await())
      return moongate.monotonic() - start
    end)
    assert.near(1, took, 0.001)
  end)

  it("that raise reject only their own derived Future", function()
    run(function()
      local f = moongate.future()
      local bad = f:and_then(function()
        error("broken")
      end)
      local good = f:and_then(function(v)
        return v
      end)
      f:resolve("fine")
      local _, err = bad:try_await()
      assert.equal("broken", err.message)
      assert.equal("fine", good:await())
      assert.equal("fine", f:await())
    end)
  end)

  it("receive all values and may return several", function()
    run(function()
      local f = moongate.future()
      f:resolve(1, 2)
      local a, b, c = f:and_then(function(x, y)
        return x, y, x + y
      end):await()
      assert.same({ 1, 2, 3 }, { a, b, c })
    end)
  end)

  it("that return a Future have it adopted", function()
    run(function()
      local f = moongate.future()
      f:resolve(20)
      local g = f:and_then(function(v)
        return moongate.sleep(1):and_then(function()
          return v + 1
        end)
      end)
      assert.equal(21, g:await())
    end)
  end)

  it("of and_then are passed over by what they do not handle", function()
    run(function()
      local f = moongate.future()
      f:resolve("v")
      assert.equal("v", f:and_then(nil, error):await())
      assert.equal("v", f:catch(error):await())
      local g = moongate.future()
      g:reject("e")
      local _, err = g:and_then(error):try_await()
      assert.equal("e", err.message)
    end)
  end)

  it("of finally see nothing, change nothing, and run in both cases", function()
    run(function()
      local arguments
      local f, g = moongate.future(), moongate.future()
      f:resolve("v")
      g:reject("e")
      assert.equal("v", f:finally(function(...)
        arguments = select("#", ...)
        return "ignored"
      end):await())
      local _, err = g:finally(function() end):try_await()
      assert.equal("e", err.message)
      assert.equal(0, arguments)
    end)
  end)

  it("of finally that raise win over the value and over the error", function()
    run(function()
      for _, settle in ipairs({ "resolve", "reject" }) do
        local f = moongate.future()
        f[settle](f, "x")
        local _, err = f:finally(function()
          error("cleanup failed")
        end):try_await()
        assert.equal("cleanup failed", err.message)
      end
    end)
  end)

  it("of finally run though their derived Future was cancelled", function()
    local ran = 0
    run(function()
      local f = moongate.sleep(1)
      f:finally(function()
        ran = ran + 1
      end):cancel()
      moongate.sleep(2):await()
    end)
    assert.equal(1, ran)
  end)

  it("must be functions", function()
    local f = moongate.future()
    for _, name in ipairs({ "and_then", "catch", "finally" }) do
      assert.matches("future_spec%.lua:%d+: " .. name .. ': a function is wanted, not "text"',
        error_of(function()
          f[name](f, "text")
        end))
    end
    assert.matches("catch: a function is wanted, not nil", error_of(function()
      f:catch(nil)
    end))
  end)
end)

describe("a rejection", function()
  it("reaches and_then's second argument", function()
    run(function()
      local f = moongate.future()
      f:reject("lost")
      local got = f:and_then(error, function(err)
        return "saw " .. err.message
      end):await()
      assert.equal("saw lost", got)
    end)
  end)

  it("reaches a callback that was added after it", function()
    run(function()
      local f = moongate.future()
      f:reject("early")
      moongate.sleep(1):await()
      assert.equal("early", f:catch(function(err)
        return err.message
      end):await())
    end)
  end)

  it("reaches every awaiter", function()
    local seen = run(function()
      local f, list, waiters = moongate.future(), {}, {}
      for i = 1, 3 do
        waiters[i] = moongate.spawn(function()
          local _, err = f:try_await()
          list[i] = err.message
        end)
      end
      moongate.sleep(1):await()
      f:reject("all of you")
      Future.all(waiters):await()
      return list
    end)
    assert.same({ "all of you", "all of you", "all of you" }, seen)
  end)

  it("goes down a chain until somebody handles it", function()
    run(function()
      local f = moongate.future()
      f:reject("deep")
      local got = f:and_then(error):and_then(error):catch(function(err)
        return err.message
      end):await()
      assert.equal("deep", got)
    end)
  end)

  it("is a table with code, message, where, cause and a tostring", function()
    run(function()
      local line = here() + 2
      local f = moongate.spawn(function()
        error("no luck")
      end)
      local _, err = f:try_await()
      assert.equal("error", err.code)
      assert.equal("no luck", err.message)
      assert.matches("future_spec%.lua:" .. line .. "$", err.where)
      assert.matches("no luck$", err.cause)
      assert.matches("future_spec%.lua:" .. line .. ": no luck %(error%)$", tostring(err))
    end)
  end)

  it("with a table is that table", function()
    run(function()
      local mine = { code = "mine", message = "own" }
      local f = moongate.future()
      f:reject(mine)
      assert.equal(mine, (select(2, f:try_await())))
      assert.equal(mine, error_of(function()
        f:await()
      end))
    end)
  end)

  it("is never nil for try_await", function()
    run(function()
      for _, err in ipairs({ false, 0, "" }) do
        local f = moongate.future()
        f:reject(err)
        assert.is_table((select(2, f:try_await())))
      end
      local f = moongate.future()
      f:reject(nil)
      assert.is_table((select(2, f:try_await())))
      local raised = moongate.spawn(function()
        error()
      end)
      assert.is_table((select(2, raised:try_await())))
    end)
  end)
end)

describe("a rejection that nobody looked at", function()
  local function logged()
    local lines = {}
    for _, entry in ipairs(app.logs) do
      if entry.message:find("nobody awaited", 1, true) then
        lines[#lines + 1] = entry.message
      end
    end
    return lines
  end

  it("is logged once, 5 s after it settled, with the line that created it", function()
    local line = here() + 2
    run(function()
      local f = moongate.future()
      f:reject("forgotten")
    end)
    app.clock:advance(4.9)
    assert.same({}, logged())
    app.clock:advance(0.2)
    assert.equal(1, #logged())
    assert.matches("future_spec%.lua:" .. line .. ": forgotten", logged()[1])
    app.clock:advance(60)
    assert.equal(1, #logged())
  end)

  it("is not logged if somebody looks within that time", function()
    run(function()
      local f = moongate.future()
      f:reject("late but seen")
      moongate.sleep(4):await()
      f:try_await()
    end)
    app.clock:advance(60)
    assert.same({}, logged())
  end)

  it("is not logged for the Future that a callback looked at, but for the derived one", function()
    local line
    run(function()
      local f = moongate.future()
      line = here() + 1
      f:and_then(function() end)
      f:reject("passed on")
    end)
    app.clock:advance(6)
    assert.equal(1, #logged())
    assert.matches("future_spec%.lua:" .. line .. ":", logged()[1])
  end)

  it("is not logged when it is a cancellation", function()
    run(function()
      moongate.future():cancel()
      moongate.sleep(1):cancel()
    end)
    app.clock:advance(60)
    assert.same({}, logged())
  end)

  it("names the spawn whose function raised, with its traceback", function()
    local line
    run(function()
      line = here() + 1
      moongate.spawn(function()
        error("in the background")
      end)
    end)
    app.clock:advance(6)
    assert.equal(1, #logged())
    assert.matches("future_spec%.lua:" .. line .. ":", logged()[1])
    assert.matches("in the background.*stack traceback", logged()[1])
  end)
end)

describe("timeout", function()
  it("passes the value on", function()
    assert.equal("in time", run(function()
      return moongate.sleep(1):and_then(function()
        return "in time"
      end):timeout(2):await()
    end))
  end)

  it("passes the error on", function()
    run(function()
      local f = moongate.future()
      f:reject("own error")
      local _, err = f:timeout(1):try_await()
      assert.equal("own error", err.message)
    end)
  end)

  it("rejects with code timeout if the seconds pass first", function()
    local line
    local err = run(function()
      line = here() + 1
      local _, err = moongate.sleep(10):timeout(2):try_await()
      return err
    end)
    assert.equal("timeout", err.code)
    assert.equal("no result within 2 s", err.message)
    assert.matches("future_spec%.lua:" .. line .. "$", err.where)
    assert.near(2, app.clock:elapsed(), 0.001)
  end)

  it("stops the work beneath", function()
    run(function()
      local f = moongate.sleep(10)
      f:timeout(2):try_await()
      assert.equal("rejected", f:state())
      local _, err = f:try_await()
      assert.equal("cancelled", err.code)
    end)
    app:assert_no_leaks()
  end)

  it("leaves the work alone while somebody else waits for it", function()
    run(function()
      local f = moongate.sleep(3)
      local other = moongate.spawn(function()
        f:await()
        return "came"
      end)
      moongate.sleep(0):await()
      f:timeout(1):try_await()
      assert.equal("came", other:await())
    end)
  end)

  it("leaves no timer behind", function()
    run(function()
      moongate.sleep(1):timeout(1000):await()
    end)
    assert.near(1, app.clock:elapsed(), 0.001)
    app:assert_no_leaks()
  end)

  it("wants seconds", function()
    local f = moongate.future()
    for _, bad in ipairs({ -1, "1", 0 / 0, math.huge, 1e300 }) do
      assert.matches("future_spec%.lua:%d+: timeout: seconds are wanted", error_of(function()
        f:timeout(bad)
      end))
    end
  end)
end)

describe("cancel", function()
  it("rejects with code cancelled and the reason", function()
    run(function()
      local f = moongate.future()
      f:cancel("changed my mind")
      local _, err = f:try_await()
      assert.equal("cancelled", err.code)
      assert.equal("changed my mind", err.message)
    end)
  end)

  it("stops the work at once", function()
    run(function()
      moongate.sleep(100):cancel()
    end)
    app:assert_no_leaks()
    assert.near(0, app.clock:elapsed(), 0.001)
  end)

  it("stops the work beneath once its last consumer is gone", function()
    run(function()
      local work = moongate.sleep(100)
      local a = work:and_then(function() end)
      local b = work:and_then(function() end)
      a:cancel()
      assert.equal("pending", work:state())
      b:cancel()
      assert.equal("rejected", work:state())
    end)
    app:assert_no_leaks()
  end)

  it("reaches through a chain", function()
    run(function()
      local work = moongate.sleep(100)
      work:and_then(function() end):catch(function() end):finally(function() end):cancel()
      assert.equal("rejected", work:state())
    end)
  end)

  it("reaches an adopted Future", function()
    run(function()
      local work, outer = moongate.sleep(100), moongate.future()
      outer:resolve(work)
      outer:cancel()
      assert.equal("rejected", work:state())
    end)
  end)

  it("runs no callback of what was cancelled", function()
    local ran = false
    run(function()
      local f = moongate.sleep(1)
      f:and_then(function()
        ran = true
      end):cancel()
      moongate.sleep(2):await()
    end)
    assert.is_false(ran)
  end)

  it("stops a callback that awaits", function()
    local reached = false
    run(function()
      local f = moongate.future()
      f:resolve()
      local derived = f:and_then(function()
        moongate.sleep(100):await()
        reached = true
      end)
      moongate.sleep(1):await()
      derived:cancel()
    end)
    app:assert_no_leaks()
    assert.is_false(reached)
    assert.near(1, app.clock:elapsed(), 0.001)
  end)

  it("raises at the pending await of a spawned function and at every later one", function()
    local codes = {}
    run(function()
      local child = moongate.spawn(function()
        for i = 1, 3 do
          local _, err = pcall(function()
            moongate.sleep(100):await()
          end)
          codes[i] = err.code
        end
      end)
      moongate.sleep(1):await()
      child:cancel()
      moongate.sleep(1):await()
    end)
    assert.same({ "cancelled", "cancelled", "cancelled" }, codes)
    app:assert_no_leaks()
  end)

  it("keeps a spawned function from beginning", function()
    local began = false
    run(function()
      moongate.spawn(function()
        began = true
      end):cancel()
      moongate.sleep(1):await()
    end)
    assert.is_false(began)
  end)

  it("does nothing to a settled Future", function()
    run(function()
      local f = moongate.future()
      f:resolve(1)
      assert.equal(f, f:cancel())
      assert.equal(1, f:await())
    end)
  end)

  it("wakes every awaiter", function()
    run(function()
      local f = moongate.future()
      local waiter = moongate.spawn(function()
        local _, err = f:try_await()
        return err.code
      end)
      moongate.sleep(1):await()
      f:cancel()
      assert.equal("cancelled", waiter:await())
    end)
  end)
end)
