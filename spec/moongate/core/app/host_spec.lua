--- app:host: routes for some hosts.
local moongate = require("moongate")
local test = require("moongate.test")
local routes = require("moongate.core.app.routes")
local explain = require("moongate.core.app.explain")

local app

local function says(text)
  return function() return text end
end

local function tags(text)
  return function(ctx, next)
    ctx:header("X-Tag", text)
    return next()
  end
end

before_each(function()
  app = test.app(function(a)
    a:get("/", says("any"))
    a:get("/only_any", says("any"))
    a:host("*.example.org", { tags("below") }, function(below)
      below:get("/", says("below"))
      below:post("/form", says("posted"))
      below:group("/in", function(group) group:get("/:x<int>", function(ctx)
        return "in " .. ctx.params.x
      end) end)
    end)
    a:host("api.example.org", function(api)
      api:use(tags("api"))
      api:get("/", "root", says("api"))
      api:any("/all", says("all"))
    end)
  end)
end)

after_each(function() app:assert_no_leaks() end)

local function get(host, path, method)
  return app:request(method or "GET", path or "/", { headers = { Host = host } })
end

describe("app:host", function()
  it("takes requests of its host, whatever case and port", function()
    assert.equal("any", get("example.org").body)
    assert.equal("api", get("api.example.org").body)
    assert.equal("api", get("API.Example.org:8443").body)
    assert.equal("below", get("x.example.org").body)
    assert.equal("below", get("y.x.example.org").body)
    assert.equal("any", get("notexample.org").body)
    assert.equal("in 7", get("x.example.org", "/in/7").body)
  end)

  it("leaves what it has no route for to wildcards, then to any host", function()
    assert.equal("in 7", get("api.example.org", "/in/7").body)
    assert.equal("any", get("api.example.org", "/only_any").body)
    assert.equal(404, get("example.org", "/in/7").status)
    assert.equal("all", get("api.example.org", "/all", "DELETE").body)
    assert.equal(404, get("x.example.org", "/all").status)
  end)

  it("tells of methods by host, and has middleware around it all", function()
    local res = get("x.example.org", "/form")
    assert.equal(405, res.status)
    assert.equal("POST, OPTIONS", res.headers.allow)
    assert.equal("below", res.headers["x-tag"])
    assert.equal(404, get("example.org", "/form").status)
    res = get("x.example.org", "/form", "OPTIONS")
    assert.equal(204, res.status)
    assert.equal("POST, OPTIONS", res.headers.allow)
    res = get("x.example.org", "/none")
    assert.equal(404, res.status)
    assert.equal("below", res.headers["x-tag"])
    assert.is_nil(get("example.org", "/none").headers["x-tag"])
    assert.equal("api", get("api.example.org", "/none").headers["x-tag"])
  end)

  it("stands in the table of routes, and is explained", function()
    local text = routes.text(app.served.app)
    assert.matches("GET +api%.example%.org/ +root", text)
    assert.matches("GET +%*%.example%.org/in/:x<int>", text)
    local facts = { body_bytes = 1024 }
    text = explain.text(app.served, "GET", "http://api.example.org/in/7", facts)
    assert.matches("answered by +GET %*%.example%.org/in/:x<int>", text)
    assert.matches("params +x = 7\n", text)
    text = explain.text(app.served, "GET", "http://api.example.org/", facts)
    assert.matches("GET /: fits as well, but api%.example%.org goes first", text)
    text = explain.text(app.served, "GET", "/", facts)
    assert.matches("answered by +GET /,", text)
    assert.matches("api%.example%.org/: the path fits, the host does not", text)
  end)

  it("refuses two that could not be told apart, with both places", function()
    local a = moongate.app()
    a:host("a.org", function(h) h:get("/:x", says("")) end)
    local _, err = pcall(function()
      a:host("A.ORG", function(h) h:get("/:y", says("")) end)
    end)
    assert.matches("host_spec%.lua:%d+: the route GET a%.org/:y can never be reached: "
      .. "[^\n]*host_spec%.lua:%d+ declares the same shape first", err)
  end)

  it("refuses what is no host, at its place", function()
    local a = moongate.app()
    for _, name in ipairs({ "", "*", "*.", "a.*.org", "a b", "a.org:80", "http://a.org", "ä.org",
      "a..org", "-a.org" }) do
      local _, err = pcall(function() a:host(name, function() end) end)
      assert.matches('host_spec%.lua:%d+: host: a name such as "api%.example%.org" or', err)
    end
    a:host("[::1]", function() end)
    local _, err = pcall(function()
      a:host("a.org", function(h) h:host("b.org", function() end) end)
    end)
    assert.matches("host: these routes are for a%.org already", err)
    _, err = pcall(function() a:host("a.org") end)
    assert.matches("host_spec%.lua:%d+: host: a function is wanted, not nil", err)
  end)
end)
