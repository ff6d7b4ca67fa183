-- Whatever a script throws, wherever it does: somebody is told, and nobody else notices.
local moongate = require("moongate")
local test = require("moongate.test")
local helpers = dofile("spec/fixture/helpers.lua")

local app

local function logged()
  return helpers.logged(app)
end

local function hostile(name, value)
  return function()
    return setmetatable({}, { [name] = value })
  end
end

local function raise()
  error("from a metamethod")
end

local THROWN = {
  ["__index that raises"] = hostile("__index", raise),
  ["__tostring that raises"] = hostile("__tostring", raise),
  ["__tostring that gives a table"] = hostile("__tostring", function()
    return {}
  end),
  ["a hidden metatable"] = hostile("__metatable", false),
  ["nothing"] = function() end,
  ["a coroutine"] = function()
    return coroutine.create(raise)
  end,
}

-- name -> declare(a, throw): how the failure comes about, by a request to "/" at the latest.
local PLACES = {
  ["on_close"] = function(a, throw)
    a:get("/", function(ctx)
      ctx:on_close(throw)
      return "fine"
    end)
  end,
  ["ctx:spawn"] = function(a, throw)
    a:get("/", function(ctx)
      ctx:spawn(throw)
      return "fine"
    end)
  end,
  ["moongate.spawn"] = function(a, throw)
    a:get("/", function()
      moongate.spawn(throw)
      return "fine"
    end)
  end,
  ["and_then"] = function(a, throw)
    a:get("/", function(ctx)
      ctx:sleep(0):and_then(throw)
      return "fine"
    end)
  end,
  ["a job"] = function(a, throw)
    a:every("ticking", 1, { each_worker = true }, throw)
    a:get("/", function()
      return "fine"
    end)
  end,
  ["any of several"] = function(a, throw)
    a:get("/", function(ctx)
      local _, err = moongate.Future.any({ ctx:spawn(throw), ctx:spawn(throw) }):try_await()
      ctx.log.error(err.cause)
      return "fine"
    end)
  end,
}

after_each(function()
  app:assert_no_leaks()
end)

for place, declare in pairs(PLACES) do
  describe("a failure in " .. place, function()
    for what, make in pairs(THROWN) do
      it("is logged: " .. what, function()
        app = test.app(function(a)
          declare(a, function()
            error(make(), 0)
          end)
        end)
        assert.equal("fine", app:get("/").body)
        app.clock:advance(10)
        assert.is_true(#app.logs > 0)
        assert.equal("error", app.logs[1].level)
        assert.equal("fine", app:get("/").body)
      end)
    end
  end)
end

describe("a failure in on_start", function()
  for what, make in pairs(THROWN) do
    it("is told: " .. what, function()
      local ok, message = pcall(test.app, function(a)
        a:on_start(function()
          error(make(), 0)
        end)
      end)
      assert.is_false(ok)
      assert.matches("on_start failed: .", message)
    end)
  end
end)

describe("the log", function()
  it("takes fields and messages that cannot be shown", function()
    local odd = THROWN["__tostring that raises"]()
    app = test.app(function(a)
      a:get("/", function(ctx)
        ctx.log.info(odd, { [odd] = odd, [1] = ctx, fine = 7 })
        require("moongate.log").print(odd, ctx, nil)
        return "fine"
      end)
    end)
    assert.equal("fine", app:get("/").body)
    assert.matches("a table whose __tostring failed", app.logs[1].message)
    assert.equal(7, app.logs[1].fields.fine)
    assert.matches("^ctx %(GET", app.logs[1].fields["1"])
    assert.matches("__tostring failed.*\tctx %(GET /%)\tnil", app.logs[2].message)
  end)

  it("refuses fields that are no table, at the caller's line", function()
    app = test.app(function(a)
      a:get("/", function(ctx)
        ctx.log.info("x", 7)
      end)
    end)
    assert.equal(500, app:get("/").status)
    assert.matches("failures_spec%.lua:%d+: log%.info: fields are a table", logged())
  end)
end)
