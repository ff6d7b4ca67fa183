--- Failures that nobody looked at are told.
local moongate = require("moongate")
local test = require("moongate.test")
local helpers = dofile("spec/fixture/helpers.lua")
local Future = moongate.Future
local here = helpers.here

local app

local function logged()
  return helpers.logged(app)
end

after_each(function()
  app:assert_no_leaks()
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
    assert.matches("made at the line named here: %S*forgotten_spec%.lua:" .. line, text)
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
    assert.matches("forgotten_spec%.lua:" .. line .. ": nobody waits for it any more", text)
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
    assert.matches("forgotten_spec%.lua:" .. line .. ": the client left", logged())
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
    assert.matches("failed after it was cancelled, made at %S*forgotten_spec%.lua:%d+: .*first",
      logged())
    app:stop()
    assert.matches("second", logged())
  end)
end)
