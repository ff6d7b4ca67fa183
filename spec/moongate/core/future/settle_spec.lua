local moongate = require("moongate")
local test = require("moongate.test")
local errors = require("moongate.core.errors")
local scopes = require("moongate.core.scope")
local time = require("moongate.time")
local Future = moongate.Future

local app

local function run(fn)
  return app:run(fn)
end

-- How many wait for it.
local function waiting_for(future)
  local n, node = 0, future._first
  while node do
    n, node = n + 1, node.behind
  end
  return n
end

-- KiB that `fn` leaves behind.
local function growth(fn)
  collectgarbage()
  collectgarbage()
  local before = collectgarbage("count")
  fn()
  collectgarbage()
  collectgarbage()
  return collectgarbage("count") - before
end

-- The processor's seconds of `fn(n)`, the best of three.
local function seconds(fn, n)
  local best = math.huge
  for _ = 1, 3 do
    collectgarbage()
    local start = os.clock()
    run(function()
      fn(n)
    end)
    best = math.min(best, os.clock() - start)
  end
  return best
end

local function assert_linear(fn)
  local few, many = seconds(fn, 500), seconds(fn, 8000)
  assert.is_true(many < 60 * few + 0.02, ("%.4f s, %.4f s"):format(few, many)) -- 256: quadratic
end

before_each(function()
  app = test.app(function() end)
end)

after_each(function()
  app:assert_no_leaks()
end)

describe("what lives long keeps nothing of those who came and went:", function()
  local shared

  before_each(function()
    shared = moongate.future()
    shared.keep = true
  end)

  after_each(function()
    assert.equal(0, waiting_for(shared))
    assert.equal(0, shared._consumers)
    shared:resolve()
  end)

  it("race, any, all and all_settled", function()
    run(function()
      for _ = 1, 10 do
        Future.race({ shared, moongate.sleep(1) }):await()
        Future.any({ shared, moongate.sleep(1) }):await()
        Future.all({ shared, moongate.sleep(1) }):cancel()
        Future.all_settled({ shared, moongate.sleep(1) }):cancel()
      end
    end)
  end)

  it("a race of the same one twice", function()
    run(function()
      Future.race({ shared, shared, moongate.sleep(1) }):await()
    end)
  end)

  it("timeout", function()
    run(function()
      shared:timeout(1):try_await()
      shared:timeout(1):cancel()
    end)
  end)

  it("and_then, catch and finally that were cancelled", function()
    run(function()
      shared:and_then(print):cancel()
      shared:catch(print):cancel()
      local cleaned = 0
      shared:finally(function()
        cleaned = cleaned + 1
      end):cancel()
      moongate.sleep(1):await()
      assert.equal(1, cleaned)
    end)
  end)

  it("one that adopted it and was cancelled", function()
    run(function()
      local outer = moongate.future()
      outer:resolve(shared)
      outer:cancel()
    end)
  end)

  it("a coroutine that was cancelled", function()
    run(function()
      local tasks = {}
      for i = 1, 10 do
        tasks[i] = moongate.spawn(shared.await, shared)
      end
      moongate.sleep(1):await()
      assert.equal(10, waiting_for(shared))
      for _, i in ipairs({ 5, 1, 10, 2, 9, 3, 4, 6, 8, 7 }) do
        tasks[i]:cancel()
      end
    end)
  end)
end)

describe("what is derived again and again", function()
  it("keeps nothing of what it was derived from", function()
    local tail = moongate.future()
    tail:resolve(0)
    local derivations = {
      function()
        return tail:and_then(function(n)
          return n + 1
        end)
      end,
      function()
        return tail:timeout(5)
      end,
      function()
        return tail:finally(function() end)
      end,
      function()
        return tail:catch(print)
      end,
      function()
        local outer = moongate.future()
        outer:resolve(tail)
        return outer
      end,
      function()
        return Future.all({ tail }):and_then(function(list)
          return list[1]
        end)
      end,
      function()
        return Future.race({ tail, moongate.future() })
      end,
    }
    local function derive(fn, rounds)
      run(function()
        for _ = 1, rounds do
          tail = fn()
          tail:await()
        end
      end)
      Future._deferreds = {}
    end
    for i, fn in ipairs(derivations) do
      derive(fn, 100) -- tables grow, loops are compiled
      local kilobytes = growth(function()
        derive(fn, 9000)
      end)
      -- A table that grows for all may cost some hundred; a Future that is kept costs a third each.
      assert.is_true(kilobytes < 1000, ("derivation %d: %d KB"):format(i, kilobytes))
    end
  end)
end)

describe("what is left of a list of those who wait", function()
  it("is told in its order", function()
    local order = {}
    run(function()
      local gate, tasks = moongate.future(), {}
      for i = 1, 6 do
        tasks[i] = i % 2 == 0 and gate:and_then(function()
          order[#order + 1] = i
        end) or moongate.spawn(function()
          gate:await()
          order[#order + 1] = i
        end)
        moongate.sleep(0):await()
      end
      tasks[1]:cancel()
      tasks[4]:cancel()
      tasks[6]:cancel()
      gate:resolve()
      moongate.sleep(1):await()
    end)
    assert.same({ 2, 3, 5 }, order)
  end)
end)

describe("a loop that returns its next round", function()
  local function poll(rounds, settle)
    return moongate.sleep(0.001):and_then(function()
      if rounds == 0 then
        return settle()
      end
      return poll(rounds - 1, settle)
    end)
  end

  it("settles after any number of rounds", function()
    assert.equal("done", run(function()
      return poll(8000, function()
        return "done"
      end):await()
    end))
    local _, err = run(function()
      return poll(5000, function()
        error("gave up")
      end):try_await()
    end)
    assert.equal("gave up", err.message)
  end)

  it("takes no more memory for more rounds", function()
    local loop
    assert.is_true(growth(function()
      run(function()
        loop = poll(math.huge)
        moongate.sleep(5):await()
      end)
    end) < 100)
    loop:cancel()
  end)

  it("is stopped wherever it is", function()
    run(function()
      local loop = poll(math.huge)
      moongate.sleep(1):await()
      loop:cancel()
    end)
  end)

  it("settles each round for whoever asks", function()
    local function count(rounds, list)
      local round = moongate.sleep(1):and_then(function()
        return rounds == 0 and "end" or count(rounds - 1, list)
      end)
      list[#list + 1] = round
      return round
    end
    run(function()
      local list = {}
      local loop = count(5, list)
      moongate.sleep(3.5):await()
      assert.equal("pending", list[2]:state())
      assert.equal("end", list[2]:await())
      assert.equal("end", list[3]:and_then(function(value)
        return value
      end):await())
      assert.equal("resolved", list[4]:state())
      assert.equal("end", list[5]:await())
      assert.equal("end", loop:await())
    end)
  end)

  it("ends when one of its rounds is cancelled, before or after somebody asked", function()
    for _, ask in ipairs({ false, true }) do
      run(function()
        local list = {}
        local function forever()
          local round = moongate.sleep(1):and_then(forever)
          list[#list + 1] = round
          return round
        end
        local loop = forever()
        moongate.sleep(5.5):await()
        local asked = ask and list[2]:and_then(print)
        list[2]:cancel("enough")
        for i = 1, #list do
          assert.equal("rejected", list[i]:state())
          assert.equal("cancelled", (select(2, list[i]:try_await())).code)
        end
        assert.equal("enough", (select(2, loop:try_await())).message)
        if asked then
          asked:try_await()
        end
      end)
    end
  end)

  it("goes on for others when whoever asked for a round is gone", function()
    run(function()
      local rounds, list = 0, {}
      local function forever()
        rounds = rounds + 1
        list[rounds] = moongate.sleep(1):and_then(function()
          return rounds < 6 and forever() or "end"
        end)
        return list[rounds]
      end
      local loop = forever()
      moongate.sleep(3.5):await()
      list[2]:timeout(0.1):try_await()
      assert.equal("end", loop:await())
    end)
  end)
end)

describe("what hangs on each other, 20,000 deep,", function()
  local N = 20000

  it("settles: adoption, from either end", function()
    run(function()
      for _, first in ipairs({ 1, N - 1 }) do
        local chain = {}
        for i = 1, N do
          chain[i] = moongate.future()
        end
        for i = first, N - first, first == 1 and 1 or -1 do
          chain[i]:resolve(chain[i + 1])
        end
        chain[N]:resolve("value")
        assert.equal("value", chain[1]:await())
        assert.equal("value", chain[N / 2]:await())
      end
    end)
  end)

  it("settles: timeout, all and and_then", function()
    run(function()
      local base = moongate.future()
      local f = base
      for i = 1, N do
        f = i % 2 == 0 and f:timeout(1000) or Future.all({ f }):and_then()
      end
      base:resolve("value")
      f:await()
    end)
  end)

  it("is cancelled", function()
    run(function()
      local base = moongate.future()
      local f = base
      for i = 1, N do
        f = i % 3 == 0 and f:and_then(print) or i % 3 == 1 and Future.race({ f }) or f:timeout(9)
      end
      f:cancel()
      assert.equal("rejected", base:state())
    end)
  end)

  it("is no circle", function()
    run(function()
      local a, b, c = moongate.future(), moongate.future(), moongate.future()
      a:resolve(b)
      b:resolve(c)
      c:resolve(a)
      for _, f in ipairs({ a, b, c }) do
        assert.matches("cannot be resolved with itself", (select(2, f:try_await())).message)
      end
    end)
  end)
end)

describe("ten times as many take ten times as long:", function()
  it("pending Futures of a scope that is cancelled", function()
    assert_linear(function(n)
      local scope = scopes.new_root()
      for _ = 1, n do
        time.sleep_in(scope, 1, 1)
      end
      scopes.cancel(scope, errors.new("cancelled", "it is over"))
    end)
  end)

  it("coroutines that await one Future and are cancelled, from either end", function()
    assert_linear(function(n)
      local gate, tasks = moongate.future(), {}
      for i = 1, n do
        tasks[i] = moongate.spawn(gate.await, gate)
      end
      moongate.sleep(1):await()
      for i = 1, n, 2 do
        tasks[i]:cancel()
      end
      for i = n, 1, -2 do
        tasks[i]:cancel()
      end
      gate:cancel()
    end)
  end)

  it("items of all, any, race and all_settled, settled or not", function()
    assert_linear(function(n)
      local gate = moongate.future()
      gate:resolve()
      for _, name in ipairs({ "all", "any", "race", "all_settled" }) do
        local settled, pending = {}, {}
        for i = 1, n do
          settled[i], pending[i] = gate, moongate.future()
        end
        Future[name](settled):await()
        local result = Future[name](pending)
        result:catch(function() end)
        pending[n]:reject("lost")
        result:cancel()
      end
    end)
  end)

  it("rejections that nobody looks at", function()
    assert_linear(function(n)
      for _ = 1, n do
        local f = moongate.future()
        f:reject("lost")
        f._looked_at = true
      end
    end)
  end)
end)
