local moongate = require("moongate")
local test = require("moongate.test")

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
  local lines = {}
  for _, entry in ipairs(app.logs) do
    lines[#lines + 1] = entry.message
  end
  return table.concat(lines, "\n")
end

after_each(function()
  app:assert_no_leaks()
end)

describe("what a handler returns", function()
  it("may be text, a table, or a status and one of them", function()
    local answers = {
      text = { "hello" },
      table = { { a = 1 } },
      created = { 201, { id = 7 } },
      teapot = { 418, "short and stout" },
      empty = { 204 },
    }
    handle(function(ctx)
      return unpack(answers[ctx.query.kind])
    end)
    local res = app:get("/?kind=text")
    assert.same({ 200, "hello", "text/plain; charset=utf-8" },
      { res.status, res.body, res.headers["content-type"] })
    res = app:get("/?kind=table")
    assert.same({ 200, '{"a":1}', "application/json" },
      { res.status, res.body, res.headers["content-type"] })
    res = app:get("/?kind=created")
    assert.same({ 201, '{"id":7}' }, { res.status, res.body })
    res = app:get("/?kind=teapot")
    assert.same({ 418, "short and stout" }, { res.status, res.body })
    res = app:get("/?kind=empty")
    assert.same({ 204, "" }, { res.status, res.body })
  end)

  it("keeps a type and status that were set before", function()
    handle(function(ctx)
      ctx:status(202):header("Content-Type", "text/csv")
      return "a,b\n"
    end)
    local res = app:get("/")
    assert.same({ 202, "text/csv", "a,b\n" }, { res.status, res.headers["content-type"], res.body })
  end)

  it("is refused if it is something else, naming what is allowed", function()
    handle(function()
      return true
    end)
    assert.equal(500, app:get("/").status)
    assert.matches("returns a string, a table, or a status and one of these, not boolean", logged())
  end)

  it("is refused if JSON cannot say it", function()
    handle(function()
      return { f = print }
    end)
    assert.equal(500, app:get("/").status)
    assert.matches("a function cannot be JSON", logged())
  end)
end)

describe("a handler without an answer", function()
  it("is a 500 with a log line naming the route", function()
    serve(function(a)
      a:get("/users/:id", function() end)
    end)
    assert.equal(500, app:get("/users/7").status)
    assert.equal(1, #app.logs)
    assert.matches("the handler of GET /users/:id ended without an answer", logged())
    assert.equal("/users/:id", app.logs[1].fields.route)
  end)
end)

describe("a handler that raises", function()
  it("is a 500 that keeps the message from the client and logs it with its traceback", function()
    handle(function()
      error("secret detail")
    end)
    local res = app:get("/")
    assert.equal(500, res.status)
    assert.is_nil(res.body:find("secret", 1, true))
    assert.matches("serve_spec%.lua:%d+: secret detail.*stack traceback.*serve_spec%.lua", logged())
    assert.equal("error", app.logs[1].level)
    assert.equal(res:json().request_id, app.logs[1].fields.request_id)
  end)

  it("is answered as its error's code says", function()
    local statuses = {
      timeout = 504, dns = 502, connect = 502, tls = 502, closed = 502, protocol = 502,
      database = 503, cache = 503, file = 500, limit = 413, cancelled = 500,
    }
    handle(function(ctx)
      error({ code = ctx.query.code, message = "stubbed" })
    end)
    for code, status in pairs(statuses) do
      assert.equal(status, app:get("/?code=" .. code).status, code)
    end
  end)

  it("is told from another's by what it says besides", function()
    local faults = {
      { { code = "database", reason = "constraint" }, 500 },
      { { code = "database", reason = "busy" }, 503 },
      { { code = "limit", url = "http://a/" }, 502 },
      { { code = "limit", path = "a.txt" }, 500 },
    }
    handle(function(ctx)
      local fault = faults[tonumber(ctx.query.n)][1]
      fault.message = "stubbed"
      error(fault)
    end)
    for n, fault in ipairs(faults) do
      assert.equal(fault[2], app:get("/?n=" .. n).status)
    end
  end)

  it("does not harm the next request on the connection", function()
    handle(function(ctx)
      assert(ctx.query.good, "bad")
      return "good"
    end)
    local flight = app:start("GET", "/"):keep()
    assert.equal(500, flight:response().status)
    flight:send("GET /?good=1 HTTP/1.1\r\nHost: a\r\n\r\n")
    assert.equal("good", flight:response().body)
    flight:done()
  end)
end)

describe("ctx:fail", function()
  it("becomes problem+json with the request's id", function()
    handle(function(ctx)
      ctx:fail(404, "no such user", { user = 7 })
    end)
    local res = app:get("/")
    assert.equal(404, res.status)
    assert.equal("application/problem+json", res.headers["content-type"])
    local problem = res:json()
    assert.matches("^%x+$", problem.request_id)
    problem.request_id = nil
    assert.same({
      type = "about:blank", title = "Not Found", status = 404, detail = "no such user", user = 7,
    }, problem)
    assert.equal("", logged())
  end)

  it("of 5xx is logged", function()
    handle(function(ctx)
      ctx:fail(503, "come back later")
    end)
    assert.equal("come back later", app:get("/"):json().detail)
    assert.matches("come back later", logged())
  end)

  it("drops what was staged", function()
    handle(function(ctx)
      ctx:json({ staged = true }, 201)
      ctx:fail(409, "taken")
    end)
    assert.equal("taken", app:get("/"):json().detail)
  end)

  it("wants a status of 400 to 599", function()
    handle(function(ctx)
      return (select(2, pcall(ctx.fail, ctx, 200, "x")))
    end)
    assert.matches("fail: the status is 400 to 599, not 200", app:get("/").body)
  end)
end)

describe("app:on_error", function()
  it("maps errors to answers, and may await", function()
    serve(function(a)
      a:on_error(function(ctx, err)
        ctx:sleep(1):await()
        return 418, { code = err.code, message = err.message }
      end)
      a:get("/", function()
        error("boom")
      end)
    end)
    local res = app:get("/")
    assert.equal(418, res.status)
    assert.same({ code = "error", message = "boom" }, res:json())
    assert.near(1, app.clock:elapsed(), 0.001)
  end)

  it("that does not answer leaves the problem+json", function()
    serve(function(a)
      a:on_error(function() end)
      a:get("/", function(ctx)
        ctx:fail(404, "gone")
      end)
    end)
    assert.equal("gone", app:get("/"):json().detail)
  end)

  it("that raises is a logged 500", function()
    serve(function(a)
      a:on_error(function()
        error("mapper broken")
      end)
      a:get("/", function(ctx)
        ctx:fail(404, "gone")
      end)
    end)
    local res = app:get("/")
    assert.equal(500, res.status)
    assert.equal("application/problem+json", res.headers["content-type"])
    assert.matches("mapper broken", logged())
  end)

  it("sees the deadline, and gets one second of its own", function()
    serve(function(a)
      a:on_error(function(ctx, err)
        ctx:sleep(tonumber(ctx.query.wait)):await()
        return 504, err.code
      end)
      a:get("/", { timeout = 2 }, function(ctx)
        ctx:sleep(60):await()
      end)
    end)
    assert.equal("timeout", app:get("/?wait=0.5").body)
    local start = app.clock:elapsed()
    local res = app:get("/?wait=60")
    assert.equal(504, res.status)
    assert.near(3, app.clock:elapsed() - start, 0.001)
  end)

  it("is held to the handler's deadline", function()
    serve(function(a)
      a:on_error(function(ctx)
        ctx:sleep(60):await()
      end)
      a:get("/", { timeout = 2 }, function()
        error("at once")
      end)
    end)
    assert.equal(504, app:get("/").status)
    assert.near(2, app.clock:elapsed(), 0.001)
  end)

  it("is cancelled when the client leaves", function()
    local code
    serve(function(a)
      a:on_error(function(ctx)
        local _, err = pcall(function()
          ctx:sleep(60):await()
        end)
        code = err.code
        error(err, 0)
      end)
      a:get("/", function()
        error("at once")
      end)
    end)
    app:start("GET", "/"):disconnect(1)
    app.clock:settle()
    assert.equal("cancelled", code)
  end)

  it("is not disturbed by a handler that goes on though it was cancelled", function()
    serve(function(a)
      a:on_error(function(ctx)
        ctx:json({ from = "on_error" })
        ctx:sleep(0.5):await()
      end)
      a:get("/", { timeout = 2 }, function(ctx)
        pcall(function()
          ctx:sleep(60):await()
        end)
        ctx:json({ from = "handler" })
      end)
    end)
    assert.same({ from = "on_error" }, app:get("/"):json())
    assert.equal(1, #app.logs)
  end)
end)

describe("middleware", function()
  local order

  local function around(name)
    return function(ctx, next)
      order[#order + 1] = "into " .. name
      ctx:sleep(1):await()
      next()
      ctx:sleep(1):await()
      order[#order + 1] = "out of " .. name
      ctx:header("X-" .. name, "seen")
    end
  end

  local function with(middleware, handler)
    return serve(function(a)
      for _, fn in ipairs(middleware) do
        a:use(fn)
      end
      a:get("/", handler or function()
        return "handler"
      end)
    end)
  end

  before_each(function()
    order = {}
  end)

  it("is an onion; await is legal before and after next()", function()
    with({ around("A"), around("B") })
    local res = app:get("/")
    assert.same({ "into A", "into B", "out of B", "out of A" }, order)
    assert.near(4, app.clock:elapsed(), 0.001)
    assert.equal("handler", res.body)
    assert.equal("seen", res.headers["x-a"])
    assert.equal("seen", res.headers["x-b"])
  end)

  it("may answer itself and never call next()", function()
    with({ function(ctx)
      ctx:fail(401, "who are you?")
    end }, function()
      order[1] = "handler"
      return "secret"
    end)
    assert.equal(401, app:get("/").status)
    assert.same({}, order)
  end)

  it("that calls next() a second time raises at its line", function()
    with({ function(_, next)
      next()
      next()
    end })
    assert.equal(500, app:get("/").status)
    assert.matches("serve_spec%.lua:%d+: next%(%) was called a second time", logged())
  end)

  it("replaces the whole staged answer by its own return", function()
    with({ function(_, next)
      next()
      return "replaced"
    end }, function()
      return 201, { from = "handler" }
    end)
    local res = app:get("/")
    assert.same({ 200, "replaced", "text/plain; charset=utf-8" },
      { res.status, res.body, res.headers["content-type"] })
  end)

  it("replaces with a status and type of its own", function()
    with({ function(ctx, next)
      next()
      ctx:status(202):header("Content-Type", "text/csv")
      return "a,b"
    end })
    local res = app:get("/")
    assert.same({ 202, "a,b", "text/csv" }, { res.status, res.body, res.headers["content-type"] })
  end)

  it("may answer after next()", function()
    with({ function(ctx, next)
      next()
      ctx:json({ instead = true }, 203)
    end })
    local res = app:get("/")
    assert.same({ 203, '{"instead":true}' }, { res.status, res.body })
  end)

  it("sees what the handler raises", function()
    with({ function(ctx, next)
      local ok, err = pcall(next)
      ctx:json({ ok = ok, message = err.message })
    end }, function(ctx)
      ctx:fail(400, "caught")
    end)
    assert.same({ ok = false, message = "caught" }, app:get("/"):json())
  end)

  it("surrounds what no route takes", function()
    with({ around("A") })
    local res = app:get("/nowhere")
    assert.equal(404, res.status)
    assert.same({ "into A" }, order)
  end)
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
