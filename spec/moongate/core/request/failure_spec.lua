--- Who answers in place of a handler that failed, and what is logged.
local test = require("moongate.test")
local helpers = dofile("spec/fixture/helpers.lua")

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
  return helpers.logged(app)
end

after_each(function()
  app:assert_no_leaks()
end)

describe("a handler that raises", function()
  it("is a 500 that keeps the message from the client and logs it with its traceback", function()
    handle(function()
      error("secret detail")
    end)
    local res = app:get("/")
    assert.equal(500, res.status)
    assert.is_nil(res.body:find("secret", 1, true))
    assert.matches("failure_spec%.lua:%d+: secret detail.*stack traceback.*failure_spec%.lua",
      logged())
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
      local pattern = row[2]:gsub("%%%%", "%%")
      local placed = pattern:gsub("^failed: ", "failed: %%S*failure_spec%%.lua:%%d+: ")
      assert.matches(name == "our own, spoilt" and pattern or placed, logged())
      assert.equal(0, app.clock:elapsed())
    end)
  end

  it("leaves nothing on its 500 that described its content", function()
    handle(function(ctx)
      ctx:header("ETag", '"a"'):header("Cache-Control", "public, max-age=60")
      ctx:header("Last-Modified", "Sat, 28 Nov 2026 10:00:00 GMT"):header("Content-Language", "de")
      ctx:header("Content-Disposition", "attachment"):header("X-Own", "1"):header("Vary", "Origin")
      ctx:header("Content-Security-Policy", "default-src 'none'")
      ctx:cookie("session", "secret"):cookie("seen", "1", { on_error = true })
      error("boom")
    end)
    local res = app:get("/")
    assert.equal(500, res.status)
    for _, name in ipairs({
      "etag", "cache-control", "last-modified", "content-language", "content-disposition",
    }) do
      assert.is_nil(res.headers[name], name)
    end
    assert.equal("seen=1; Path=/", res.headers["set-cookie"])
    assert.equal("1", res.headers["x-own"])
    assert.equal("Origin", res.headers.vary)
    assert.equal("default-src 'none'", res.headers["content-security-policy"])
  end)

  it("keeps the cookie that is for errors though on_error fails too", function()
    app = test.app(function(target)
      target:on_error(function(ctx)
        ctx:fail(503, "later")
      end)
      target:get("/", function(ctx)
        ctx:cookie("session", "secret"):cookie("seen", "1", { on_error = true })
        error("boom")
      end)
    end)
    local res = app:get("/")
    assert.equal(503, res.status)
    assert.equal("seen=1; Path=/", res.headers["set-cookie"])
  end)

  it("keeps no-store, and its cookies with an error that it chose", function()
    handle(function(ctx)
      ctx:header("Cache-Control", "no-store"):cookie("a", "b")
      ctx:fail(403, "no")
    end)
    local res = app:get("/")
    assert.same({ "no-store", "a=b; Path=/" },
      { res.headers["cache-control"], res.headers["set-cookie"] })
  end)

  it("is not logged if app:on_error makes it the client's own matter", function()
    serve(function(a)
      a:on_error(function(ctx, err)
        if ctx.query.fail then
          ctx:fail(tonumber(ctx.query.fail), "said so")
        end
        return tonumber(ctx.query.status), { code = err.code }
      end)
      a:get("/", function()
        error({ code = "mine" })
      end)
    end)
    assert.equal(409, app:get("/?status=409").status)
    assert.equal(422, app:get("/?fail=422").status)
    assert.equal("", logged())
    assert.equal(500, app:get("/?status=500").status)
    assert.matches("failed: %S*failure_spec%.lua:%d+: mine\nstack traceback", logged())
    app.logs[1] = nil
    assert.equal(503, app:get("/?fail=503").status)
    assert.matches("failed: %S*failure_spec%.lua:%d+: mine\nstack traceback", logged())
  end)

  it("is answered as ctx:fail says in app:on_error", function()
    serve(function(a)
      a:on_error(function(ctx)
        ctx:header("X-Kept", "1")
        ctx:fail(410, "it is gone", { id = 7 })
      end)
      a:get("/", function()
        error("boom")
      end)
    end)
    local res = app:get("/")
    assert.equal(410, res.status)
    assert.same({ "it is gone", 7, "1" },
      { res:json().detail, res:json().id, res.headers["x-kept"] })
  end)

  it("is logged once though app:on_error fails as well", function()
    serve(function(a)
      a:on_error(function()
        error("worse")
      end)
      a:get("/", function()
        error("bad")
      end)
    end)
    assert.equal(500, app:get("/").status)
    assert.equal(2, #app.logs)
    assert.matches(": bad ", app.logs[1].message)
    assert.matches(": worse ", app.logs[2].message)
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
