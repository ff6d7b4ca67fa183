--- Who has what a request derived, once the request is over.
local moongate = require("moongate")
local test = require("moongate.test")
local helpers = dofile("spec/fixture/helpers.lua")
local Future = moongate.Future

local app

local function logged()
  return helpers.logged(app)
end

-- An app whose handler gives what the `/shared` makes once, for all requests.
local function share(make)
  local shared
  app = test.app(function(a)
    a:get("/shared", function(ctx)
      shared = shared or make(ctx)
      return shared:await()
    end)
  end)
  app:stub_http("GET http://other/", test.after(5, "page"))
  app:stub_database("SELECT 1", test.after(5, { { n = 1 } }))
  return function()
    return shared
  end
end

after_each(function()
  app:assert_no_leaks()
end)

describe("what a request derives", function()
  it("belongs to the request, what it derives it from does not", function()
    local shared, derived
    app = test.app(function(a)
      a:get("/", function(ctx)
        shared = shared or moongate.spawn(function()
          moongate.sleep(5):await()
          return "value"
        end)
        derived = {
          shared:and_then(print), Future.all({ shared }), Future.race({ shared, ctx:sleep(9) }),
          shared:timeout(9),
        }
        ctx:sleep(60):await()
      end)
    end)
    app:start("GET", "/"):disconnect(1)
    app.clock:settle()
    for i = 1, 4 do
      assert.equal("rejected", derived[i]:state())
    end
    assert.equal(0, shared._consumers)
    assert.equal("pending", shared:state())
    app.clock:advance(5)
    assert.equal("resolved", shared:state())
  end)

  local function value()
    return "value"
  end

  local derivations = {
    and_then = function()
      return moongate.sleep(5):and_then(value):and_then()
    end,
    ["a callback that awaits"] = function()
      return moongate.sleep(3):and_then(function()
        moongate.sleep(2):await()
        return "value"
      end)
    end,
    ["a callback's Future"] = function()
      return moongate.sleep(1):and_then(function()
        return moongate.sleep(4):and_then(value)
      end)
    end,
    all = function()
      return Future.all({ moongate.sleep(5):and_then(value), moongate.sleep(4) }):and_then(value)
    end,
    race = function(ctx)
      return Future.race({ moongate.sleep(5):and_then(value), ctx:sleep(60) })
    end,
    timeout = function()
      return moongate.sleep(5):timeout(20):finally(print):and_then(value)
    end,
    adoption = function()
      local outer = moongate.future():and_then()
      outer:resolve(moongate.sleep(5):and_then(value))
      return outer
    end,
  }
  for name, derive in pairs(derivations) do
    it("goes on for others who wait for it: " .. name, function()
      share(derive)
      local first = app:start("GET", "/shared")
      app.clock:advance(2)
      local second = app:start("GET", "/shared")
      app.clock:advance(2)
      first:disconnect()
      if name == "race" then -- what was the request's own loses
        assert.equal(500, second:response().status)
      else
        assert.equal("value", second:response().body)
        assert.near(5, app.clock:elapsed(), 0.01)
        assert.equal("", logged())
      end
    end)

    it("goes on though they are gone as well: " .. name, function()
      local shared = share(derive)
      local first, second = app:start("GET", "/shared"), app:start("GET", "/shared")
      app.clock:advance(2)
      first:disconnect()
      app.clock:settle()
      second:disconnect()
      app.clock:advance(4)
      assert.equal(name == "race" and "rejected" or "resolved", shared():state())
    end)
  end

  it("ends at once if the request is over", function()
    local shared, derived
    app = test.app(function(a)
      a:get("/", function(ctx)
        pcall(function()
          ctx:sleep(60):await()
        end)
        shared = moongate.future()
        derived = { shared:and_then(print), Future.all({ shared }), shared:timeout(9) }
      end)
    end)
    app:start("GET", "/"):disconnect(1)
    app.clock:settle()
    for i = 1, 3 do
      assert.equal("rejected", derived[i]:state())
    end
    assert.is_false(shared._first)
  end)
end)
