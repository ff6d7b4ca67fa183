local moongate = require("moongate")
local test = require("moongate.test")
local helpers = dofile("spec/fixture/helpers.lua")
local message_of = helpers.message_of

local app

local function handle(handler, options)
  app = test.app(function(a)
    a:any("/", handler)
  end, options)
  return app
end

describe("a request of a spec", function()
  after_each(function()
    app:assert_no_leaks()
  end)

  it("has all methods, headers, queries and bodies", function()
    handle(function(ctx)
      return { ctx.method, ctx.headers["x-a"] or "", ctx.query.q or "", ctx:body():await() }
    end)
    for _, method in ipairs({ "get", "post", "put", "patch", "delete" }) do
      local res = app[method](app, "/", { headers = { ["X-A"] = "1" }, query = { q = "a b" } })
      assert.same({ method:upper(), "1", "a b", "" }, res:json())
    end
    assert.equal('{"a":1}', app:post("/", { json = { a = 1 } }):json()[4])
    assert.equal("a=1&b=%26", app:post("/", { form = { a = 1, b = "&" } }):json()[4])
    assert.equal("", app:head("/").body)
  end)

  it("says when the body is no JSON", function()
    handle(function()
      return "text"
    end)
    assert.matches("wire_spec%.lua:%d+: the body is not JSON: .*text", message_of(function()
      local value = app:get("/"):json()
      return value
    end))
  end)

  it("can be sent as bytes", function()
    handle(function()
      return "ok"
    end)
    assert.equal(400, app:raw("GET / HTTP/1.1\r\n\r\n"):response().status)
    assert.equal("ok", app:raw("GET / HTTP/1.1\r\nHost: a\r\n\r\n"):response().body)
  end)

  it("can be driven piece by piece", function()
    handle(function(ctx)
      return ctx:body():await()
    end)
    local flight = app:start("POST", "/", { length = 2, headers = { Expect = "100-continue" } })
    flight:send("a")
    app.clock:advance(1)
    local res = flight:send("b"):response()
    assert.equal("ab", res.body)
    assert.near(1, app.clock:elapsed(), 0.001)
  end)

  it("collects interim answers", function()
    handle(function(ctx)
      return ctx:body():await()
    end)
    local flight = app:start("POST", "/", { length = 1, headers = { Expect = "100-continue" } })
    app.clock:settle()
    local res = flight:send("x"):response()
    assert.equal(1, #res.interim)
    assert.equal(100, res.interim[1].status)
  end)

  it("can be left", function()
    local code
    handle(function(ctx)
      local _, err = pcall(function()
        ctx:sleep(60):await()
      end)
      code = err.code
    end)
    app:start("GET", "/"):disconnect(2.5)
    assert.equal("cancelled", code)
    assert.near(2.5, app.clock:elapsed(), 0.001)
  end)

  it("that is never answered fails instead of hanging", function()
    handle(function(ctx)
      ctx:stream("text/plain", function()
        moongate.future():await()
      end)
    end)
    assert.matches("wire_spec%.lua:%d+: GET request waits for something that can never happen",
      message_of(function()
        local res = app:get("/")
        return res
      end))
    app:close()
  end)

  it("serves thousands in a row", function()
    handle(function(ctx)
      return ctx.query.n
    end)
    for i = 1, 2000 do
      assert(app:get("/?n=" .. i).body == tostring(i))
    end
  end)
end)
