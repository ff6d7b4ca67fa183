--- Coroutines of scripts, through which an await goes on.
local moongate = require("moongate")
local test = require("moongate.test")
local helpers = dofile("spec/fixture/helpers.lua")

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
      return helpers.error_of(function()
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

describe("await inside a coroutine that is a stranger's", function()
  it("raises and says whose it must be", function()
    local message = app:run(function()
      local f = moongate.sleep(1)
      local strange = coroutine.wrap(function()
        return helpers.error_of(function()
          f:await()
        end)
      end)
      local text = strange()
      f:await()
      return text
    end)
    assert.matches("coroutines_spec%.lua:%d+: await inside a coroutine that the app's", message)
  end)
end)
