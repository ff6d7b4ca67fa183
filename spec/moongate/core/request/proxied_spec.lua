--- ctx:proxy: what scripts can do with another server's answer before it is relayed.
local test = require("moongate.test")

local ONE, TWO = "http://127.0.0.1:9001", "http://127.0.0.1:9002"
local UPSTREAMS = {
  users = { servers = { ONE } },
  shop = { servers = { TWO } },
}

local app

local function serve(declare, options)
  options = options or {}
  options.upstreams = options.upstreams or UPSTREAMS
  app = test.app(declare, options)
  app:stub_upstream("users", { [ONE] = { status = 201, headers = { ["X-From"] = "users",
    ["Content-Type"] = "text/plain" }, body = "made" } })
  return app
end

after_each(function()
  if app then
    app:assert_no_leaks()
  end
  app = nil
end)

local function proxying(target)
  target:any("/*path", function(ctx) ctx:proxy("users") end)
end

describe("ctx:proxy", function()
  it("answers as the server did", function()
    serve(proxying)
    local res = app:get("/a?b=1")
    assert.equal(201, res.status)
    assert.equal("made", res.body)
    assert.equal("users", res.headers["x-from"])
    assert.equal("text/plain", res.headers["content-type"])
    local request = app:requests_to("users")[1]
    assert.equal("GET", request.method)
    assert.equal("/a?b=1", request.path)
  end)

  it("passes the body on", function()
    serve(proxying)
    assert.equal(201, app:post("/a", { body = ("x"):rep(200000) }).status)
    assert.equal(200000, #app:requests_to("users")[1].body)
  end)

  it("passes a body on that the handler has read", function()
    serve(function(target)
      target:post("/x", function(ctx)
        assert(ctx:body_json():await().n == 1)
        ctx:proxy("users")
      end)
    end)
    assert.equal(201, app:post("/x", { json = { n = 1 } }).status)
    assert.equal('{"n":1}', app:requests_to("users")[1].body)
  end)

  it("is seen by middleware with its fields", function()
    local seen
    serve(function(target)
      target:use(function(ctx, next)
        next()
        seen = { ctx.answer.status, ctx.answer.headers["X-From"] }
      end)
      proxying(target)
    end)
    assert.equal("users", app:get("/a").headers["x-from"])
    assert.same({ 201, "users" }, seen)
  end)

  it("leaves no field of its own on a failure in its place, looked at or not", function()
    for _, look in ipairs({ false, true }) do
      serve(function(target)
        target:get("/x", function(ctx)
          ctx:proxy("users")
          ctx:header("X-Own", "1")
          if look then
            assert.equal("users", ctx:answer_header("X-From"))
          end
          error("boom")
        end)
      end)
      local res = app:get("/x")
      assert.equal(500, res.status)
      assert.is_nil(res.headers["x-from"])
      assert.equal("1", res.headers["x-own"])
      app:assert_no_leaks()
    end
    app = nil
  end)

  it("returns the status and the headers", function()
    local status, from, none
    serve(function(target)
      target:get("/x", function(ctx)
        local answer = ctx:proxy("users")
        status, from, none = answer.status, answer.headers["X-FROM"], answer.headers["x-none"]
      end)
    end)
    app:get("/x")
    assert.equal(201, status)
    assert.equal("users", from)
    assert.is_nil(none)
  end)

  it("leaves status and fields to the handler", function()
    serve(function(target)
      target:get("/x", function(ctx)
        ctx:proxy("users")
        ctx:status(202):header("X-From", "gate"):header("X-New", "1")
        ctx:header("Content-Type", "text/html")
      end)
    end)
    local res = app:get("/x")
    assert.equal(202, res.status)
    assert.equal("gate", res.headers["x-from"])
    assert.equal("1", res.headers["x-new"])
    assert.equal("text/html", res.headers["content-type"])
    assert.equal("made", res.body)
  end)

  it("lets middleware see and change it behind next()", function()
    local seen
    serve(function(target)
      target:use(function(ctx, next)
        next()
        seen = ctx:answer_header("x-from")
        ctx:header("X-From", nil)
        ctx:add_header("X-Added", "a")
        ctx:add_header("X-Added", "b")
      end)
      proxying(target)
    end)
    local res = app:get("/x")
    assert.equal("users", seen)
    assert.is_nil(res.headers["x-from"])
    assert.equal("a, b", res.headers["x-added"])
    assert.equal("text/plain", res.headers["content-type"])
    assert.equal("made", res.body)
  end)

  it("keeps what was set before it, cookies and Vary of both", function()
    serve(function(target)
      target:get("/x", function(ctx)
        ctx:header("X-From", "gate"):cookie("mine", "1"):header("Vary", "Origin")
        ctx:proxy("users")
      end)
    end)
    app:stub_upstream("users", { { headers = { ["Set-Cookie"] = "theirs=2", Vary = "Accept",
      ["X-From"] = "users" }, body = "x" } })
    local res = app:get("/x")
    assert.equal("gate", res.headers["x-from"])
    assert.truthy(res.headers["set-cookie"]:find("mine=1", 1, true))
    assert.truthy(res.headers["set-cookie"]:find("theirs=2", 1, true))
    assert.truthy(res.headers.vary:find("Origin", 1, true))
    assert.truthy(res.headers.vary:find("Accept", 1, true))
  end)

  it("is replaced by what is staged later, with the server's fields", function()
    serve(function(target)
      target:get("/redirect", function(ctx)
        local answer = ctx:proxy("users")
        if answer.status == 201 then return ctx:redirect("/elsewhere") end
      end)
      target:get("/text", function(ctx)
        ctx:header("X-Mine", "1")
        ctx:proxy("users")
        ctx:answer_header("x-from")
        ctx:text("instead", 200)
      end)
      target:get("/return", function(ctx)
        ctx:proxy("users")
        return 418, "tea"
      end)
    end)
    local res = app:get("/redirect")
    assert.equal(302, res.status)
    assert.equal("", res.body)
    assert.is_nil(res.headers["x-from"])
    res = app:get("/text")
    assert.equal("instead", res.body)
    assert.equal("1", res.headers["x-mine"])
    assert.is_nil(res.headers["x-from"])
    assert.equal("text/plain; charset=utf-8", res.headers["content-type"])
    res = app:get("/return")
    assert.equal(418, res.status)
    assert.equal("tea", res.body)
  end)

  it("may be asked twice: the last answer counts", function()
    serve(function(target)
      target:get("/x", function(ctx)
        if ctx:proxy("users").status == 201 then ctx:proxy("shop") end
      end)
    end)
    app:stub_upstream("shop", { "shop's" })
    local res = app:get("/x")
    assert.equal(200, res.status)
    assert.equal("shop's", res.body)
    assert.is_nil(res.headers["x-from"])
  end)

  it("changes the request as its options say", function()
    serve(function(target)
      target:any("/old/*path", function(ctx)
        ctx:proxy("users", { path = "/v2/" .. ctx.params.path, host = "users.internal",
          headers = { ["X-User"] = 7, Accept = { "a/b", "c/d" }, ["X-Secret"] = false } })
      end)
      target:any("/strip/*path", function(ctx) ctx:proxy("users", { strip = "/strip" }) end)
      target:any("/body", function(ctx) ctx:proxy("users", { body = "another" }) end)
      target:any("/query", function(ctx) ctx:proxy("users", { path = "/q?x=1" }) end)
    end)
    app:get("/old/a%2Fb?n=1", { headers = { Accept = "e/f", ["X-Secret"] = "s" } })
    app:get("/strip/a//b?n=1")
    app:post("/body", { body = "mine" })
    app:get("/query?n=1")
    local old, strip, body, query = unpack(app:requests_to("users"))
    assert.equal("users.internal", old.headers.host)
    assert.equal("7", old.headers["x-user"])
    assert.equal("a/b, c/d", old.headers.accept)
    assert.is_nil(old.headers["x-secret"])
    assert.equal("/a//b?n=1", strip.path)
    assert.equal("another", body.body)
    assert.equal("/q?x=1", query.path)
  end)

  it("is cancelled with the request", function()
    serve(function(target)
      target:get("/x", { timeout = 2 }, function(ctx) ctx:proxy("users") end)
    end)
    app:stub_upstream("users", { test.never() })
    local res = app:get("/x")
    assert.equal(504, res.status)
    assert.near(2, app.clock:elapsed(), 0.01)
    app.clock:settle()
    assert.is_true(app:requests_to("users")[1].cancelled)
  end)

  it("is cancelled if the client leaves", function()
    serve(proxying)
    app:stub_upstream("users", { test.never() })
    local flight = app:start("GET", "/x")
    app.clock:settle()
    assert.equal(1, #app:requests_to("users"))
    flight:disconnect()
    app.clock:settle()
    assert.is_true(app:requests_to("users")[1].cancelled)
  end)

  it("drops what was staged if the handler fails", function()
    serve(function(target)
      target:get("/x", function(ctx)
        ctx:proxy("users")
        error("oh no")
      end)
    end)
    local res = app:get("/x")
    assert.equal(500, res.status)
    assert.is_nil(res.headers["x-from"])
  end)

  it("does other things besides", function()
    serve(function(target)
      target:get("/x", function(ctx)
        local slept = ctx:sleep(1)
        ctx:proxy("users")
        slept:await()
        ctx:header("X-Slept", "1")
      end)
    end)
    assert.equal("1", app:get("/x").headers["x-slept"])
    assert.near(1, app.clock:elapsed(), 0.01)
  end)
end)

describe("a failed ctx:proxy", function()
  local function stubbed(answer)
    serve(proxying)
    app:stub_upstream("users", { answer })
    return app:get("/x")
  end

  it("is 502 if the server takes no connection, or closes", function()
    for _, code in ipairs({ "connect", "closed", "protocol" }) do
      local res = stubbed(test.fail(code))
      assert.equal(502, res.status)
      assert.equal("application/problem+json", res.headers["content-type"])
      assert.is_nil(res.body:find("127.0.0.1", 1, true))
      app:assert_no_leaks()
    end
  end)

  it("is 504 if the server does not answer in time", function()
    serve(function(target)
      target:get("/x", function(ctx) ctx:proxy("users", { timeouts = { first_byte = 3 } }) end)
    end)
    app:stub_upstream("users", { test.never() })
    assert.equal(504, app:get("/x").status)
    assert.near(3, app.clock:elapsed(), 0.01)
  end)

  it("can be caught", function()
    serve(function(target)
      target:get("/x", function(ctx)
        local ok, err = pcall(ctx.proxy, ctx, "users")
        return { ok = ok, code = err.code, status = err.status }
      end)
    end)
    app:stub_upstream("users", { test.fail("connect") })
    assert.same({ ok = false, code = "status", status = 502 }, app:get("/x"):json())
  end)

  it("says where it was called, again and again", function()
    serve(function(target)
      target:get("/x", function(ctx)
        local _, err = pcall(function()
          ctx:proxy("users") -- its line
        end)
        return { where = err.where, line = debug.getinfo(1, "l").currentline - 2 }
      end)
      target:get("/y", function(ctx) ctx:proxy("users") end)
    end)
    for _ = 1, 2 do
      app:stub_upstream("users", { test.fail("closed") })
      local said = app:get("/x"):json()
      assert.matches("proxied_spec%.lua:" .. said.line .. "$", said.where)
      app:stub_upstream("users", { { status = 201, body = "made" } })
      assert.equal("made", app:get("/y").body)
    end
  end)
end)

describe("a wrong call of ctx:proxy", function()
  local function message_of(...)
    local args, message = { n = select("#", ...), ... }, nil
    serve(function(target)
      target:get("/x", function(ctx)
        local _, err = pcall(ctx.proxy, ctx, unpack(args, 1, args.n))
        message = tostring(err)
        return "x"
      end)
    end)
    app:get("/x")
    app:assert_no_leaks()
    return message
  end

  for pattern, args in pairs({
    ["there is no upstream 'user', allowed: .*users.* %(did you mean .users.%?%)"] = { "user" },
    ["the name of an upstream is wanted, not nil"] = { nil },
    ["proxy%.path: a path that begins"] = { "users", { path = "a" } },
    ["proxy%.strip: whole segments"] = { "users", { strip = "/a/" } },
    ["Host is the connection's own to say; write host = "] = {
      "users", { headers = { Host = "x" } },
    },
    ["control character"] = { "users", { headers = { ["X-A"] = "a\r\nb" } } },
    ["first_byte: seconds are wanted"] = { "users", { timeouts = { first_byte = 0 } } },
    ["pathh.* is unknown.*did you mean 'path'"] = { "users", { pathh = "/" } },
    ["proxy%.buffer.*request"] = { "users", { buffer = "response" } },
  }) do
    it("says: " .. pattern, function()
      local message = message_of(unpack(args, 1, 2))
      assert.truthy(message:find(pattern), message)
    end)
  end
end)

describe("ctx:proxy of a URL", function()
  local URL = "http://api.test:8080"

  local function asking(url, given)
    return function(target)
      target:any("/*path", function(ctx) ctx:proxy(url, given) end)
    end
  end

  local function open(declare)
    serve(declare, { proxy = { open = true } })
    app:stub_upstream(URL, { headers = { ["X-From"] = "api" }, body = "there" })
    return app
  end

  it("asks a server that no upstream names, if the configuration is open to that", function()
    open(asking(URL))
    local res = app:get("/a%20b?c=1")
    assert.equal("there", res.body)
    assert.equal("api", res.headers["x-from"])
    local request = app:requests_to({ pattern = "^" .. URL })[1]
    assert.equal("/a%20b?c=1", request.path)
    assert.equal("api.test:8080", request.headers.host)
  end)

  it("asks for the URL's own path, with the client's query unless that has one", function()
    for url, path in pairs({ [URL .. "/v1/x"] = "/v1/x?c=1", [URL .. "/v1?d=2"] = "/v1?d=2" }) do
      open(asking(url))
      app:get("/a?c=1")
      assert.equal(path, app:requests_to({ pattern = "^" .. URL })[1].path)
      app:assert_no_leaks()
    end
    app = nil
  end)

  it("has the options of ctx:proxy", function()
    open(asking(URL, { path = "/p", host = "client", headers = { ["X-A"] = "1" } }))
    app:get("/a", { headers = { Host = "here.test" } })
    local request = app:requests_to({ pattern = "^" .. URL })[1]
    assert.equal("/p", request.path)
    assert.equal("here.test", request.headers.host)
    assert.equal("1", request.headers["x-a"])
  end)

  it("that does not answer is a 502", function()
    open(asking(URL))
    app:stub_upstream(URL, test.fail("connect"))
    assert.equal(502, app:get("/a").status)
  end)

  it("is an error at the user's line unless the configuration says so", function()
    local message
    serve(function(target)
      target:get("/", function(ctx)
        local _, err = pcall(ctx.proxy, ctx, URL)
        message = tostring(err)
        return "ok"
      end)
    end)
    assert.equal(200, app:get("/").status)
    assert.matches('"http://api.test:8080" is a server that no upstream names', message, 1, true)
    assert.matches("proxy = { open = true }", message, 1, true)
  end)

  it("is an error at the user's line if it is no URL of a server", function()
    local texts = { ["ftp://a"] = "http", ["http://"] = "host", ["http://a b/"] = "host" }
    for url, text in pairs(texts) do
      open(asking(url))
      assert.equal(500, app:get("/a").status)
      assert.matches("proxied_spec.lua:%d+: proxy: .*" .. text, app.logs[#app.logs].message)
      app:close()
    end
    app = nil
  end)
end)
