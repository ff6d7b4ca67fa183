local moongate = require("moongate")
local test = require("moongate.test")
local messages_of = dofile("spec/fixture/logged.lua")
local Future = moongate.Future

local app

local function logged()
  return messages_of(app)
end

local function here()
  return debug.getinfo(2, "l").currentline
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

describe("the failure of a handler that awaited what was cancelled", function()
  local function log_of(handler)
    app = test.app(function(a)
      a:get("/", handler)
    end)
    assert.equal(500, app:get("/").status)
    assert.equal(1, #app.logs)
    return logged()
  end

  it("says what, where it was made and why", function()
    local line
    local text = log_of(function(ctx)
      line = here() + 1
      local f = ctx:sleep(5)
      f:cancel("changed my mind")
      f:await()
    end)
    assert.matches("the handler of GET / failed, for it awaited a Future that was cancelled", text)
    assert.matches("made at the line named here: %S*ownership_spec%.lua:" .. line, text)
    assert.matches("changed my mind", text)
  end)

  it("says so of the loser of a race", function()
    local line
    local text = log_of(function(ctx)
      line = here() + 1
      local loser = ctx:sleep(5)
      Future.race({ loser, ctx:sleep(1) }):await()
      loser:await()
    end)
    assert.matches("ownership_spec%.lua:" .. line .. ": nobody waits for it any more", text)
  end)

  it("says so of what belongs to another request", function()
    local line
    local shared
    app = test.app(function(a)
      a:get("/", function(ctx)
        line = here() + 1
        shared = shared or ctx:sleep(5)
        shared:await()
      end)
    end)
    local first, second = app:start("GET", "/"), app:start("GET", "/")
    app.clock:advance(1)
    first:disconnect()
    assert.equal(500, second:response().status)
    assert.equal(1, #app.logs)
    assert.matches("ownership_spec%.lua:" .. line .. ": the client left", logged())
  end)

  it("is told of a coroutine too", function()
    app = test.app(function(a)
      a:get("/", function(ctx)
        local f = ctx:sleep(5):cancel("changed my mind")
        ctx:spawn(f.await, f)
        moongate.spawn(f.await, f)
        return "ok"
      end)
    end)
    app:get("/")
    app.clock:advance(6)
    assert.equal(2, select(2, logged():gsub("changed my mind", "")))
  end)

  it("is told of app:on_error too", function()
    app = test.app(function(a)
      a:get("/", function()
        error("first")
      end)
      a:on_error(function(ctx)
        ctx:sleep(5):cancel("changed my mind"):await()
      end)
    end)
    assert.equal(500, app:get("/").status)
    assert.matches("changed my mind", logged())
  end)
end)

describe("a failure in the background", function()
  it("is told when the app stops", function()
    app = test.app(function() end)
    moongate.spawn(function()
      error("too bad")
    end)
    app.clock:settle()
    assert.equal("", logged())
    app:stop()
    assert.equal(1, select(2, logged():gsub("too bad %(error%)", "")))
    app.clock:advance(10)
    assert.equal(1, select(2, logged():gsub("too bad %(error%)", "")))
  end)

  it("is told, however many there are, while others go on", function()
    app = test.app(function() end)
    local told = 0
    for _ = 1, 1000 do
      moongate.spawn(error, "too bad")
    end
    app.clock:advance(4.999)
    moongate.spawn(function()
      moongate.sleep(0.001):await()
      repeat
        moongate.sleep(0):await()
        told = told + (#app.logs > 0 and #app.logs < 1000 and 1 or 0)
      until #app.logs == 1000
    end)
    app.clock:advance(1)
    assert.equal(1000, #app.logs)
    assert.is_true(told > 5)
  end)

  it("is told though on_stop never ends", function()
    app = test.app(function(a)
      a:on_stop(function()
        moongate.sleep(1e6):await()
      end)
    end)
    moongate.spawn(function()
      error("too bad")
    end)
    app.clock:settle()
    require("moongate.core.boot").stop(app.served, print)
    app.clock:settle()
    assert.matches("too bad", logged())
    app.clock:advance(1e6)
  end)

  it("of cleaning up is told, while the app stops and after a cancellation", function()
    app = test.app(function() end)
    local function clean_up(message)
      return function()
        pcall(function()
          moongate.sleep(60):await()
        end)
        error(message)
      end
    end
    local cancelled = moongate.spawn(clean_up("first"))
    moongate.spawn(clean_up("second"))
    app.clock:settle()
    cancelled:cancel()
    app.clock:settle()
    assert.matches("failed after it was cancelled, made at %S*ownership_spec%.lua:%d+: .*first",
      logged())
    app:stop()
    assert.matches("second", logged())
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
