local moongate = require("moongate")
local middleware = moongate.middleware
local test = require("moongate.test")

-- Refused at this file's line, with that text.
local function refused(fn, pattern)
  local ok, message = pcall(fn)
  assert.is_false(ok)
  assert.matches("^spec/moongate/middleware_spec%.lua:%d+: " .. pattern, message)
end

local app
before_each(function()
  app = test.app("spec/fixture/middleware.lua")
end)
after_each(function()
  app:assert_no_leaks()
end)

local function basic(user, password)
  local token = moongate.base64_encode(user .. ":" .. password)
  return { headers = { Authorization = "Basic " .. token } }
end

describe("request_id", function()
  it("shows the request's id, another one each time", function()
    local first, second = app:get("/id"), app:get("/id")
    assert.equal(first:json().id, first.headers["x-request-id"])
    assert.not_equal(first:json().id, second:json().id)
  end)

  it("believes no incoming id unless it is told to", function()
    local res = app:get("/id", { headers = { ["X-Request-Id"] = "mine" } })
    assert.not_equal("mine", res.headers["x-request-id"])
  end)

  it("believes a valid incoming id where it trusts", function()
    local res = app:get("/trusted", { headers = { ["X-Trace"] = "abc-1" } })
    assert.equal("abc-1", res.headers["x-trace"])
    assert.equal("abc-1", res:json().id)
    for _, odd in ipairs({ "a b", ("x"):rep(129), '"quoted"' }) do
      local answer = app:get("/trusted", { headers = { ["X-Trace"] = odd } })
      assert.not_equal(odd, answer.headers["x-trace"])
    end
  end)
end)

describe("cors", function()
  local function preflight(path, origin)
    return app:options(path, { headers = {
      Origin = origin,
      ["Access-Control-Request-Method"] = "GET",
      ["Access-Control-Request-Headers"] = "X-B",
    } })
  end

  it("leaves requests without an Origin alone", function()
    local res = app:get("/open")
    assert.is_nil(res.headers["access-control-allow-origin"])
    assert.is_nil(res.headers.vary)
  end)

  it("opens to everybody unless origins are given", function()
    local res = app:get("/open", { headers = { Origin = "https://a.example" } })
    assert.equal("*", res.headers["access-control-allow-origin"])
    assert.equal("X-Total", res.headers["access-control-expose-headers"])
  end)

  it("answers a preflight itself", function()
    local res = preflight("/open", "https://a.example")
    assert.equal(204, res.status)
    assert.equal("", res.body)
    assert.equal("GET, HEAD, POST, PUT, PATCH, DELETE", res.headers["access-control-allow-methods"])
    assert.equal("X-B", res.headers["access-control-allow-headers"])
    assert.equal("600", res.headers["access-control-max-age"])
  end)

  it("lets an OPTIONS that is no preflight through", function()
    assert.equal("own", app:options("/open", { headers = { Origin = "https://a.example" } }).body)
  end)

  it("opens to the origins given, and no others", function()
    local good = app:get("/origins", { headers = { Origin = "https://good.example" } })
    assert.equal("https://good.example", good.headers["access-control-allow-origin"])
    assert.equal("true", good.headers["access-control-allow-credentials"])
    local bad = app:get("/origins", { headers = { Origin = "https://bad.example" } })
    assert.equal(200, bad.status)
    assert.is_nil(bad.headers["access-control-allow-origin"])
    assert.is_nil(bad.headers["access-control-allow-credentials"])
  end)

  it("answers the preflight of an origin given with the lists given", function()
    local res = preflight("/origins", "https://good.example")
    assert.equal("GET", res.headers["access-control-allow-methods"])
    assert.equal("X-A", res.headers["access-control-allow-headers"])
    res = preflight("/origins", "https://bad.example")
    assert.is_nil(res.headers["access-control-allow-methods"])
  end)

  it("tells caches that the answer depends on the Origin, also without one", function()
    for _, origin in ipairs({ "https://good.example", "https://bad.example" }) do
      assert.equal("Origin", app:get("/origins", { headers = { Origin = origin } }).headers.vary)
    end
    assert.equal("Origin", app:get("/origins").headers.vary)
  end)

  it("refuses credentials for everybody, and unknown options", function()
    refused(function()
      middleware.cors({ credentials = true })
    end, "cors: credentials need a list of origins")
    refused(function()
      middleware.cors({ origin = "https://a.example" })
    end, ".*did you mean 'origins'")
  end)
end)

describe("secure_headers", function()
  it("adds its own fields and the given ones, but for those set to false", function()
    local headers = app:get("/secure").headers
    assert.equal("nosniff", headers["x-content-type-options"])
    assert.equal("no-referrer", headers["referrer-policy"])
    assert.equal("default-src 'self'", headers["content-security-policy"])
    assert.is_nil(headers["x-frame-options"])
  end)

  it("takes strings and false alone", function()
    refused(function()
      middleware.secure_headers({ ["X-A"] = 7 })
    end, "secure_headers: X%-A: a string is wanted")
  end)
end)

describe("basic_auth", function()
  it("lets a known user with the right password in", function()
    local res = app:get("/users", basic("ada", "lovelace"))
    assert.equal(200, res.status)
    assert.equal("ada", res:json().user)
  end)

  it("challenges everybody else", function()
    local wrong = {
      {}, basic("ada", "lovelacf"), basic("ada", ""), basic("eve", "lovelace"), basic("", ""),
      { headers = { Authorization = "Bearer abc" } }, { headers = { Authorization = "Basic %%%" } },
      { headers = { Authorization = "Basic " .. moongate.base64_encode("no colon") } },
    }
    for _, options in ipairs(wrong) do
      local res = app:get("/users", options)
      assert.equal(401, res.status)
      assert.equal('Basic realm="the inner room", charset="UTF-8"', res.headers["www-authenticate"])
    end
  end)

  it("asks a function that may await", function()
    assert.equal("bob", app:get("/checked", basic("bob", "a:b")):json().user)
    assert.equal(401, app:get("/checked", basic("bob", "a")).status)
    assert.near(0.2, app.clock:elapsed(), 0.001)
  end)

  it("wants users or a function", function()
    refused(function()
      middleware.basic_auth({ realm = "x" })
    end, "basic_auth: wanted is users")
    refused(function()
      middleware.basic_auth({ users = { ada = 7 } })
    end, "basic_auth%.users%.ada: a string is wanted, not 7")
  end)
end)

describe("body_limit", function()
  it("refuses an announced body that is too large", function()
    assert.equal(200, app:post("/limited", { body = ("x"):rep(1024) }).status)
    local res = app:post("/limited", { body = ("x"):rep(1025) })
    assert.equal(413, res.status)
    assert.equal("the body is larger than 1024 bytes", res:json().detail)
  end)
end)

describe("response_time", function()
  it("tells how long the handler and the middleware below took", function()
    assert.equal("app;dur=250.000", app:get("/timed").headers["server-timing"])
  end)
end)
