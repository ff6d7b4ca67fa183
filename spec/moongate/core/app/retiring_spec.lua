--- What is told before scripts go, and what a stop waits for.
local moongate = require("moongate")
local test = require("moongate.test")
local serve = require("moongate.core.app.serve")
local helpers = dofile("spec/fixture/helpers.lua")

local app

local function logged()
  return helpers.logged(app)
end

describe("retiring", function()
  local told

  before_each(function()
    told = {}
    app = test.app(function(a)
      a:on_start(function()
        moongate.spawn(function()
          told[#told + 1] = "app " .. moongate.retiring:await()
        end)
      end)
      a:get("/", function(ctx)
        ctx:stream("text/plain", function(out)
          out:write("begun, ")
          out:write(ctx.retiring:await())
        end)
      end)
    end)
  end)

  it("tells streams and background work of a reload", function()
    local flight = app:start("GET", "/")
    app.clock:settle()
    serve.retire(app.served, 10, function() told[#told + 1] = "done" end)
    assert.equal("begun, reload", flight:response().body)
    app.clock:settle()
    assert.same({ "app reload", "done" }, told)
  end)

  it("tells them of a stop, before requests have ended", function()
    local flight = app:start("GET", "/")
    app.clock:settle()
    serve.announce(app.served)
    assert.equal("begun, stop", flight:response().body)
    assert.same({ "app stop" }, told)
    app:stop()
  end)

  it("is resolved for those who ask late, and is one for all", function()
    serve.announce(app.served)
    assert.equal("begun, stop", app:get("/").body)
    app:stop()
  end)

  it("does not end with those who wait no longer", function()
    app:start("GET", "/"):disconnect(1)
    app.clock:settle()
    assert.equal("pending", moongate.retiring:state())
    app:stop()
  end)
end)

describe("a stop", function()
  local done

  local function serving(declare)
    app = test.app(declare)
    done = false
  end

  local function stop(seconds)
    serve.stop(app.served, function() done = true end, seconds, 5)
    app.clock:settle()
  end

  it("waits for work in the background, and says for what", function()
    local line
    serving(function(a)
      a:get("/", function()
        line = helpers.here() + 1
        moongate.spawn(function() moongate.sleep(3):await() end)
        return "x"
      end)
    end)
    app:get("/")
    stop(10)
    assert.is_false(done)
    app.clock:advance(2.5)
    assert.is_false(done)
    app.clock:advance(1)
    assert.is_true(done)
    assert.equal(("the stop waits 10 s at most for: spawn at spec/moongate/core/app/"
      .. "retiring_spec.lua:%d"):format(line), logged())
  end)

  it("waits for the run of a job, and lets it tick no more", function()
    local runs, ended = 0, 0
    local line = helpers.here() + 2
    serving(function(a)
      a:every("beat", 5, function()
        runs = runs + 1
        moongate.sleep(3):await()
        ended = ended + 1
      end)
    end)
    app.clock:advance(6)
    assert.equal(1, runs)
    stop(10)
    assert.is_false(done)
    app.clock:advance(20)
    assert.is_true(done)
    assert.same({ 1, 1 }, { runs, ended })
    assert.equal(("the stop waits 10 s at most for: job beat at spec/moongate/core/app/"
      .. "retiring_spec.lua:%d"):format(line), logged())
  end)

  it("cancels what does not end in time, and says what", function()
    local line = helpers.here() + 3
    serving(function(a)
      a:on_start(function()
        moongate.spawn(function() moongate.sleep(100):await() end)
      end)
    end)
    stop(10)
    app.clock:advance(9)
    assert.is_false(done)
    app.clock:advance(2)
    assert.is_true(done)
    assert.matches(("the stop waited 10 s and cancels: spawn at spec/moongate/core/app/"
      .. "retiring_spec%%.lua:%d$"):format(line), logged())
  end)

  it("without such work ends at once, behind on_stop", function()
    local stopped = false
    serving(function(a)
      a:on_stop(function() stopped = true end)
    end)
    stop(10)
    assert.same({ true, true }, { done, stopped })
    assert.equal(0, app.clock:elapsed())
  end)
end)

describe("a rejection that nobody looked at", function()
  it("is told at once when the scripts are replaced", function()
    app = test.app(function() end)
    moongate.spawn(function() error("unseen") end)
    app.clock:settle()
    assert.equal("", logged())
    serve.retire(app.served, 10, function() end)
    assert.matches("a rejected Future that nobody awaited, made at %S*retiring_spec%.lua:%d+: ",
      logged())
  end)
end)
