local moongate = require("moongate")
local middleware = moongate.middleware
local test = require("moongate.test")
local helpers = dofile("spec/fixture/helpers.lua")
local refused = helpers.refused

local app
after_each(function()
  app:assert_no_leaks()
end)

-- Behind a proxy that is believed about the scheme.
local function serve(options)
  if app then
    app:assert_no_leaks()
  end
  app = test.app(function(a)
    a:use(middleware.https(options))
    a:any("/*path", function(ctx)
      return ctx.scheme
    end)
  end, { trusted_proxies = { "unix" }, forwarded = { "x-forwarded-for", "x-forwarded-proto" } })
end

local SECURE = { headers = { ["X-Forwarded-For"] = "10.0.0.1", ["X-Forwarded-Proto"] = "https" } }

describe("https", function()
  it("sends plain requests to https, whatever their method, with path and query", function()
    serve()
    local res = app:post("/a/b?c=d", { headers = { Host = "moon.test:8080" } })
    assert.equal(308, res.status)
    assert.equal("https://moon.test/a/b?c=d", res.headers.location)
    assert.is_nil(res.headers["strict-transport-security"])
    res = app:get("/", { headers = { Host = "[::1]:8080" } })
    assert.equal("https://[::1]/", res.headers.location)
  end)

  it("names another port if told", function()
    serve({ port = 8443 })
    local res = app:get("/x", { headers = { Host = "moon.test" } })
    assert.equal("https://moon.test:8443/x", res.headers.location)
  end)

  it("tells those on https to stay there, for a year unless told", function()
    serve()
    local res = app:get("/x", SECURE)
    assert.equal("https", res.body)
    assert.equal("max-age=31536000", res.headers["strict-transport-security"])
  end)

  it("says more if wanted, or nothing", function()
    serve({ hsts = 60, subdomains = true, preload = true })
    assert.equal("max-age=60; includeSubDomains; preload",
      app:get("/x", SECURE).headers["strict-transport-security"])
    serve({ hsts = false })
    assert.is_nil(app:get("/x", SECURE).headers["strict-transport-security"])
  end)

  it("takes its own options alone", function()
    serve()
    refused(function()
      middleware.https({ hst = 1 })
    end, "https: no such option: hst")
    refused(function()
      middleware.https({ hsts = "1y" })
    end, "https: hsts: whole seconds")
    refused(function()
      middleware.https({ port = 0 })
    end, "https: port")
  end)
end)
