--- Which route answers, and why the others do not.
local moongate = require("moongate")
local explain = require("moongate.core.app.explain")
local serve = require("moongate.core.app.serve")

local function declare(fn)
  local app = moongate.app()
  fn(app)
  return serve.prepare(app:freeze(), { handler_seconds = 30, upstreams = { "shop" } })
end

local served = declare(function(app)
  app:use(moongate.middleware.request_id())
  app:get("/users/me", function() end)
  app:get("/users/:id<int>", { name = "user", timeout = 5, body = "64K", stream_max = 60 },
    function() end)
  app:get("/users/:name", function() end)
  app:post("/users", function() end)
  app:get("/files/*path", function() end)
  app:static("/public", "public")
  app:group("/api", { function(_, next) return next() end }, function(api)
    api:proxy("/shop/*rest", "shop", { strip = "/api/shop", timeouts = { connect = 2 } })
  end)
end)

local function told(method, target)
  return explain.text(served, method, target, { body_bytes = 16 * 1024 * 1024 })
end

local function assert_told(method, target, ...)
  local text = told(method, target)
  for _, wanted in ipairs({ ... }) do
    assert.matches(wanted, text)
  end
end

describe("moongate explain", function()
  it("tells route, handler, parameters, middleware and limits", function()
    assert_told("GET", "/users/7?a=1",
      "^GET /users/7\n\n",
      "answered by  GET /users/:id<int> %(user%), declared at .*_spec.lua:%d+\n",
      "handler      .*explain_spec.lua:%d+\n", 'params       id = 7\n',
      "timeout      5 s, of the route\n", "body         at most 64K, of the route\n",
      "stream       at most 60 s, of the route\n", "query        a=1\n",
      "middleware   1%. moongate/middleware/request_id.lua:%d+\n")
  end)

  it("names the configuration's limits where a route has none", function()
    assert_told("GET", "/files/a", "timeout      30 s %(timeouts.handler%)",
      "body         at most 16M %(limits.body%)")
  end)

  it("decodes parameters", function()
    assert_told("GET", "/files/a%20b/c", 'path = "a b/c"')
  end)

  it("takes a URL, and HEAD for GET", function()
    assert_told("GET", "http://moon.example:80/users/me?x", "answered by  GET /users/me,")
    assert_told("GET", "https://moon.example", "404: no route")
    assert_told("HEAD", "/users/me", "answered by  GET /users/me,")
  end)

  it("says why others do not answer, the nearest first", function()
    local text = told("GET", "/users/x")
    assert.matches("answered by  GET /users/:name,", text)
    assert.matches('GET /users/me: segment 2 is "x", not "me"\n', text)
    assert.matches('GET /users/:id<int>: segment 2, "x", is no int\n', text)
    assert.matches('POST /users: the path goes on with "/x"\n', text)
    assert.is_true(text:find("/users/me:", 1, true) < text:find("/files/", 1, true))
    assert_told("GET", "/users/7",
      "GET /users/:name: fits as well, but /users/:id<int> goes first: static segments")
    assert_told("GET", "/users", "POST /users: the path fits, the method does not",
      'GET /users/me: the path ends before segment 2, "me"')
    assert_told("GET", "/files/", "GET /files/%*path: nothing is left of the path for %*path")
    assert_told("GET", "/users/", "GET /users/:name: segment 2 is empty",
      'POST /users: the path goes on with "/"')
  end)

  it("tells what answers in place of a route", function()
    assert_told("DELETE", "/users/me", "answered by  405", "allowed      GET, HEAD, OPTIONS\n",
      "middleware   1%. moongate/middleware/request_id")
    assert_told("OPTIONS", "/users/me", "answered by  OPTIONS: 204")
    assert_told("GET", "/none", "answered by  404: no route has this path\n")
    assert_told("BREW", "/users/me", "answered by  501: nobody knows the method")
    local with_own = declare(function(app) app:not_found(function() end) end)
    assert.matches("handler      app:not_found, .*explain_spec.lua:%d+",
      explain.text(with_own, "GET", "/", { body_bytes = 1 }))
  end)

  it("tells the upstream of app:proxy, and the folder of app:static", function()
    assert_told("GET", "/api/shop/a", "upstream     shop, asked by Lua\n", "strip = /api/shop\n",
      "connect = 2\n", "2%. .*explain_spec.lua:%d+\n")
    assert_told("GET", "/public/a.css", "files        of public\n")
  end)

  it("leaves out what is too much", function()
    local many = declare(function(app)
      for i = 1, 20 do
        app:get("/r" .. i, function() end)
      end
    end)
    assert.matches("and 8 more\n$", explain.text(many, "GET", "/", { body_bytes = 1 }))
  end)
end)
