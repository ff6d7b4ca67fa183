-- What a peer sends need not be UTF-8, and must not make a handler fail that hands it on.
local moongate = require("moongate")
local test = require("moongate.test")

local REPLACED = "\239\191\189" -- U+FFFD

local app

local function start(declare, options)
  app = test.app(declare, options)
end

after_each(function()
  app:assert_no_leaks()
end)

describe("bytes that are no UTF-8, echoed in JSON, become U+FFFD", function()
  local function expect(response, value)
    assert.equal(200, response.status)
    assert.equal('{"got":"' .. value .. '"}', response.body)
    assert.equal(0, #app.logs)
  end

  it("of a query, a path, a field and a cookie", function()
    start(function(a)
      a:get("/query", function(ctx) return { got = ctx.query.q } end)
      a:get("/path/:name", function(ctx) return ctx:json({ got = ctx.params.name }) end)
      a:get("/field", function(ctx) return { got = ctx.headers["x-name"] } end)
      a:get("/cookie", function(ctx) return { got = ctx.cookies.name } end)
      a:get("/name", function(ctx) return ctx.query end)
    end)
    expect(app:get("/query?q=%ffok"), REPLACED .. "ok")
    expect(app:get("/path/caf%E9"), "caf" .. REPLACED)
    expect(app:get("/field", { headers = { ["X-Name"] = "caf\233" } }), "caf" .. REPLACED)
    expect(app:get("/cookie", { headers = { Cookie = "name=caf\233" } }), "caf" .. REPLACED)
    assert.equal('{"' .. REPLACED .. '":"1"}', app:get("/name?%e2%82=1").body)
  end)

  it("of a form, a part, a body and an upstream", function()
    start(function(a)
      a:post("/form", function(ctx) return { got = ctx:body_form():await().name } end)
      a:post("/body", function(ctx) return { got = ctx:body():await() } end)
      a:get("/upstream", function(ctx)
        return { got = ctx:http_request("http://other/"):await().body }
      end)
    end)
    app:stub_http("http://other/", { body = "caf\233" })
    expect(app:post("/form", {
      body = "name=caf%E9", headers = { ["Content-Type"] = "application/x-www-form-urlencoded" },
    }), "caf" .. REPLACED)
    expect(app:post("/form", {
      body = '--b\r\nContent-Disposition: form-data; name="name"\r\n\r\ncaf\233\r\n--b--\r\n',
      headers = { ["Content-Type"] = "multipart/form-data; boundary=b" },
    }), "caf" .. REPLACED)
    expect(app:post("/body", { body = "\240\159\152." }), REPLACED .. ".")
    expect(app:get("/upstream"), "caf" .. REPLACED)
  end)

  it("of a problem's detail and members", function()
    start(function(a)
      a:get("/", function(ctx)
        ctx:fail(422, "no user " .. ctx.query.q, { name = ctx.query.q })
      end)
    end)
    local response = app:get("/?q=%ff")
    assert.equal(422, response.status)
    local problem = response:json()
    assert.equal("no user " .. REPLACED, problem.detail)
    assert.equal(REPLACED, problem.name)
  end)
end)

it("a handler may refuse bytes that are no UTF-8", function()
  start(function(a)
    a:get("/", function(ctx)
      if not moongate.is_utf8(ctx.query.q) then
        ctx:fail(400, "q is wanted as UTF-8")
      end
      return ctx.query.q
    end)
  end)
  assert.equal(400, app:get("/?q=%ff").status)
  assert.equal("é", app:get("/?q=%c3%a9").body)
end)

describe("bytes that are no UTF-8 stay as they are", function()
  it("in text", function()
    start(function(a)
      a:get("/", function(ctx) return ctx.query.q end)
    end)
    assert.equal("\255", app:get("/?q=%ff").body)
  end)

  it("in tables that the cache holds", function()
    for _, options in ipairs({ { cache = "memory:1M" }, {} }) do
      start(function(a)
        a:get("/", function(ctx)
          local value = { [ctx.query.q] = { ctx.query.q, "\"\226\130\n" } }
          ctx:update_cache("key", value):await()
          local found = ctx:query_cache("key"):await()
          return (found["\255"][1] .. found["\255"][2])
        end)
      end, options)
      if not options.cache then
        app:stub_cache()
      end
      assert.equal("\255\"\226\130\n", app:get("/?q=%ff").body)
    end
  end)
end)

describe("a body of JSON", function()
  before_each(function()
    start(function(a)
      a:post("/", function(ctx) return { got = ctx:body_json():await() } end)
    end)
  end)

  it("may begin with a byte order mark", function()
    assert.equal('{"got":[1]}', app:post("/", { body = "\239\187\191[1]" }).body)
  end)

  it("is 400 if it nests deeper than an answer could show", function()
    local deep = ("["):rep(100) .. ("]"):rep(100)
    assert.equal('{"got":' .. deep .. "}", app:post("/", { body = deep }).body)
    assert.equal(400, app:post("/", { body = "[" .. deep .. "]" }).status)
    assert.equal(0, #app.logs)
  end)

  it("is 400 if it is not UTF-8", function()
    local response = app:post("/", { body = '"\255"' })
    assert.equal(400, response.status)
    assert.equal("the body is not valid JSON: 1:2: invalid UTF-8", response:json().detail)
  end)
end)
