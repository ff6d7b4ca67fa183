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
    assert.equal("refused", message_of(request, "http://a/"))
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
