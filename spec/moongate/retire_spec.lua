local moongate = require("moongate")
local test = require("moongate.test")
local boot = require("moongate.boot")
local sched = require("moongate.core.sched")

local DRAIN = 30

local app, done

local function serve(declare, options)
  app = test.app(declare, options)
  return app
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

local function pins()
  return { boot.pins(app.served) }
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
  local lines = {}
  for _, entry in ipairs(app.logs) do
    lines[#lines + 1] = entry.message
  end
  return table.concat(lines, "\n")
end

after_each(function()
  app:assert_no_leaks()
end)

describe("scripts that were replaced", function()
  it("are over at once if nothing holds them", function()
    serve(function() end)
    retire()
    assert.equal(1, done)
    assert.near(0, app.clock:elapsed(), 0.001)
  end)

  it("run on_stop, in a coroutine, before they are over", function()
    local stopped
    serve(function(a)
      a:on_stop(function()
        moongate.sleep(2):await()
        stopped = true
      end)
    end)
    retire()
    assert.equal(0, done)
    app.clock:advance(2)
    assert.same({ true, 1 }, { stopped, done })
  end)

  it("are over though on_stop fails, which is logged", function()
    local second
    serve(function(a)
      a:on_stop(function()
        error("stop broken")
      end)
      a:on_stop(function()
        second = true
      end)
    end)
    retire()
    assert.same({ 1, true }, { done, second })
    assert.matches("an on_stop function failed: .*stop broken", logged())
  end)

  it("are over though on_stop yields to nobody", function()
    serve(function(a)
      a:on_stop(function()
        coroutine.yield()
      end)
    end)
    retire()
    assert.equal(1, done)
    assert.matches("an on_stop function failed", logged())
  end)

  it("cancel an on_stop that takes too long, with code reload", function()
    local code
    serve(function(a)
      a:on_stop(function()
        code = code_of(function()
          moongate.sleep(1000):await()
        end)
      end)
    end)
    retire()
    app.clock:advance(DRAIN - 1)
    assert.equal(0, done)
    app.clock:advance(1.01)
    assert.same({ 1, "reload" }, { done, code })
  end)

  it("do not wait for what on_stop leaves behind", function()
    local code
    serve(function(a)
      a:on_stop(function()
        moongate.spawn(function()
          code = code_of(function()
            moongate.sleep(1000):await()
          end)
        end)
        moongate.sleep(1):await()
      end)
    end)
    retire()
    app.clock:advance(1)
    assert.same({ 1, "reload" }, { done, code })
  end)

  it("are over once, whatever ends later", function()
    in_background(function()
      moongate.sleep(1):await()
    end)
    retire()
    app.clock:advance(1000)
    evict()
    app.clock:advance(1000)
    assert.equal(1, done)
  end)
end)

describe("requests of replaced scripts", function()
  it("go on until they end, however long that takes", function()
    serve(function(a)
      a:get("/", { timeout = 500 }, function(ctx)
        ctx:sleep(100):await()
        return "old"
      end)
    end)
    local flight = app:start("GET", "/")
    app.clock:settle()
    retire(1)
    assert.same({ 1, 0, 0 }, pins())
    app.clock:advance(50)
    assert.equal(0, done)
    assert.equal("old", flight:response().body)
    assert.equal(1, done)
  end)

  it("go on if they stream", function()
    serve(function(a)
      a:get("/", function(ctx)
        ctx:stream("text/plain", function(out)
          for i = 1, 5 do
            out:write(i .. "\n")
            ctx:sleep(100):await()
          end
        end)
      end)
    end)
    local flight = app:start("GET", "/")
    app.clock:settle()
    retire(1)
    assert.same({ 0, 1, 0 }, pins())
    assert.equal("1\n2\n3\n4\n5\n", flight:response().body)
    assert.equal(1, done)
  end)

  it("hold them no longer once the client has left", function()
    local served_again = false
    serve(function(a)
      a:get("/", function(ctx)
        ctx:sleep(10):await()
        served_again = true
      end)
    end)
    local flight = app:start("GET", "/")
    app.clock:settle()
    retire()
    assert.equal(0, done)
    flight:disconnect()
    assert.same({ 1, false }, { done, served_again })
  end)

  it("hold them until what they detached has ended", function()
    serve(function(a)
      a:get("/", function(ctx)
        ctx:spawn(function()
          ctx:sleep(5):await()
        end)
        return "ok"
      end)
    end)
    app:get("/")
    retire()
    assert.same({ 0, 0, 1 }, pins())
    app.clock:advance(4)
    assert.equal(0, done)
    app.clock:advance(1.01)
    assert.equal(1, done)
  end)

  it("hold them until on_close functions have ended", function()
    local steps = {}
    serve(function(a)
      a:get("/", function(ctx)
        ctx:on_close(function()
          for i = 1, 3 do
            moongate.sleep(1):await()
            steps[i] = i
          end
        end)
        return "ok"
      end)
    end)
    app:get("/")
    retire()
    assert.same({ 0, 0, 1 }, pins())
    app.clock:advance(2.5)
    assert.equal(0, done)
    app.clock:advance(1)
    assert.same({ 1, { 1, 2, 3 } }, { done, steps })
  end)

  it("may await in on_close though the background had to end", function()
    local closed
    serve(function(a)
      a:get("/", { timeout = 500 }, function(ctx)
        ctx:on_close(function()
          moongate.sleep(0.1):await()
          closed = true
        end)
        ctx:sleep(100):await()
        return "ok"
      end)
    end)
    local flight = app:start("GET", "/")
    app.clock:settle()
    retire(1)
    assert.equal("ok", flight:response().body)
    assert.equal(0, done)
    app.clock:advance(0.2)
    assert.same({ 1, true }, { done, closed })
  end)
end)

describe("the background of replaced scripts", function()
  it("goes on for the given time, and holds them", function()
    local ended
    in_background(function()
      moongate.sleep(20):await()
      ended = true
    end)
    retire()
    assert.same({ 0, 0, 1 }, pins())
    app.clock:advance(19)
    assert.equal(0, done)
    app.clock:advance(1.01)
    assert.same({ 1, true }, { done, ended })
    assert.equal("", logged())
  end)

  it("is over with its end: nobody looks in between", function()
    in_background(function()
      moongate.sleep(20):await()
    end)
    retire()
    app.clock:settle()
    local operations = select(2, sched.under_way())
    assert.equal(2, #operations) -- its sleep and the end of its time
    app.clock:advance(20.01)
    assert.equal(1, done)
  end)

  it("is cancelled then with code reload, which is no failure to log", function()
    local code
    in_background(function()
      code = code_of(function()
        moongate.sleep(1000):await()
      end)
      moongate.sleep(1):await()
    end)
    moongate.after(1000, function() end)
    retire()
    app.clock:advance(DRAIN + 0.01)
    assert.same({ 1, "reload" }, { done, code })
    app.clock:advance(100)
    assert.equal("", logged())
  end)

  it("that catches the cancellation gets it again at each await, and holds nothing", function()
    local codes = {}
    in_background(function()
      for i = 1, 3 do
        codes[i] = code_of(function()
          moongate.sleep(1000):await()
        end)
      end
    end)
    retire()
    app.clock:advance(DRAIN + 0.01)
    assert.same({ 1, { "reload", "reload", "reload" } }, { done, codes })
  end)

  it("is cancelled before on_stop runs", function()
    local order = {}
    serve(function(a)
      a:on_start(function()
        moongate.spawn(function()
          pcall(function()
            moongate.sleep(1000):await()
          end)
          order[#order + 1] = "cleaned up"
        end)
      end)
      a:on_stop(function()
        order[#order + 1] = "on_stop"
      end)
    end)
    retire()
    app.clock:advance(DRAIN + 0.01)
    assert.same({ "cleaned up", "on_stop" }, order)
  end)

  it("is cancelled in its time though a request goes on", function()
    local code
    serve(function(a)
      a:get("/", { timeout = 500 }, function(ctx)
        moongate.spawn(function()
          code = code_of(function()
            moongate.sleep(1000):await()
          end)
        end)
        ctx:sleep(100):await()
        return "ok"
      end)
    end)
    local flight = app:start("GET", "/")
    app.clock:settle()
    retire()
    app.clock:advance(DRAIN + 0.01)
    assert.same({ 0, "reload" }, { done, code })
    assert.equal("ok", flight:response().body)
    assert.equal(1, done)
  end)

  it("is cancelled in detached work as well", function()
    local code
    serve(function(a)
      a:get("/", { timeout = 500 }, function(ctx)
        ctx:spawn(function()
          code = code_of(function()
            ctx:sleep(400):await()
          end)
        end)
        return "ok"
      end)
    end)
    app:get("/")
    retire()
    app.clock:advance(DRAIN + 0.01)
    assert.same({ 1, "reload" }, { done, code })
  end)

  it("is counted by its strands, jobs at rest left out", function()
    serve(function(a)
      a:every("job", 10, function()
        moongate.sleep(1):await()
      end)
      a:on_start(function()
        moongate.after(100, function() end)
        moongate.spawn(function()
          moongate.Future.all({ moongate.sleep(100), moongate.sleep(100) }):await()
        end)
      end)
    end)
    assert.same({ 0, 0, 2 }, pins())
    app.clock:advance(10.5)
    assert.same({ 0, 0, 3 }, pins())
    app.clock:advance(99)
    assert.same({ 0, 0, 1 }, pins()) -- the run that began at 109 s
    app.clock:advance(1)
    assert.same({ 0, 0, 0 }, pins())
  end)
end)

describe("jobs of replaced scripts", function()
  local runs

  local function every(seconds, takes)
    runs = {}
    serve(function(a)
      a:every("job", seconds, function()
        runs[#runs + 1] = "begun"
        local ok, err = pcall(function()
          moongate.sleep(takes):await()
        end)
        runs[#runs + 1] = ok and "ended" or err.code
      end)
    end)
  end

  it("tick no more, and hold nothing", function()
    every(10, 1)
    retire()
    assert.equal(1, done)
    app.clock:advance(100)
    assert.same({}, runs)
  end)

  it("finish the run in progress, which holds them", function()
    every(10, 5)
    app.clock:advance(11)
    retire()
    assert.same({ 0, 0, 1 }, pins())
    app.clock:advance(3.9)
    assert.same({ 0, { "begun" } }, { done, runs })
    app.clock:advance(100)
    assert.same({ 1, { "begun", "ended" } }, { done, runs })
  end)

  it("are cancelled in a run that takes too long", function()
    every(10, 500)
    app.clock:advance(11)
    retire()
    app.clock:advance(DRAIN + 0.01)
    assert.same({ 1, { "begun", "reload" } }, { done, runs })
    assert.equal("", logged())
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
    assert.is_nil(bytes:find("503", 1, true))
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
