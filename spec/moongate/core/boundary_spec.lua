--- Where an await cannot go through, and what it says then.
local moongate = require("moongate")
local test = require("moongate.test")
local helpers = dofile("spec/fixture/helpers.lua")
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

describe("await raises and names the function and line inside", function()
  local function message_of(fn)
    return tostring(run(function()
      return helpers.error_of(fn)
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
    assert.matches("boundary_spec%.lua:%d+: await cannot cross string%.gsub, called at ", message)
    assert.matches("called at %S*boundary_spec%.lua:" .. line .. ":", message)
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
    assert.matches("boundary_spec%.lua:%d+: await cannot cross [%w_.]+", message)
  end)

  it("load's reader", function()
    assert.matches("await cannot cross load, called at", message_of(function()
      assert(load(wait))
    end))
  end)

  it("and the coroutine goes on unharmed afterwards", function()
    local value = run(function()
      helpers.error_of(function()
        local text = ("abc"):gsub("b", wait)
        return text
      end)
      return wait()
    end)
    assert.equal(1, value)
  end)
end)
