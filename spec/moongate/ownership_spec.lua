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

describe("what a request begins without its ctx", function()
  local makers = {
    sleep = function()
      return moongate.sleep(5)
    end,
    http = function()
      return moongate.http.get("http://other/")
    end,
    database = function()
      return moongate.database():query("SELECT 1")
    end,
  }

  for name, make in pairs(makers) do
    it("goes on for others though the client leaves: " .. name, function()
      share(function()
        local future = make()
        moongate.spawn(function()
          future:await()
        end)
        return future
      end)
      local first = app:start("GET", "/shared")
      app.clock:advance(1)
      local second = app:start("GET", "/shared")
      app.clock:advance(1)
      first:disconnect()
      assert.equal(name == "sleep" and 500 or 200, second:response().status) -- sleep gives nothing
      assert.near(5, app.clock:elapsed(), 0.01)
    end)

    it("goes on though all who waited are gone, for those who come later: " .. name, function()
      local shared = share(make)
      local first, second = app:start("GET", "/shared"), app:start("GET", "/shared")
      app.clock:advance(1)
      first:disconnect()
      second:disconnect()
      app.clock:settle()
      assert.equal("pending", shared():state())
      local third = app:start("GET", "/shared"):response()
      assert.equal(name == "sleep" and 500 or 200, third.status)
      assert.near(5, app.clock:elapsed(), 0.01)
    end)
  end

  it("is not touched by the request's end", function()
    local left
    app = test.app(function(a)
      a:get("/", { timeout = 2 }, function()
        left = moongate.sleep(60)
        return "ok"
      end)
    end)
    app:get("/")
    app.clock:advance(10)
    assert.equal("pending", left:state())
    app.clock:advance(51)
    assert.equal("resolved", left:state())
  end)

  it("does not begin for long in a request that is over", function()
    local made = {}
    app = test.app(function(a)
      a:get("/", function(ctx)
        for i = 1, 3 do
          pcall(function()
            made[i] = i == 1 and ctx:sleep(60) or moongate.sleep(60)
            made[i]:await()
          end)
        end
      end)
    end)
    app:start("GET", "/"):disconnect(1)
    app.clock:settle()
    for i = 1, 3 do
      assert.equal("rejected", made[i]:state())
    end
  end)
end)

describe("what the app does in the background", function()
  local function background(ask)
    local work
    app = test.app(function(a)
      a:on_start(function()
        work = moongate.sleep(5):and_then(function()
          return "ready"
        end)
      end)
      a:get("/", function(ctx)
        return ask(ctx, work)
      end)
    end)
    local first = app:get("/")
    assert.equal("pending", work:state())
    return first, work
  end

  it("goes on though a request does not wait any longer", function()
    local first, work = background(function(_, work)
      local value, err = work:timeout(1):try_await()
      return value or err.code
    end)
    assert.equal("timeout", first.body)
    app.clock:advance(3.5)
    assert.equal("ready", app:get("/").body)
    assert.equal("resolved", work:state())
  end)

  it("goes on though it lost a race", function()
    local first = background(function(ctx, work)
      return Future.race({ work, ctx:sleep(1) }):await() or "late"
    end)
    assert.equal("late", first.body)
    app.clock:advance(3.5)
    assert.equal("ready", app:get("/").body)
  end)
end)

describe("a deferred", function()
  it("goes on though those who wait for it are gone", function()
    local shared = share(function()
      return moongate.future()
    end)
    app:start("GET", "/shared"):disconnect(1)
    app.clock:settle()
    assert.equal("pending", shared():state())
    local second = app:start("GET", "/shared")
    app.clock:advance(1)
    shared():resolve("settled late")
    assert.equal("settled late", second:response().body)
  end)

  it("is told late, and with the end of the scripts at the latest", function()
    share(function() end)
    moongate.future():reject("never awaited")
    app:stop()
    assert.matches("nobody awaited, made at %S*ownership_spec%.lua:%d+: never awaited", logged())
  end)
end)

describe("who goes on though it was cancelled", function()
  local others

  -- A streaming handler whose client leaves after a second, and which then goes on with `attempt`.
  local function stubborn(attempt)
    app = test.app(function(a)
      a:get("/", function(ctx)
        ctx:stream("text/plain", function(out)
          out:write("begun")
          pcall(function()
            ctx:sleep(60):await()
          end)
          repeat
            local ok = pcall(attempt, ctx, out)
          until ok
        end)
      end)
      a:get("/other", function(ctx)
        ctx:sleep(0):await()
        return "served"
      end)
    end)
    app:start("GET", "/"):disconnect(1)
    for i = 1, 3 do
      others[i] = app:get("/other").body
    end
    app.clock:settle()
    assert.same({ "served", "served", "served" }, others)
    assert.equal(1, #app.logs)
    assert.matches("the handler of GET / failed: %S*ownership_spec%.lua:%d+: it went on though "
      .. "it was cancelled", logged())
  end

  before_each(function()
    others = {}
  end)

  local attempts = {
    await = function(ctx)
      ctx:sleep(1):await()
    end,
    try_await = function(ctx)
      ctx:sleep(1):try_await()
    end,
    ["what is settled"] = function()
      Future._resolved(1):await()
    end,
    ["what it does not begin itself"] = function()
      moongate.sleep(1):await()
    end,
    ["out:write"] = function(_, out)
      out:write("more")
    end,
    ["ctx:body"] = function(ctx)
      ctx:body():await()
    end,
    ["ctx:chunks"] = function(ctx)
      for _ in ctx:chunks() do end
    end,
    ["ctx:json"] = function(ctx)
      ctx:json({})
    end,
    ["ctx.path"] = function(ctx)
      return ctx.path
    end,
    ["Future.all"] = function(ctx)
      Future.all({ ctx:sleep(1), moongate.sleep(1) }):await()
    end,
  }
  for name, attempt in pairs(attempts) do
    it("lets others be served, and is ended: " .. name, function()
      stubborn(attempt)
    end)
  end

  it("in a coroutine of its own is told as well", function()
    app = test.app(function() end)
    local task = moongate.spawn(function()
      repeat
        local ok = pcall(function()
          moongate.sleep(1):await()
        end)
      until ok and app.clock:elapsed() > 1e6
    end)
    app.clock:settle()
    task:cancel()
    app.clock:settle()
    assert.matches("failed after it was cancelled, made at %S*ownership_spec%.lua:%d+: .*went on",
      logged())
  end)
end)
