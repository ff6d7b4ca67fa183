local moongate = require("moongate")
local test = require("moongate.test")

local app, cache

local function start(options)
  app = test.app(function() end, options or { cache = "memory:1M" })
  cache = moongate.cache()
end

after_each(function()
  app:assert_no_leaks()
end)

local function run(fn)
  return app:run(fn)
end

local function get(key)
  return run(function()
    return cache:get(key):await()
  end)
end

local function set(...)
  local args, n = { ... }, select("#", ...)
  return run(function()
    return cache:set(unpack(args, 1, n)):await()
  end)
end

local function error_of(fn)
  local ok, err = pcall(run, fn)
  assert.is_false(ok)
  return err
end

describe("the cache", function()
  before_each(function()
    start()
  end)

  it("gives back what JSON can say, and strings as they are", function()
    local values = {
      "text", "", "a\0b\255", 7, -0.5, 2 ^ 53, true, false, { 1, 2, { a = "b" } }, {},
      { nested = { list = { 1 } } },
    }
    for i, value in ipairs(values) do
      assert.is_true(set("key" .. i, value))
      assert.same(value, get("key" .. i))
    end
    set("null", moongate.json.null)
    assert.equal(moongate.json.null, get("null"))
    set("empty", moongate.json.array())
    assert.equal("[]", moongate.json.encode(get("empty")))
  end)

  it("has nothing for a key that was not stored", function()
    assert.is_nil(get("nothing"))
  end)

  it("gives copies", function()
    local value = { 1 }
    set("a", value)
    value[1] = 2
    get("a")[1] = 3
    assert.same({ 1 }, get("a"))
  end)

  it("forgets after ttl seconds of virtual time", function()
    set("a", 1, { ttl = 2 })
    app.clock:advance(1.999)
    assert.equal(1, get("a"))
    app.clock:advance(0.001)
    assert.is_nil(get("a"))
  end)

  it("is settled from the start: nothing waits", function()
    set("a", 1)
    run(function()
      assert.equal("resolved", cache:get("a"):state())
      assert.equal("resolved", cache:get("b"):state())
      assert.equal("resolved", cache:set("c", 1):state())
    end)
  end)

  it("deletes, and tells whether there was anything", function()
    set("a", 1)
    run(function()
      assert.is_true(cache:delete("a"):await())
      assert.is_false(cache:delete("a"):await())
    end)
    assert.is_nil(get("a"))
  end)

  it("counts in one step", function()
    run(function()
      assert.equal(1, cache:increment("n"):await())
      assert.equal(11, cache:increment("n", 10):await())
      assert.equal(8, cache:increment("n", -3):await())
      assert.equal(8, cache:get("n"):await())
      assert.equal(101, cache:increment("m", 1, { initial = 100, ttl = 5 }):await())
    end)
    app.clock:advance(5)
    assert.is_nil(get("m"))
    set("text", "seven")
    local err = error_of(function()
      cache:increment("text"):await()
    end)
    assert.equal("cache", err.code)
    assert.matches("no integer", err.message)
  end)

  it("refuses what is too large with code limit", function()
    for _, args in ipairs({ { ("k"):rep(1025), 1 }, { "a", ("v"):rep(2 ^ 20 + 1) } }) do
      assert.equal("limit", error_of(function()
        cache:set(args[1], args[2]):await()
      end).code)
    end
  end)

  it("raises at the caller's line for wrong arguments", function()
    local wrong = {
      { "get", {} }, { "get", 0 / 0 }, { "set", "a" }, { "set", "a", 1, { ttl = 0 } },
      { "set", "a", 1, { tll = 1 } },
      { "set", "a", print }, { "set", "a", 1, 30 }, { "increment", "a", 0.5 },
      { "increment", "a", 1, { initial = "x" } }, { "cached", "a", 1 },
      { "cached", "a", "x", print },
    }
    for _, args in ipairs(wrong) do
      local err = error_of(function()
        cache[args[1]](cache, unpack(args, 2))
      end)
      assert.matches("cache_spec%.lua:%d+", err.where or tostring(err))
    end
  end)

  it("tells its figures and can be cleared", function()
    set("a", 1)
    get("a")
    get("b")
    local stats = cache.stats()
    assert.equal(1, stats.entries)
    assert.equal(1, stats.hits)
    assert.equal(1, stats.misses)
    cache.clear()
    assert.is_nil(get("a"))
  end)

  it("makes room by forgetting what was not read for longest", function()
    set("hot", 1)
    for i = 1, 3000 do
      set("cold" .. i, ("x"):rep(1000))
      assert.equal(1, get("hot"))
    end
    assert.is_nil(get("cold1"))
    assert.equal(1000, #get("cold3000"))
  end)
end)

describe("cached", function()
  before_each(function()
    start()
  end)

  it("makes a value once for all who ask meanwhile", function()
    local made = 0
    local function make()
      made = made + 1
      moongate.sleep(1):await()
      return { made }
    end
    local values = run(function()
      local all = {}
      for i = 1, 50 do
        all[i] = cache:cached("a", 10, make)
      end
      return moongate.Future.all(all):await()
    end)
    assert.equal(1, made)
    for i = 1, 50 do
      assert.same({ 1 }, values[i])
    end
    assert.are_not.equal(values[2], values[3])
    assert.near(1, app.clock:elapsed(), 0.001)
    assert.same({ 1 }, run(function()
      return cache:cached("a", 10, make):await()
    end))
    app.clock:advance(10)
    run(function()
      return cache:cached("a", 10, make):await()
    end)
    assert.equal(2, made)
  end)

  it("takes a Future of the value", function()
    assert.equal("late", run(function()
      return cache:cached("a", nil, function()
        return moongate.sleep(1):and_then(function()
          return "late"
        end)
      end):await()
    end))
    assert.equal("late", get("a"))
  end)

  it("gives an error to all who wait, and tries again for the next", function()
    local asked = 0
    local function fail()
      asked = asked + 1
      moongate.sleep(1):await()
      error("no luck")
    end
    run(function()
      local one, two = cache:cached("a", 1, fail), cache:cached("a", 1, fail)
      assert.matches("no luck", select(2, one:try_await()).message)
      assert.matches("no luck", select(2, two:try_await()).message)
      assert.equal(1, asked)
      assert.equal("good", cache:cached("a", 1, function()
        return "good"
      end):await())
    end)
  end)

  it("lets another one make the value when the first is cancelled", function()
    local asked = 0
    local function make()
      asked = asked + 1
      local mine = asked
      moongate.sleep(1):await()
      return mine
    end
    run(function()
      local one, two, three = cache:cached("a", 9, make), cache:cached("a", 9, make),
        cache:cached("a", 9, make)
      moongate.sleep(0.5):await()
      one:cancel()
      assert.equal(2, two:await())
      assert.equal(2, three:await())
      assert.equal(2, asked)
    end)
  end)

  it("does not fail those who come later when one that waited has given up", function()
    local asked = 0
    local function make()
      asked = asked + 1
      moongate.sleep(1):await()
      return "made"
    end
    run(function()
      local one = cache:cached("a", 9, make)
      local two = cache:cached("a", 9, make):timeout(0.1)
      assert.equal("timeout", select(2, two:try_await()).code)
      local three = cache:cached("a", 9, make)
      assert.equal("made", three:await())
      assert.equal("made", one:await())
      assert.equal(1, asked)
    end)
  end)

  it("lets another one make it though the cancelled one raised an error of its own", function()
    local asked = 0
    local function make()
      asked = asked + 1
      local pause = moongate.sleep(1)
      if asked == 1 and not pcall(pause.await, pause) then
        error("disguised")
      end
      return asked
    end
    run(function()
      local one, two = cache:cached("a", 9, make), cache:cached("a", 9, make)
      moongate.sleep(0.5):await()
      one:cancel()
      assert.equal(2, two:await())
      moongate.sleep(1):await()
    end)
  end)

  it("makes it once if what fn awaits was cancelled: that is an error as any other", function()
    local asked = 0
    local function make()
      asked = asked + 1
      moongate.sleep(1):await()
      moongate.future():cancel():await()
    end
    run(function()
      local one, two = cache:cached("a", 9, make), cache:cached("a", 9, make)
      assert.equal("cancelled", select(2, one:try_await()).code)
      assert.equal("cancelled", select(2, two:try_await()).code)
      assert.equal(1, asked)
    end)
  end)

  local function warnings()
    local list = {}
    for _, line in ipairs(app.logs) do
      if line.level == "warn" then
        list[#list + 1] = line.message
      end
    end
    return list
  end

  it("tells that a value cannot be stored, with its place, once a minute", function()
    local large = ("x"):rep(2 ^ 20 + 1)
    local function ask(value)
      return run(function()
        return cache:cached("a", 9, function()
          return value
        end):await()
      end)
    end
    assert.equal(large, ask(large))
    assert.equal(1, #warnings())
    assert.matches("^spec/moongate/cache_spec.lua:%d+: cached: what is made for 'a' cannot be "
      .. "stored, so it is made anew each time: .*at most 1 MiB", warnings()[1])
    ask(print)
    ask(0 / 0)
    assert.equal(1, #warnings())
    app.clock:advance(60)
    ask(print)
    assert.equal(2, #warnings())
    assert.matches("a function", warnings()[2])
  end)

  it("refuses a key that is asked for by what makes it", function()
    local function a()
      return cache:cached("a", 9, a):await()
    end
    local err = error_of(a)
    assert.equal("cache", err.code)
    assert.equal("cached: 'a' is asked for by what is made for it: 'a' -> 'a'", err.message)
    assert.matches("cache_spec.lua:%d+$", err.where)
    assert.near(0, app.clock:elapsed(), 0.001)
    assert.equal("good", run(function()
      return cache:cached("a", 9, function()
        return "good"
      end):await()
    end))
  end)

  it("refuses a circle of keys, also by way of other coroutines", function()
    local makers = {}
    function makers.a()
      return moongate.spawn(function()
        return cache:cached("b", 9, makers.b):await()
      end):await()
    end
    function makers.b()
      return moongate.Future.all({ cache:cached("c", 9, makers.c) }):await()[1]
    end
    function makers.c()
      return cache:cached("a", 9, makers.a):await()
    end
    local err = error_of(makers.a)
    assert.matches(": 'b' -> 'c' -> 'a' -> 'b'", err.message, 1, true)
    assert.near(0, app.clock:elapsed(), 0.001)
  end)

  it("refuses a circle that two requests close", function()
    local function maker(other)
      return function()
        moongate.sleep(1):await()
        return cache:cached(other, 9, function()
          return other
        end):await()
      end
    end
    run(function()
      local a, b = cache:cached("a", 9, maker("b")), cache:cached("b", 9, maker("a"))
      local _, why_a = a:try_await()
      local _, why_b = b:try_await()
      assert.matches("is asked for by what is made for it", (why_a or why_b).message)
      assert.near(1, app.clock:elapsed(), 0.001)
    end)
  end)

  it("lets one maker ask for other keys, and others for its own", function()
    assert.equal("1 2", run(function()
      local function two()
        moongate.sleep(1):await()
        return "2"
      end
      local other = cache:cached("two", 9, two)
      local one = cache:cached("one", 9, function()
        return "1 " .. cache:cached("two", 9, two):await()
      end)
      local follower = cache:cached("one", 9, two)
      assert.equal("1 2", follower:await())
      assert.equal("2", other:await())
      return one:await()
    end))
  end)

  it("frees the key when its maker is made to end without a word", function()
    run(function()
      local one = cache:cached("a", 9, function()
        -- As the end of a stall has it: nothing of the coroutine runs any more.
        moongate.sleep(1):await()
        coroutine.yield("gone")
      end)
      local two = cache:cached("a", 9, print)
      assert.matches("coroutine.yield", select(2, one:try_await()).message)
      assert.matches("coroutine.yield", select(2, two:try_await()).message)
      assert.equal("good", cache:cached("a", 9, function()
        return "good"
      end):await())
    end)
  end)

  it("does not store nil", function()
    run(function()
      assert.is_nil(cache:cached("a", 1, function() end):await())
    end)
    assert.is_nil(get("a"))
  end)
end)

describe("without a cache", function()
  it("calls say what to configure", function()
    start({ cache = false })
    app.real = { cache = true }
    local err = error_of(function()
      cache:set("a", 1):await()
    end)
    assert.equal("cache", err.code)
    assert.matches('cache = "memory:64M"', err.message)
  end)

  it("an impossible size is refused", function()
    start()
    assert.has_error(function()
      test.app(function() end, { cache = "memory:1K" })
    end)
  end)
end)
