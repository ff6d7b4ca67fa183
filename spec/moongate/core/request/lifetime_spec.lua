--- How the scope of a request ends.
local moongate = require("moongate")
local test = require("moongate.test")
local helpers = dofile("spec/fixture/helpers.lua")
local Future = moongate.Future
local here = helpers.here

local app

-- An app with one route, GET /, and what it logs, one message a line.
local function serve(options, handler)
  if not handler then
    options, handler = {}, options
  end
  app = test.app(function(a)
    a:get("/", options, handler)
  end)
  return app
end

local function logged()
  return helpers.logged(app)
end

local function count(pattern)
  local _, n = logged():gsub(pattern, "")
  return n
end

after_each(function()
  app:close()
end)

describe("a normal end", function()
  it("detaches what is in flight, which may finish", function()
    local finished
    serve(function(ctx)
      ctx:spawn(function()
        ctx:sleep(5):await()
        finished = app.clock:elapsed()
      end)
      return "ok"
    end)
    assert.equal(200, app:get("/").status)
    assert.near(0, app.clock:elapsed(), 0.001)
    app.clock:advance(10)
    assert.near(5, finished, 0.001)
    app:assert_no_leaks()
  end)

  it("logs the failure of what was detached, with the line that made it", function()
    local line
    serve(function(ctx)
      line = here() + 1
      ctx:spawn(function()
        ctx:sleep(5):await()
        error("too bad")
      end)
      return "ok"
    end)
    app:get("/")
    assert.equal("", logged())
    app.clock:advance(10)
    assert.equal(1, count("too bad %(error%)"))
    assert.matches("lifetime_spec%.lua:" .. line .. ":", logged())
  end)

  it("cancels what is detached at the handler's deadline", function()
    local code, at
    serve({ timeout = 3 }, function(ctx)
      ctx:spawn(function()
        ctx:sleep(1):await()
        local _, err = pcall(function()
          ctx:sleep(60):await()
        end)
        code, at = err.code, app.clock:elapsed()
      end)
      ctx:sleep(2):await()
      return "ok"
    end)
    app:get("/")
    app.clock:advance(60)
    assert.equal("cancelled", code)
    assert.near(3, at, 0.001)
    assert.equal("", logged())
    app:assert_no_leaks()
  end)

  it("keeps neither timer nor request once nothing is in flight", function()
    local kept = setmetatable({}, { __mode = "k" })
    serve(function(ctx)
      kept[ctx.state] = true
      ctx:sleep(1)
      return "ok"
    end)
    app:get("/")
    app.clock:advance(2)
    collectgarbage()
    collectgarbage()
    assert.is_nil(next(kept))
  end)

  it("logs a rejection that nobody looked at, at once and with its line", function()
    local line
    serve(function(ctx)
      line = here() + 1
      ctx:spawn(function()
        error("overlooked")
      end)
      ctx:sleep(1):await()
      assert.equal("", logged())
      return "ok"
    end)
    app:get("/")
    assert.equal(1, count("overlooked"))
    assert.matches("nobody awaited, made at %S*lifetime_spec%.lua:" .. line .. ":", logged())
    app.clock:advance(60)
    assert.equal(1, count("overlooked"))
  end)

  it("does not log a rejection that somebody looked at", function()
    serve(function(ctx)
      local f = ctx:spawn(function()
        error("seen")
      end)
      ctx:sleep(1):await()
      f:try_await()
      return "ok"
    end)
    app:get("/")
    app.clock:advance(60)
    assert.equal("", logged())
  end)

  it("of a streamed answer comes with its last byte", function()
    local order = {}
    serve(function(ctx)
      ctx:on_close(function()
        order[#order + 1] = "closed"
      end)
      ctx:stream("text/plain", function(out)
        out:write("a")
        ctx:sleep(1):await()
        order[#order + 1] = "written"
      end)
    end)
    assert.equal("a", app:get("/").body)
    app.clock:settle()
    assert.same({ "written", "closed" }, order)
  end)
end)

describe("the client's departure", function()
  local function codes_of(handler)
    local codes = {}
    serve(function(ctx)
      local function attempt(name, fn)
        local ok, err = pcall(fn)
        codes[name] = ok and "went on" or err.code
      end
      handler(ctx, attempt)
    end)
    app:start("GET", "/"):disconnect(1)
    app.clock:settle()
    return codes
  end

  it("raises cancelled at the pending await and at every later one", function()
    local codes = codes_of(function(ctx, attempt)
      for i = 1, 3 do
        attempt(i, function()
          ctx:sleep(60):await()
        end)
      end
    end)
    assert.same({ "cancelled", "cancelled", "cancelled" }, codes)
    assert.near(1, app.clock:elapsed(), 0.001)
    app:assert_no_leaks()
  end)

  it("raises for try_await, and for what is settled", function()
    local codes = codes_of(function(ctx, attempt)
      attempt("try", function()
        ctx:sleep(60):try_await()
      end)
      attempt("settled", function()
        local f = moongate.future()
        f:resolve()
        f:await()
      end)
    end)
    assert.same({ try = "cancelled", settled = "cancelled" }, codes)
  end)

  it("cancels children and callbacks", function()
    local codes = codes_of(function(ctx, attempt)
      ctx:spawn(function()
        attempt("child", function()
          ctx:sleep(60):await()
        end)
      end)
      ctx:sleep(0):and_then(function()
        attempt("callback", function()
          Future.all({ ctx:sleep(60), ctx:sleep(70) }):await()
        end)
      end)
      attempt("handler", function()
        ctx:sleep(60):await()
      end)
    end)
    assert.same({ child = "cancelled", callback = "cancelled", handler = "cancelled" }, codes)
    app:assert_no_leaks()
  end)

  it("lets nothing new begin", function()
    local began
    serve(function(ctx)
      pcall(function()
        ctx:sleep(60):await()
      end)
      ctx:sleep(5)
      ctx:spawn(function()
        began = true
      end)
    end)
    app:start("GET", "/"):disconnect(1)
    assert.is_nil(began)
    app:assert_no_leaks()
  end)

  it("is not logged, nor what the handler makes of it", function()
    serve(function(ctx)
      local ok = pcall(function()
        ctx:sleep(60):await()
      end)
      return tostring(ok)
    end)
    app:start("GET", "/"):disconnect(1)
    app.clock:advance(60)
    assert.equal("", logged())
  end)

  it("leaves moongate.spawn alone, even if the handler awaits it", function()
    local finished
    serve(function()
      moongate.spawn(function()
        moongate.sleep(5):await()
        finished = true
      end):await()
    end)
    app:start("GET", "/"):disconnect(1)
    app.clock:advance(10)
    assert.is_true(finished)
    app:assert_no_leaks()
  end)

  it("leaves an update_cache under way alone", function()
    local written
    serve(function(ctx)
      ctx:update_cache("key", 1):await()
    end)
    app:stub("update_cache", function()
      return moongate.spawn(function()
        moongate.sleep(5):await()
        written = true
      end)
    end)
    app:start("GET", "/"):disconnect(1)
    app.clock:advance(10)
    assert.is_true(written)
  end)

  it("leaves an update_cache of the request's own scope alone", function()
    local write
    serve(function(ctx)
      write = ctx:update_cache("key", 1)
      ctx:sleep(60):await()
    end)
    app:stub("update_cache", test.after(5, "written"))
    app:start("GET", "/"):disconnect(1)
    app.clock:advance(10)
    assert.equal("resolved", write:state())
  end)

  it("during a stream cancels it", function()
    local code
    serve(function(ctx)
      ctx:stream("text/plain", function(out)
        local _, err = pcall(function()
          while true do
            out:write("tick\n")
            ctx:sleep(1):await()
          end
        end)
        code = err.code
      end)
    end)
    app:start("GET", "/"):disconnect(3)
    app.clock:advance(2)
    assert.equal("cancelled", code)
    assert.equal("", logged())
    app:assert_no_leaks()
  end)
end)

describe("a client's FIN", function()
  it("leaves 1 s to answer", function()
    serve(function(ctx)
      ctx:sleep(0.9):await()
      return "in time"
    end)
    assert.equal("in time", app:start("GET", "/"):finish():response().body)
  end)

  it("cancels the request after that", function()
    local code, at
    serve(function(ctx)
      local _, err = pcall(function()
        ctx:sleep(60):await()
      end)
      code, at = err.code, app.clock:elapsed()
    end)
    app:start("GET", "/"):finish()
    app.clock:advance(10)
    assert.equal("cancelled", code)
    -- Over HTTP/2 the peer has taken our settings meanwhile, so it gets another second.
    assert.near(test._http2 and 2 or 1, at, 0.001)
  end)

  it("is followed as timeouts.half_close says", function()
    app = test.app(function(a)
      a:get("/", function(ctx)
        ctx:sleep(3):await()
        return "in time"
      end)
    end, { timeouts = { half_close = 5 } })
    assert.equal("in time", app:start("GET", "/"):finish():response().body)
  end)
end)

describe("ctx:on_close", function()
  local runs

  local function note(name)
    return function(err)
      runs[#runs + 1] = name .. " " .. (err and err.code or "normally")
    end
  end

  before_each(function()
    runs = {}
  end)

  it("runs once, in order, after a normal end", function()
    serve(function(ctx)
      ctx:on_close(note("first"))
      ctx:on_close(note("second"))
      return "ok"
    end)
    app:get("/")
    app.clock:advance(60)
    assert.same({ "first normally", "second normally" }, runs)
  end)

  it("runs once when the client leaves", function()
    serve(function(ctx)
      ctx:on_close(note("gone"))
      ctx:sleep(60):await()
    end)
    app:start("GET", "/"):disconnect(1)
    app.clock:advance(60)
    assert.same({ "gone cancelled" }, runs)
  end)

  it("runs once at the deadline and once after a failure", function()
    serve({ timeout = 2 }, function(ctx)
      ctx:on_close(note(ctx.query.how))
      if ctx.query.how == "late" then
        ctx:sleep(60):await()
      end
      error("failed")
    end)
    app:get("/?how=late")
    app:get("/?how=failed")
    app.clock:advance(60)
    assert.same({ "late cancelled", "failed cancelled" }, runs)
  end)

  it("may await, and its failure is logged", function()
    serve(function(ctx)
      ctx:on_close(function()
        moongate.sleep(1):await()
        error("cleanup failed")
      end)
      ctx:on_close(note("other"))
      return "ok"
    end)
    app:get("/")
    app.clock:advance(2)
    assert.same({ "other normally" }, runs)
    assert.equal(1, count("cleanup failed"))
  end)

  it("is refused once the request is over", function()
    local message
    serve(function(ctx)
      ctx:spawn(function()
        ctx:sleep(1):await()
        message = select(2, pcall(function()
          ctx:on_close(print)
        end))
      end)
      return "ok"
    end)
    app:get("/")
    app.clock:advance(2)
    assert.matches("lifetime_spec%.lua:%d+: on_close: the request is over", message)
  end)
end)
