local moongate = require("moongate")
local test = require("moongate.test")
local helpers = dofile("spec/fixture/helpers.lua")
local message_of = helpers.message_of

local app

local function new_app(handler)
  app = test.app(function(a)
    a:any("/", handler or function()
      return ""
    end)
  end)
  return app
end

-- Runs `fn` in a coroutine of the app, with no request.
local function run(fn, ...)
  return app:run(fn, ...)
end

local http = require("moongate.http")
local Future = require("moongate.future")

-- The calls of a subject as its module makes them, whatever names it gives them.
local function call(subject, name, ...)
  return (subject.calls[name](Future._current_scope(), 2, ...))
end

local function request(...)
  local args, n = { ... }, select("#", ...)
  return run(function()
    return call(http, "http_request", unpack(args, 1, n)):await()
  end)
end

describe("stub_http", function()
  before_each(function()
    new_app()
  end)
  after_each(function()
    app:assert_no_leaks()
  end)

  it("gives a response as the real client does", function()
    app:stub_http("GET http://users/7", {
      status = 201, headers = { ["X-Id"] = "7" }, json = { name = "Ada" },
    })
    local res = request("http://users/7")
    assert.equal(201, res.status)
    assert.equal("7", res.headers["x-ID"])
    assert.equal("application/json", res.headers["Content-Type"])
    assert.equal('{"name":"Ada"}', res.body)
    assert.same({ name = "Ada" }, res:json())
    assert.equal("http://users/7", res.url)
  end)

  it("takes a string for the body of a 200", function()
    app:stub_http("http://a/", "hello")
    local res = request({ url = "http://a/", method = "POST" })
    assert.same({ 200, "hello" }, { res.status, res.body })
    local pieces = run(function()
      local list = {}
      for piece in res:chunks() do
        list[#list + 1] = piece
      end
      return list
    end)
    assert.same({ "hello" }, pieces)
  end)

  it("tells methods, URLs and patterns apart", function()
    app:stub_http({ pattern = "^http://users/%d+$" }, "number")
    app:stub_http({ method = "put", pattern = "^http://users" }, "put")
    app:stub_http({ url = "http://users/me" }, "me")
    app:stub_http("DELETE http://users/7", "gone")
    app:stub_http(function(req)
      return req.headers.accept == "text/html"
    end, "html")
    assert.equal("number", request("http://users/7").body)
    assert.equal("put", request({ method = "PUT", url = "http://users/7" }).body)
    assert.equal("me", request("http://users/me").body)
    assert.equal("gone", request({ method = "DELETE", url = "http://users/7" }).body)
    assert.equal("html", request({ url = "http://x/", headers = { accept = "text/html" } }).body)
    local message = message_of(request, "http://users/x")
    assert.matches("http_request GET http://users/x is not stubbed", message)
    assert.matches('stub_http%("GET http://users/x"', message)
  end)

  it("may answer with a function of the request", function()
    app:stub_http({ pattern = "." }, function(req)
      return { status = 202, body = req.method .. " " .. req.url .. " " .. req.body }
    end)
    local res = request({ method = "POST", url = "http://a/", json = { 1 } })
    assert.same({ 202, "POST http://a/ [1]" }, { res.status, res.body })
  end)

  it("may answer late, never, in turn or not at all", function()
    app:stub_http("http://a/", test.after(2, { status = 204 }))
    assert.equal(204, request("http://a/").status)
    assert.near(2, app.clock:elapsed(), 0.001)
    app:stub_http("http://a/", test.sequence({ test.fail("connect", "refused"), "second" }))
    assert.equal("http://a:80: refused", message_of(request, "http://a/"))
    assert.equal("second", request("http://a/").body)
    assert.matches("sequence of 2 answers is used up", message_of(request, "http://a/"))
    app:stub_http("http://a/", test.never())
    local err = run(function()
      return select(2, call(http, "http_request", "http://a/"):timeout(3):try_await())
    end)
    assert.equal("timeout", err.code)
  end)

  it("gives what a Future of the spec says as a response", function()
    local answer = moongate.future()
    app:stub_http("http://a/", answer)
    answer:resolve({ status = 418 })
    assert.equal(418, request("http://a/").status)
  end)

  it("refuses what is no matcher and no answer", function()
    assert.matches("http_stub_spec%.lua:%d+: the matcher: .*urll.*mean 'url'", message_of(function()
      app:stub_http({ urll = "x" }, "")
    end))
    app:stub_http("http://a/", { name = "Ada" })
    assert.matches('answer: "name" is unknown, allowed are body, cookies, headers, json, status',
      message_of(request, "http://a/"))
  end)
end)

describe("a stubbed call", function()
  local function fails(code, given)
    local err = run(function()
      return select(2, http.request(given):try_await())
    end)
    assert.equal(code, err and err.code)
    return err
  end

  before_each(function()
    new_app()
  end)
  after_each(function()
    app:assert_no_leaks()
  end)

  it("has its own time", function()
    app:stub_http("http://a/", test.never())
    fails("timeout", { url = "http://a/", timeout = 2 })
    assert.near(2, app.clock:elapsed(), 0.001)
    app:stub_http("http://a/", test.after(3, "late"))
    fails("timeout", { url = "http://a/", first_byte_timeout = 1 })
    assert.near(3, app.clock:elapsed(), 0.001)
    assert.is_true(app:requests_to("http://a/")[1].cancelled)
  end)

  it("is tried again as often as it says", function()
    app:stub_http("http://a/", test.sequence({
      test.fail("connect"), test.fail("closed"), test.after(1, test.fail("dns")), "fourth",
    }))
    assert.equal("fourth", request({ url = "http://a/", retries = 3 }).body)
    assert.near(1, app.clock:elapsed(), 0.001)
    assert.equal(2, #app:requests_to("http://a/"))
    app:stub_http("http://a/", test.sequence({ test.fail("closed"), "never asked" }))
    fails("closed", { url = "http://a/", method = "POST", retries = 3 })
  end)

  it("follows redirects as it says, to what is stubbed", function()
    app:stub_http("POST http://a/", { status = 303, headers = { Location = "/b" } })
    app:stub_http("GET http://a/b", { status = 302, headers = { Location = "https://c/" } })
    app:stub_http("https://c/", "there")
    local res = request({ method = "POST", url = "http://a/", headers = { Cookie = "x=1" } })
    assert.same({ "there", 2, "https://c/" }, { res.body, res.redirects, res.url })
    local seen = app:requests_to({ pattern = "." })
    assert.same({ "POST", "GET", "GET" }, { seen[1].method, seen[2].method, seen[3].method })
    assert.same({ "x=1", "x=1" }, { seen[1].headers.cookie, seen[2].headers.cookie })
    assert.is_nil(seen[3].headers.cookie)
    assert.equal(302, request({ url = "http://a/b", redirects = false }).status)
    fails("limit", { method = "POST", url = "http://a/", redirects = 1 })
    app:stub_http("http://d/", { status = 301, headers = { Location = "http://e/" } })
    assert.matches("http_request GET http://e/ is not stubbed", message_of(request, "http://d/"))
  end)

  it("takes no more than it says", function()
    app:stub_http("http://a/", ("x"):rep(2000))
    fails("limit", { url = "http://a/", max = "1K" })
    assert.equal(2000, #request({ url = "http://a/", max = 2000 }).body)
  end)

  it("sends what a function writes, and what lies in a file", function()
    app:stub_http("PUT http://a/", function(req)
      return { json = { req.body, req.headers["transfer-encoding"] } }
    end)
    local function write(out)
      for i = 1, 3 do
        out:write(i .. ",")
        moongate.sleep(1):await()
      end
    end
    assert.same({ "1,2,3,", "chunked" }, request({
      method = "PUT", url = "http://a/", body = write,
    }):json())
    assert.near(3, app.clock:elapsed(), 0.001)
    app:stub_file("upload.bin", "from a file")
    local sent = request({ method = "PUT", url = "http://a/", file = "upload.bin" })
    assert.equal("from a file", sent:json()[1])
  end)

  it("reads what is answered in pieces, while it comes", function()
    app:stub_http("http://a/", { body = function(out)
      out:write("one")
      moongate.sleep(2):await()
      out:write("two")
    end })
    local list = run(function()
      local pieces = {}
      for piece in http.get("http://a/", { stream = true }):await():chunks() do
        pieces[#pieces + 1] = piece .. "@" .. app.clock:elapsed()
      end
      return pieces
    end)
    assert.same({ "one@0", "two@2" }, list)
    assert.equal("onetwo", request("http://a/").body)
    fails("timeout", { url = "http://a/", timeout = 1 })
  end)

  it("fails when its answer breaks off, or is no HTTP", function()
    app:stub_http("http://a/", { body = function(out)
      out:write("half")
      out:close()
    end })
    fails("closed", { url = "http://a/" })
    app:stub_http("http://a/", test.fail("protocol"))
    fails("protocol", { url = "http://a/" })
    for _, code in ipairs({ "dns", "denied", "connect", "tls", "timeout", "closed" }) do
      app:stub_http("http://a/", function()
        return test.fail(code)
      end)
      fails(code, { url = "http://a/" })
    end
    app:stub_http("http://a/", test.fail("database"))
    assert.matches('cannot fail with code "database": allowed', message_of(request, "http://a/"))
  end)

  it("tells the spec what its answer does wrong", function()
    app:stub_http("http://a/", { body = function()
      error("no body today")
    end })
    assert.matches("no body today", message_of(request, "http://a/"))
    app:stub_http("http://a/", test.after(1, { statos = 1 }))
    assert.matches("mean 'status'", message_of(request, "http://a/"))
  end)
end)
