local moongate = require("moongate")
local test = require("moongate.test")
local helpers = dofile("spec/fixture/helpers.lua")

local app

local function serve(declare, options)
  app = test.app(declare, options)
  return app
end

local function handle(handler)
  return serve(function(a)
    a:get("/", handler)
  end)
end

local function logged()
  return helpers.logged(app)
end

after_each(function()
  app:assert_no_leaks()
end)

describe("starting and stopping", function()
  it("runs on_start before the first request, one after the other, and they may await", function()
    local order = {}
    serve(function(a)
      for i = 1, 2 do
        a:on_start(function()
          moongate.sleep(1):await()
          order[#order + 1] = i
        end)
      end
      a:get("/", function()
        return order
      end)
    end)
    assert.same({ 1, 2 }, app:get("/"):json())
  end)

  it("fails when on_start does", function()
    handle(print)
    local ok, message = pcall(test.app, function(a)
      a:on_start(function()
        error("no database")
      end)
    end)
    assert.is_false(ok)
    assert.matches("on_start failed: .*no database", message)
  end)

  it("runs on_stop and cancels what the app does in the background", function()
    local stopped, code
    serve(function(a)
      a:on_start(function()
        moongate.spawn(function()
          local _, err = pcall(function()
            moongate.sleep(1000):await()
          end)
          code = err.code
        end)
      end)
      a:on_stop(function()
        moongate.sleep(1):await()
        stopped = true
      end)
      a:on_stop(function()
        error("one failing does not keep the others")
      end)
    end)
    app:stop()
    app.clock:settle()
    assert.is_true(stopped)
    assert.equal("cancelled", code)
    assert.matches("an on_stop function failed: .*one failing", logged())
  end)
end)
