local moongate = require("moongate")
local middleware = moongate.middleware
local test = require("moongate.test")
local helpers = dofile("spec/fixture/helpers.lua")
local refused = helpers.refused

local app
before_each(function()
  app = test.app("spec/fixture/middleware.lua")
end)
after_each(function()
  app:assert_no_leaks()
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
