--- app:proxy: what is declared, refused, and told to C.
local moongate = require("moongate")
local route = require("moongate.core.proxy.route")
local helpers = dofile("spec/fixture/helpers.lua")
local refused = helpers.refused

describe("app:proxy", function()
  local app
  before_each(function()
    app = moongate.app()
  end)

  local function declared()
    return app:freeze().routes
  end

  it("takes the options of proxying and those of a route", function()
    app:proxy("/users/*path", "users", { strip = "/users", name = "users", timeout = 2,
      headers = { ["X-A"] = "1", Cookie = false }, timeouts = { idle = 3 }, buffer = "request" })
    local one = declared()[1]
    assert.equal("users", one.name)
    assert.equal(2, one.timeout)
    assert.same({ upstream = "users", strip = "/users", set = { "X-A", "1" },
      removed = { "Cookie", "" }, idle = 3, buffer = true }, route.native(one.proxied))
  end)

  it("is for every method, or those that it names", function()
    app:route({ "PURGE" }, "/other", function() end)
    app:proxy("/a", "users")
    app:proxy("/b", "users", { methods = { "GET", "REPORT" } })
    local routes = declared()
    assert.same({ "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE", "REPORT" },
      routes[2].methods)
    assert.same({ "GET", "REPORT" }, routes[3].methods)
  end)

  it("takes what ends where its wildcard begins, unless another route does", function()
    app:any("/own/", function() end)
    app:proxy("/*path", "users", { methods = { "GET" } })
    app:proxy("/own/*path", "users")
    app:proxy("/t/:tenant/*path", "users")
    app:get("/files/*path", function() end)
    local frozen = app:freeze()
    local function id_of(method, path)
      return (frozen.router:match(method, path))
    end
    assert.equal(2, id_of("GET", "/"))
    assert.equal(1, id_of("GET", "/own/"))
    assert.equal(3, id_of("GET", "/own/x"))
    assert.equal(4, id_of("PUT", "/t/7/"))
    assert.is_nil(id_of("PUT", "/t/7"))
    assert.is_nil(id_of("POST", "/"))
    assert.equal(2, id_of("GET", "/files/")) -- of the proxy for all
  end)

  it("knows the prefix and the middleware of its group", function()
    app:group("/v1", { function(_, next) return next() end }, function(group)
      group:proxy("/users/:id", "users", { path = "/people/:id" })
    end)
    local one = declared()[1]
    assert.equal("/v1/users/:id", one.pattern)
    assert.equal(1, #one.middleware)
  end)

  it("refuses what cannot be, at the line that says so", function()
    local function proxy(...)
      local args = { ... }
      return function()
        app:proxy(unpack(args))
      end
    end
    refused(proxy("/a", 7), "proxy: upstream: a string is wanted")
    refused(proxy("/a", "u", { stripp = "/a" }), "proxy: options:.*did you mean .?strip")
    refused(proxy("/a/:id", "u", { path = "/:ip" }), "proxy: path: /a/:id has no parameter :ip")
    for pattern, strip in pairs({ ["/a/*path"] = "/b", ["/a/:b/c"] = "/a/x/d" }) do
      refused(proxy(pattern, "u", { strip = strip }),
        "proxy: strip: no path of .* begins with " .. strip)
    end
    for pattern, strip in pairs({ ["/a/*path"] = "/a/b", ["/:a/b"] = "/x/b", ["/*path"] = "/x" }) do
      app:proxy(pattern, "u", { strip = strip })
    end
  end)

  it("names the place of a route whose upstream is not there", function()
    app:proxy("/a", "user")
    local one = declared()[1]
    local ok, message = pcall(route.check_upstream, one, { "users", "shop" })
    assert.is_false(ok)
    assert.matches("route_spec%.lua:%d+: proxy: there is no upstream 'user', allowed: shop, users"
      .. " %(did you mean 'users'%?%)$", message)
    route.check_upstream(one, { "user" })
  end)
end)
