local test = require("moongate.test")

describe("the gateway", function()
  local app
  local ada = { headers = { ["X-Api-Key"] = "key of ada" } }

  before_each(function()
    app = test.app({ configuration = true, cache = "memory:1M" })
  end)

  after_each(function()
    app:assert_no_leaks()
  end)

  it("lets nobody in without a key", function()
    local res = app:get("/api/users/7")
    assert.equal(401, res.status)
    assert.equal('ApiKey realm="api"', res.headers["www-authenticate"])
    assert.equal(401, app:get("/api/users/7", { headers = { ["X-Api-Key"] = "guess" } }).status)
    assert.equal(0, #app:requests_to("users"))
  end)

  it("hands on to a service, without the prefix", function()
    app:stub_upstream("users", { "Ada", "Ada" })
    local res = app:get("/api/users/7?full=1", ada)
    assert.equal("Ada", res.body)
    assert.equal("/7?full=1", app:requests_to("users")[1].path)
    assert.truthy(res.headers["x-request-id"])
  end)

  it("asks the other server when one is down", function()
    app:stub_upstream("users", { test.fail("connect"), "Ada" })
    for _ = 1, 3 do
      assert.equal("Ada", app:get("/api/users/7", ada).body)
    end
  end)

  it("tells 503 or 502 when none is up, with the fields that browsers need", function()
    app:stub_upstream("users", { test.fail("connect"), test.fail("connect") })
    local res = app:get("/api/users/7", { headers = {
      ["X-Api-Key"] = "key of ada", Origin = "https://shop.example",
    } })
    assert.is_true(res.status == 502 or res.status == 503, res.status)
    assert.equal("https://shop.example", res.headers["access-control-allow-origin"])
  end)

  it("keeps a client with its release", function()
    app:stub_upstream("shop_old", { "old" })
    app:stub_upstream("shop_new", { "new" })
    local first = app:get("/api/shop/cart", ada)
    local cookie = first.headers["set-cookie"]:match("^[^;]+")
    local again = app:get("/api/shop/cart", {
      headers = { ["X-Api-Key"] = "key of ada", Cookie = cookie },
    })
    assert.equal(first.body, again.body)
  end)

  it("tells the shop who it is, and not the key", function()
    app:stub_upstream("shop_old", { "old" })
    app:stub_upstream("shop_new", { "new" })
    app:get("/api/shop/cart", ada)
    local request = app:requests_to("shop_old")[1] or app:requests_to("shop_new")[1]
    assert.equal("ada", request.headers["x-user"])
    assert.is_nil(request.headers["x-api-key"])
    assert.equal("/cart", request.path)
  end)

  it("limits each user, until the window is over", function()
    app:stub_upstream("users", { "Ada", "Ada" })
    for left = 2, 0, -1 do
      local res = app:get("/api/users/7", ada)
      assert.equal(tostring(left), res.headers["x-ratelimit-remaining"])
    end
    local refused = app:get("/api/users/7", ada)
    assert.equal(429, refused.status)
    assert.equal(3, refused:json().limit)
    local alan = { headers = { ["X-Api-Key"] = "key of alan" } }
    assert.equal(200, app:get("/api/users/7", alan).status)
    app.clock:advance(tonumber(refused.headers["retry-after"]))
    assert.equal(200, app:get("/api/users/7", ada).status)
  end)

  it("asks for the rates once a minute", function()
    app:stub_http("GET http://rates.internal/today", { json = { EUR = 1 } })
    assert.same({ EUR = 1 }, app:get("/rates"):json())
    assert.same({ EUR = 1 }, app:get("/rates"):json())
    app:assert_called("http_request", "http://rates.internal/today", 1)
    app.clock:advance(61)
    app:get("/rates")
    app:assert_called("http_request", "http://rates.internal/today", 2)
  end)

  it("does not keep rates that could not be had", function()
    app:stub_http("GET http://rates.internal/today", test.sequence({
      { status = 500 }, { json = { EUR = 2 } },
    }))
    assert.equal(502, app:get("/rates").status)
    assert.same({ EUR = 2 }, app:get("/rates"):json())
  end)
end)
