local moongate = require("moongate")
local test = require("moongate.test")
local Future = moongate.Future

local app

-- Runs `fn` in a coroutine of the app and returns what it returns.
local function run(fn)
  return app:run(fn)
end

local function here()
  return debug.getinfo(2, "l").currentline
end

local function failure(fn)
  local ok, err = pcall(fn)
  assert.is_false(ok)
  return err
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
    assert.matches(expected, failure(function()
      f:await()
    end))
    f:resolve(1)
    assert.matches(expected, failure(function()
      f:try_await()
    end))
  end)
end)

describe("await crosses", function()
  local function value()
    return moongate.sleep(1):and_then(function()
      return "value"
    end):await()
  end

  it("pcall", function()
    assert.same({ true, "value" }, run(function()
      return { pcall(value) }
    end))
  end)

  it("xpcall with its handler", function()
    local ok, message = run(function()
      return xpcall(function()
        value()
        error("afterwards", 0)
      end, function(err)
        return "handled " .. err
      end)
    end)
    assert.is_false(ok)
    assert.equal("handled afterwards", message)
  end)

  it("a failure through pcall", function()
    local err = run(function()
      return failure(function()
        moongate.spawn(function()
          error("inner")
        end):await()
      end)
    end)
    assert.equal("inner", err.message)
  end)

  it("metamethods", function()
    local t = setmetatable({}, {
      __index = value,
      __add = value,
      __call = value,
      __lt = function()
        return value() == "value"
      end,
      __concat = value,
    })
    assert.same({ "value", "value", "value", true, "value" }, run(function()
      return { t.x, t + 1, t(), t < t, t .. "" }
    end))
  end)

  it("iterators", function()
    assert.same({ "value1", "value2" }, run(function()
      local list = {}
      for v in (function()
        local i = 0
        return function()
          i = i + 1
          return i < 3 and value() .. i or nil
        end
      end)() do
        list[#list + 1] = v
      end
      return list
    end))
  end)
end)

describe("await raises and names the function and line inside", function()
  local function message_of(fn)
    return tostring(run(function()
      return failure(fn)
    end))
  end

  local function wait()
    moongate.sleep(1):await()
    return 1
  end

  it("string.gsub", function()
    local line = here() + 2
    local message = message_of(function()
      local text = ("abc"):gsub("b", wait)
      return text
    end)
    assert.matches("await_spec%.lua:%d+: await cannot cross string%.gsub, called at ", message)
    assert.matches("called at %S*await_spec%.lua:" .. line .. ":", message)
    assert.matches("await them outside", message)
  end)

  it("string.gsub, with a pcall in between", function()
    assert.matches("await cannot cross string%.gsub", message_of(function()
      local text = ("abc"):gsub("b", function()
        local ok, err = pcall(wait)
        assert(ok, err)
      end)
      return text
    end))
  end)

  it("table.sort", function()
    assert.matches("await cannot cross table%.sort, called at", message_of(function()
      table.sort({ 3, 2, 1 }, function(a, b)
        wait()
        return a < b
      end)
    end))
  end)

  it("require", function()
    package.preload["spec.waits"] = wait
    assert.matches("await cannot cross require, called at", message_of(function()
      require("spec.waits")
    end))
    package.preload["spec.waits"] = nil
  end)

  it("__gc", function()
    local message
    run(function()
      local function finalizer()
        local ok, err = pcall(wait)
        message = message or (not ok and err)
      end
      do
        local p = newproxy(true)
        getmetatable(p).__gc = finalizer
      end
      local text = ""
      for i = 1, 20000 do
        text = tostring(i) .. text:sub(1, 100)
      end
      collectgarbage()
    end)
    -- Which function the collector interrupted is up to it.
    assert.matches("await_spec%.lua:%d+: await cannot cross [%w_.]+", message)
  end)

  it("load's reader", function()
    assert.matches("await cannot cross load, called at", message_of(function()
      assert(load(wait))
    end))
  end)

  it("and the coroutine goes on unharmed afterwards", function()
    local value = run(function()
      failure(function()
        local text = ("abc"):gsub("b", wait)
        return text
      end)
      return wait()
    end)
    assert.equal(1, value)
  end)
end)

describe("await inside a coroutine that is a stranger's", function()
  it("raises and says whose it must be", function()
    local message = app:run(function()
      local f = moongate.sleep(1)
      local strange = coroutine.wrap(function()
        return failure(function()
          f:await()
        end)
      end)
      local text = strange()
      f:await()
      return text
    end)
    assert.matches("await_spec%.lua:%d+: await inside a coroutine that the app's", message)
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
