local moongate = require("moongate")
local test = require("moongate.test")
local messages_of = dofile("spec/fixture/logged.lua")

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
  return messages_of(app)
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
    assert.matches("serve_spec%.lua:%d+: the handler returned true; allowed are a string, a table, "
      .. "a status from 200 to 599", logged())
  end)

  it("is refused as a whole if it cannot be understood", function()
    local returned = {
      ["42"] = { 42 }, ["99, a string"] = { 99, "x" }, ["200.5"] = { 200.5 },
      ["a string, 201"] = { "x", 201 }, ["nil, 201"] = { nil, 201 },
      ["201, a table, a string"] = { 201, {}, "x" }, ["a table, true"] = { {}, true },
      ["200, 200"] = { 200, 200 }, ["a function"] = { print },
    }
    handle(function(ctx)
      local row = returned[ctx.query.row]
      return unpack(row, 1, 3)
    end)
    for row in pairs(returned) do
      app.logs[1] = nil
      assert.equal(500, app:get("/?row=" .. row:gsub(" ", "%%20")).status)
      assert.matches("serve_spec%.lua:%d+: the handler returned " .. row:gsub("%p", "%%%0") .. ";",
        logged())
    end
  end)

  it("is no Future and not ctx itself", function()
    handle(function(ctx)
      return ctx.query.ctx and ctx or ctx:sleep(0)
    end)
    assert.equal(500, app:get("/?ctx=1").status)
    assert.matches("the handler returned ctx;", logged())
    assert.equal(500, app:get("/").status)
    assert.matches("the handler returned a Future, which is to be awaited first;", logged())
  end)

  it("is held to the same by middleware and on_error", function()
    serve(function(a)
      a:use(function(ctx, next)
        next()
        if ctx.query.middleware then
          return "x", 201
        end
      end)
      a:on_error(function()
        return 42
      end)
      a:get("/", function()
        return "fine"
      end)
      a:get("/fails", function()
        error("boom")
      end)
    end)
    assert.equal(500, app:get("/?middleware=1").status)
    assert.matches("serve_spec%.lua:%d+: the middleware returned a string, 201;", logged())
    assert.equal(500, app:get("/fails").status)
    assert.matches("serve_spec%.lua:%d+: the on_error function returned 42;", logged())
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

  -- Everything a script can throw; what is logged of it.
  local function raises(text)
    return function()
      error(text, 0)
    end
  end
  local function with_meta(name, value)
    return setmetatable({}, { [name] = value })
  end
  local THROWN = {
    ["ctx"] = { function(ctx) return ctx end, "ctx %(GET /%)" },
    ["nil"] = { function() end, "failed: nil" },
    ["a coroutine"] = { function() return coroutine.create(print) end, "failed: thread: " },
    ["a proxy"] = { function() return newproxy(true) end, "failed: userdata: " },
    ["__index that raises"] = { function() return with_meta("__index", raises("no")) end,
      "failed: error object" },
    ["__tostring that raises"] = { function() return with_meta("__tostring", raises("no")) end,
      "a table whose __tostring failed: no" },
    ["__tostring that gives no text"] = {
      function() return with_meta("__tostring", function() return {} end) end,
      "a table whose __tostring failed" },
    ["__tostring that awaits"] = {
      function(ctx)
        return with_meta("__tostring", function() return ctx:sleep(1):await() end)
      end, "a table whose __tostring failed: .*await" },
    ["__tostring that yields"] = { function() return with_meta("__tostring", coroutine.yield) end,
      "a table whose __tostring failed" },
    ["__tostring"] = { function() return with_meta("__tostring", function() return "mine" end) end,
      "failed: mine" },
    ["__metatable"] = { function() return with_meta("__metatable", 7) end, "failed: error object" },
    ["a status as text"] = { function() return { code = "status", status = "404" } end,
      "failed: status" },
    ["a status of a table"] = {
      function()
        return { code = "status", status = 404, message = "x", fields = { email = "x" } }
      end, "failed: x" },
    ["a traceback that is none"] = { function() return { message = "x", traceback = {} } end,
      "failed: x" },
    ["a message that is none"] = { function() return { message = { traceback = {} } } end,
      "failed: error object" },
    ["a cause of itself"] = {
      function()
        local err = { message = "round" }
        err.cause = err
        return err
      end, "failed: round" },
    ["a made-up cancellation"] = { function() return { code = "cancelled" } end,
      "failed: cancelled" },
    ["our own, spoilt"] = {
      function(ctx)
        local _, err = pcall(ctx.fail, ctx, 404, "x")
        err.status, err.message, err.details, err.fields = 99, {}, 7, "x"
        err.traceback, err.where = {}, {}
        return err
      end, "failed: no message %%(status%%)" },
    ["our own, with a field that is none"] = {
      function(ctx)
        local _, err = pcall(ctx.fail, ctx, 404, "x")
        err.fields = { ["X\r\nY"] = "z" }
        return err
      end, "is not a token" },
  }

  for name, row in pairs(THROWN) do
    it("is a 500 with a line in the log: " .. name, function()
      handle(function(ctx)
        error(row[1](ctx), 0)
      end)
      local res = app:get("/")
      assert.equal(500, res.status)
      assert.is_nil(res.headers.email)
      assert.matches((row[2]:gsub("%%%%", "%%")), logged())
      assert.equal(0, app.clock:elapsed())
    end)
  end

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

describe("what a script says in a head", function()
  local SPLIT = "text/plain\r\nX-Split: 1"
  local SAID = {
    bytes = function(ctx) ctx:bytes(SPLIT, "x") end,
    stream = function(ctx) ctx:stream(SPLIT, print) end,
    send_file = function(ctx) ctx:send_file("spec/app_spec.lua", { type = SPLIT }) end,
    header = function(ctx) ctx:header("Content-Type", SPLIT):text("x") end,
    redirect = function(ctx) ctx:redirect("/x\r\nX-Split: 1") end,
    cookie = function(ctx) ctx:cookie("a", "b", { path = "/x\r\nX-Split: 1" }) return "x" end,
  }

  for name, say in pairs(SAID) do
    it("holds no line end: " .. name, function()
      handle(say)
      local res = app:get("/")
      assert.equal(500, res.status)
      assert.is_nil(res.headers["x-split"])
      assert.matches("serve_spec%.lua:%d+: .*control character", logged())
    end)
  end

  it("holds no line end: trailer", function()
    local message
    handle(function(ctx)
      ctx:stream("text/plain", function(out)
        message = select(2, pcall(function()
          out:trailer("X", SPLIT)
        end))
        out:write("x")
      end)
    end)
    assert.equal("x", app:get("/").body)
    assert.matches("serve_spec%.lua:%d+: header X: .*control character", message)
  end)

  it("is looked at once more by C", function()
    local native = require("moongate.native")
    local slots = require("moongate.core.request.slots")
    local told = {}
    handle(function(ctx)
      for i, answer in ipairs({ { 99 }, { 1000 }, { 0 / 0 }, { 2 ^ 64 }, { 200, SPLIT },
        { 200, false, { "X", SPLIT } } }) do
        told[i] = select(2, native.respond(ctx[slots.HANDLE], answer[1], answer[2] or false,
          answer[3] or false, "x"))
      end
      return "fine"
    end)
    assert.equal("fine", app:get("/").body)
    for i = 1, 4 do
      assert.matches("a status is an integer from 200 to 599", told[i])
    end
    assert.matches("media type", told[5])
    assert.matches("header field", told[6])
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

  it("wants a status of 400 to 599, a text and a table", function()
    handle(function(ctx)
      local told = {}
      for i, args in ipairs({ { 200, "x" }, { 404.5 }, { "404" }, { 404, {} }, { 404, "x", 7 } }) do
        told[i] = select(2, pcall(ctx.fail, ctx, unpack(args)))
      end
      return table.concat(told, "\n")
    end)
    local body = app:get("/").body
    for _, text in ipairs({ "status is an integer from 400 to 599, not 200", "not 404.5",
      "not 404\n", "the message is a string, not a table", "the details are a table" }) do
      assert.is_truthy(body:find(text, 1, true), text)
    end
  end)
end)

describe("app:on_error", function()
  it("may await its own callbacks and coroutines, though the deadline passed", function()
    serve(function(app_)
      app_:get("/", { timeout = 1 }, function(ctx)
        ctx:sleep(60):await()
      end)
      app_:on_error(function(ctx)
        local a = ctx:sleep(0.1):and_then(function()
          ctx:sleep(0.1):await()
          return "callback"
        end)
        local b = ctx:spawn(function()
          ctx:sleep(0.1):await()
          return "coroutine"
        end)
        return a:await() .. " " .. b:await()
      end)
    end)
    assert.equal("callback coroutine", app:get("/").body)
  end)

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
