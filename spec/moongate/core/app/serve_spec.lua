--- From a request to its answer, and the end of both when others serve.
local moongate = require("moongate")
local test = require("moongate.test")
local helpers = dofile("spec/fixture/helpers.lua")
local boot = require("moongate.core.boot")

local DRAIN = 30

local app, done

local function serve(declare, options)
  app = test.app(declare, options)
  return app
end

local function handle(handler)
  return serve(function(a)
    a:get("/", handler)
  end)
end

-- As C does once other scripts serve.
local function retire(seconds)
  done = 0
  boot.retire(app.served, seconds or DRAIN, function()
    done = done + 1
  end)
  app.clock:settle()
end

local function evict()
  boot.evict(app.served)
  app.clock:settle()
end

-- Runs `fn` in the background as soon as the app has started.
local function in_background(fn)
  return serve(function(a)
    a:on_start(function()
      moongate.spawn(fn)
    end)
  end)
end

local function code_of(fn)
  local ok, err = pcall(fn)
  return not ok and err.code
end

local function logged()
  return helpers.logged(app)
end

after_each(function()
  app:assert_no_leaks()
end)

describe("a recycled coroutine", function()
  it("is not cancelled because its last request was", function()
    handle(function(ctx)
      ctx:sleep(tonumber(ctx.query.s)):await()
      return "done"
    end)
    for _ = 1, 20 do
      app:start("GET", "/?s=60"):disconnect(1)
      assert.equal("done", app:get("/?s=1").body)
    end
  end)

  it("keeps nothing of a request that swallowed its cancellation", function()
    serve(function(a)
      a:get("/", { timeout = 1 }, function(ctx)
        pcall(function()
          ctx:sleep(tonumber(ctx.query.s)):await()
        end)
        return "done"
      end)
    end)
    for _ = 1, 20 do
      assert.equal(504, app:get("/?s=60").status)
      assert.equal("done", app:get("/?s=0.5").body)
    end
  end)

  it("counts settled awaits anew", function()
    local order = {}
    handle(function(ctx)
      local f = moongate.future()
      f:resolve()
      for _ = 1, 600 do
        f:await()
      end
      order[#order + 1] = ctx.query.n
      return "done"
    end)
    local first, second = app:start("GET", "/?n=1"), app:start("GET", "/?n=2")
    assert.equal("done", first:response().body)
    assert.equal("done", second:response().body)
    assert.same({ "1", "2" }, order)
  end)

  it("serves many requests at once", function()
    handle(function(ctx)
      ctx:sleep(1):await()
      return ctx.query.n
    end)
    local flights = {}
    for i = 1, 200 do
      flights[i] = app:start("GET", "/?n=" .. i)
    end
    for i = 1, 200 do
      assert.equal(tostring(i), flights[i]:response().body)
    end
    assert.near(1, app.clock:elapsed(), 0.001)
  end)
end)

describe("an answer over several requests", function()
  it("is given in order when they are pipelined", function()
    handle(function(ctx)
      ctx:sleep(ctx.query.n == "1" and 2 or 1):await()
      return ctx.query.n
    end)
    local head = " HTTP/1.1\r\nHost: a\r\n\r\n"
    local flight = app:raw("GET /?n=1" .. head .. "GET /?n=2" .. head):keep()
    assert.equal("1", flight:response().body)
    assert.equal("2", flight:response().body)
    flight:done()
  end)
end)

describe("scripts that have to end for lack of room", function()
  local function in_flight(handler, options)
    serve(function(a)
      if options and options.on_error then
        a:on_error(options.on_error)
      end
      a:get("/", handler)
    end)
    local flight = app:start("GET", "/"):keep()
    app.clock:settle()
    return flight
  end

  it("answer waiting requests 503, to be tried again", function()
    local code
    local flight = in_flight(function(ctx)
      code = code_of(function()
        ctx:sleep(20):await()
      end)
      ctx:sleep(1):await()
    end)
    retire()
    evict()
    local res = flight:response()
    assert.same({ 503, "1", "application/problem+json", "cancelled" },
      { res.status, res.headers["retry-after"], res.headers["content-type"], code })
    assert.equal("the server's scripts were reloaded", res:json().detail)
    assert.equal(1, done)
    assert.matches("the handler of GET / failed: .*%(reload%)", logged())
    assert.is_false(res.closed)
    flight:done()
  end)

  it("ask app:on_error, as for other failures", function()
    local flight = in_flight(function(ctx)
      ctx:sleep(20):await()
    end, {
      on_error = function(ctx, err)
        return ctx:text(err.code .. " " .. tostring(ctx.state.seen))
      end,
    })
    retire()
    evict()
    local res = flight:response()
    assert.same({ 503, "reload nil" }, { res.status, res.body })
    assert.equal(1, done)
    flight:done()
  end)

  it("answer plainly if app:on_error fails", function()
    local flight = in_flight(function(ctx)
      ctx:sleep(20):await()
    end, {
      on_error = function()
        error("on_error broken")
      end,
    })
    retire()
    evict()
    assert.equal(500, flight:response().status)
    assert.equal(1, done)
    flight:done()
  end)

  it("give app:on_error a second", function()
    local flight = in_flight(function(ctx)
      ctx:sleep(20):await()
    end, {
      on_error = function(ctx)
        ctx:sleep(20):await()
        return "late"
      end,
    })
    retire()
    evict()
    assert.equal(504, flight:response().status)
    assert.near(1, app.clock:elapsed(), 0.1)
    assert.equal(1, done)
    flight:done()
  end)

  it("answer plainly what app:on_error was busy with", function()
    local flight = in_flight(function()
      error("broken")
    end, {
      on_error = function(ctx)
        ctx:sleep(20):await()
        return "late"
      end,
    })
    retire()
    evict()
    local res = flight:response()
    assert.same({ 503, "1" }, { res.status, res.headers["retry-after"] })
    assert.equal(1, done)
    flight:done()
  end)

  it("end streams whole, and their coroutines with code reload", function()
    local code
    local flight = in_flight(function(ctx)
      ctx:stream("text/plain", function(out)
        out:write("begun\n")
        code = code_of(function()
          ctx:sleep(20):await()
        end)
        out:write("never\n")
      end)
    end)
    retire()
    evict()
    local res = flight:response()
    assert.same({ 200, "begun\n", "reload" }, { res.status, res.body, code })
    assert.equal(1, done)
    assert.equal("", logged())
    assert.is_false(res.closed)
    flight:done()
  end)

  it("end streams to slow clients", function()
    local flight = in_flight(function(ctx)
      ctx:sleep(1):await()
      ctx:stream("text/plain", function(out)
        while true do
          out:write(("x"):rep(100000))
        end
      end)
    end)
    flight:pause()
    app.clock:advance(1)
    retire()
    evict()
    assert.equal(1, done)
    flight:pause(false)
    assert.is_true(#flight:response().body % 100000 == 0)
    flight:done()
  end)

  it("end their background", function()
    local code
    in_background(function()
      code = code_of(function()
        moongate.sleep(1000):await()
      end)
    end)
    retire()
    evict()
    assert.same({ 1, "reload" }, { done, code })
  end)

  it("may end again", function()
    local flight = in_flight(function(ctx)
      ctx:sleep(20):await()
    end)
    retire()
    boot.evict(app.served)
    evict()
    assert.equal(503, flight:response().status)
    assert.equal(1, done)
    flight:done()
  end)
end)

describe("a file that is being sent when its scripts have to end", function()
  local path

  before_each(function()
    path = os.tmpname()
    local file = io.open(path, "w")
    file:write(("x"):rep(8 * 1024 * 1024))
    file:close()
  end)

  after_each(function()
    os.remove(path)
  end)

  local function assert_broken_off(status)
    local flight = app:start("GET", "/"):pause()
    app.clock:settle()
    retire()
    evict()
    assert.equal(1, done)
    flight:pause(false)
    local bytes, ended = flight:read()
    assert.is_true(ended)
    assert.matches("^HTTP/1.1 " .. status, bytes)
    assert.is_true(#bytes < 8 * 1024 * 1024)
    assert.is_nil(bytes:find("HTTP/1.1 503", 1, true)) -- an ETag may have these digits
    flight:disconnect()
  end

  it("is broken off: the head is out", function()
    serve(function(a)
      a:get("/", function(ctx)
        return ctx:send_file(path)
      end)
    end)
    assert_broken_off(200)
  end)

  it("is broken off if app:on_error sends it", function()
    serve(function(a)
      a:on_error(function(ctx)
        return ctx:send_file(path)
      end)
      a:get("/", function()
        error("broken")
      end)
    end)
    assert_broken_off(500)
  end)
end)
