--- Random programs of Futures against a model that knows no scheduler: when and how each settles
--- is a sum, a least or a greatest of what it is made of. All times differ, so nothing is a tie.
local moongate = require("moongate")
local test = require("moongate.test")
local leaks = require("moongate.test.leaks")
local Future = moongate.Future

local PROGRAMS = 100
local MS = 0.001

local app, seed, taken
local cleans_up -- a finally that takes time goes on though nobody waits for it any more

-- The same programs everywhere, whatever math.random is.
local function random(n)
  seed = (seed * 16807) % 2147483647
  return seed % n + 1
end

-- Milliseconds that nothing else of the program takes: sums of different powers of two differ.
local function delay()
  taken = taken + 1
  return 2 ^ (taken - 1)
end

local function failure(name)
  return { code = name, message = name }
end

-- A node: start() -> Future; ends: { at = ms after its start, ok =, value = or code = }.
local node

local function leaf()
  local ms, ok, name = delay(), random(3) > 1, "leaf" .. taken
  return {
    start = function()
      return moongate.sleep(ms * MS):and_then(function()
        if not ok then
          error(failure(name))
        end
        return name
      end)
    end,
    ends = { at = ms, ok = ok, value = ok and name or nil, code = not ok and name or nil },
  }
end

local function children(depth)
  local list = {}
  for i = 1, random(3) do
    list[i] = node(depth - 1)
  end
  return list, function()
    local futures = {}
    for i, child in ipairs(list) do
      futures[i] = child.start()
    end
    return futures
  end
end

-- Of those that fit the one that ends first, or last.
local function pick(list, fits, later)
  local found
  for _, child in ipairs(list) do
    local ends = child.ends
    if fits(ends) and (not found or (ends.at > found.at) == later) then
      found = ends
    end
  end
  return found
end

local function succeeded(ends)
  return ends.ok
end

local function failed(ends)
  return not ends.ok
end

local function any_way()
  return true
end

local kinds = {}

function kinds.all(depth)
  local list, start = children(depth)
  local lost, last = pick(list, failed, false), pick(list, any_way, true)
  local value = {}
  for i, child in ipairs(list) do
    value[i] = child.ends.value
  end
  return {
    start = function()
      return Future.all(start())
    end,
    ends = lost or { at = last.at, ok = true, value = value },
  }
end

function kinds.any(depth)
  local list, start = children(depth)
  return {
    start = function()
      return Future.any(start())
    end,
    ends = pick(list, succeeded, false) or pick(list, failed, true),
  }
end

function kinds.race(depth)
  local list, start = children(depth)
  return {
    start = function()
      return Future.race(start())
    end,
    ends = pick(list, any_way, false),
  }
end

function kinds.all_settled(depth)
  local list, start = children(depth)
  local value = {}
  for i, child in ipairs(list) do
    value[i] = child.ends.ok and child.ends.value or child.ends.code
  end
  return {
    start = function()
      return Future.all_settled(start()):and_then(function(settled)
        local plain = {}
        for i, one in ipairs(settled) do
          plain[i] = one.state == "resolved" and one.value or one.err.code
        end
        return plain
      end)
    end,
    ends = { at = pick(list, any_way, true).at, ok = true, value = value },
  }
end

-- What comes behind `first`: `second` begins when that has ended well, or badly.
local function sequence(first, second, well)
  local a, b = first.ends, second.ends
  if a.ok ~= well then
    return a
  end
  return { at = a.at + b.at, ok = b.ok, value = b.value, code = b.code }
end

function kinds.and_then(depth)
  local first, second = node(depth - 1), node(depth - 1)
  local awaits = random(2) == 1
  return {
    start = function()
      return first.start():and_then(function()
        local future = second.start()
        return awaits and future:await() or future
      end)
    end,
    ends = sequence(first, second, true),
  }
end

function kinds.catch(depth)
  local first, second = node(depth - 1), node(depth - 1)
  return {
    start = function()
      return first.start():catch(second.start)
    end,
    ends = sequence(first, second, false),
  }
end

function kinds.finally(depth)
  local first, ms = node(depth - 1), delay()
  local ends = first.ends
  cleans_up = true
  return {
    start = function()
      return first.start():finally(function()
        moongate.sleep(ms * MS):await()
      end)
    end,
    ends = { at = ends.at + ms, ok = ends.ok, value = ends.value, code = ends.code },
  }
end

function kinds.timeout(depth)
  local first, ms = node(depth - 1), delay()
  return {
    start = function()
      return first.start():timeout(ms * MS)
    end,
    ends = first.ends.at < ms and first.ends or { at = ms, ok = false, code = "timeout" },
  }
end

function kinds.adoption(depth)
  local first = node(depth - 1)
  return {
    start = function()
      local outer, middle = moongate.future(), moongate.future()
      if random(2) == 1 then
        outer:resolve(middle)
        middle:resolve(first.start())
      else
        middle:resolve(first.start())
        outer:resolve(middle)
      end
      return outer
    end,
    ends = first.ends,
  }
end

function kinds.spawn(depth)
  local first, second = node(depth - 1), node(depth - 1)
  return {
    start = function()
      return moongate.spawn(function()
        first.start():await()
        return second.start()
      end)
    end,
    ends = sequence(first, second, true),
  }
end

-- One Future that two wait for.
function kinds.shared(depth)
  local first, ms = node(depth - 1), delay()
  return {
    start = function()
      local future = first.start()
      return Future.all({ future, Future.any({ future:timeout(ms * MS), future }) }):and_then(
        function(list)
          return list[2]
        end)
    end,
    ends = first.ends,
  }
end

local NAMES = {
  "all", "any", "race", "all_settled", "and_then", "catch", "finally", "timeout", "adoption",
  "spawn", "shared",
}

function node(depth)
  if depth == 0 or random(4) == 1 or taken > 30 then
    return leaf()
  end
  return kinds[NAMES[random(#NAMES)]](depth)
end

local function program(number)
  seed, taken, cleans_up = number * 7919 + 1, 0, false
  return node(4)
end

local function assert_nothing_left(name)
  if cleans_up then
    app.clock:advance(2 ^ taken * MS)
  end
  app.clock:settle()
  assert.same({}, leaks.find(app), name)
end

before_each(function()
  app = test.app(function() end)
end)

after_each(function()
  app:close()
end)

describe("a random program of Futures", function()
  it("settles when and as the model says, and leaves nothing under way", function()
    for number = 1, PROGRAMS do
      local what, start = program(number), app.clock:elapsed()
      local state, value, err
      app:run(function()
        local future = what.start()
        value, err = future:try_await()
        state = future:state()
      end)
      local ends, name = what.ends, "program " .. number
      assert.equal(ends.ok and "resolved" or "rejected", state, name)
      assert.same(ends.value, value, name)
      assert.equal(ends.code, err and err.code, name)
      assert.near(ends.at * MS, app.clock:elapsed() - start, 0.5 * MS, name)
      assert_nothing_left(name)
    end
  end)

  it("that is cancelled leaves nothing under way", function()
    for number = 1, PROGRAMS do
      local what = program(number)
      app:run(function()
        local future = what.start()
        moongate.sleep(math.floor(what.ends.at * random(99) / 100) * MS):await()
        future:cancel()
        assert.equal("rejected", future:state())
      end)
      assert_nothing_left("program " .. number)
    end
  end)
end)
