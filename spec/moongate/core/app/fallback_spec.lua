-- What no route takes belongs to the app: the middleware of the place it falls into runs around it.
local moongate = require("moongate")
local test = require("moongate.test")
local cors = moongate.middleware.cors

local ORIGIN = "https://a.example"

local app

local function start(declare)
  app = test.app(declare)
end

after_each(function()
  app:assert_no_leaks()
end)

local function ok(ctx)
  return ctx:text("ok")
end

-- Says by a field that it ran.
local function mark(name)
  return function(ctx, next)
    ctx:add_header("X-Ran", name)
    return next()
  end
end

local function ran(method, path)
  local response = app:request(method, path)
  return response.status .. " " .. (response.headers["x-ran"] or "-")
end

local function preflight(path, method, more)
  local headers = { Origin = ORIGIN, ["Access-Control-Request-Method"] = method }
  for name, value in pairs(more or {}) do
    headers[name] = value
  end
  return app:options(path, { headers = headers })
end

describe("404, 405 and OPTIONS", function()
  it("run the group's middleware below its prefix", function()
    start(function(a)
      a:use(mark("app"))
      a:group("/api", { mark("group") }, function(api)
        api:get("/things", ok)
        api:use(mark("late"))
        api:group("/deep", { mark("deep") }, function(deep) deep:post("/x", ok) end)
      end)
      a:get("/plain", ok)
    end)
    assert.equal("200 app, group", ran("GET", "/api/things"))
    assert.equal("405 app, group, late", ran("PUT", "/api/things"))
    assert.equal("204 app, group, late", ran("OPTIONS", "/api/things"))
    for _, path in ipairs({ "/api", "/api/", "/api/none", "/api/a/b/c", "/api/%74hings/" }) do
      assert.equal("404 app, group, late", ran("GET", path), path)
      assert.equal("404 app, group, late", ran("OPTIONS", path), path)
    end
    assert.equal("404 app, group, late, deep", ran("GET", "/api/deep/none"))
    assert.equal("405 app, group, late, deep", ran("GET", "/api/deep/x"))
    assert.equal("404 app, group, late", ran("GET", "/api/deeper"))
    for _, path in ipairs({ "/", "/apis", "/ap", "/api2/x", "/x/api" }) do
      assert.equal("404 app", ran("GET", path), path)
    end
    assert.equal("405 app", ran("PUT", "/plain"))
    assert.equal("204 app", ran("OPTIONS", "/plain"))
  end)

  it("find groups whose prefix has parameters, and have them", function()
    local seen
    start(function(a)
      a:group("/t/:tenant<int>", { function(ctx, next)
        seen = ctx.params
        ctx:add_header("X-Ran", "tenant " .. ctx.params.tenant)
        return next()
      end }, function(tenant)
        tenant:get("/users/:id", ok)
      end)
      a:group("/t/all", { mark("all") }, function(all) all:get("/x", ok) end)
    end)
    assert.equal("404 tenant 7", ran("GET", "/t/7/none"))
    assert.same({ tenant = 7 }, seen)
    assert.equal("404 tenant 7", ran("GET", "/t/7"))
    assert.equal("405 tenant 7", ran("PUT", "/t/7/users/8"))
    assert.same({ tenant = 7, id = "8" }, seen)
    assert.equal("404 all", ran("GET", "/t/all/none"))
    assert.equal("404 -", ran("GET", "/t/seven/none"))
  end)

  it("belong to the group of the path's routes, wherever these are declared", function()
    start(function(a)
      a:group("/", { mark("pages") }, function(pages) pages:get("/page", ok) end)
      a:group("/", { mark("forms") }, function(forms) forms:post("/form", ok) end)
      a:group("/api", { mark("api") }, function() end)
      a:get("/api/open", ok)
    end)
    assert.equal("405 pages", ran("PUT", "/page"))
    assert.equal("204 forms", ran("OPTIONS", "/form"))
    assert.equal("405 -", ran("PUT", "/api/open"))
    assert.equal("404 api", ran("GET", "/api/none"))
    assert.equal("404 -", ran("GET", "/none"))
  end)

  it("go to app:not_found behind the group's middleware, which may answer itself", function()
    start(function(a)
      a:not_found(function(ctx) return 404, "no " .. ctx.path end)
      a:group("/in", { mark("in") }, function() end)
      a:group("/closed", { function(ctx) ctx:fail(401, "closed") end }, function() end)
    end)
    local response = app:get("/in/x")
    assert.equal("no /in/x", response.body)
    assert.equal("in", response.headers["x-ran"])
    assert.equal(401, app:get("/closed/x").status)
    assert.equal("no /x", app:get("/x").body)
  end)

  it("show a failing middleware as any other", function()
    start(function(a)
      a:group("/in", { function() error("a mistake") end }, function() end)
    end)
    assert.equal(500, app:get("/in/x").status)
    assert.matches("fallback_spec%.lua:%d+: a mistake", app.logs[1].message)
  end)
end)

describe("a preflight", function()
  it("of a route in a group with cors is what a browser wants", function()
    start(function(a)
      a:group("/api", { cors({ origins = { ORIGIN }, credentials = true }) }, function(api)
        api:get("/things", ok)
        api:put("/things/:id", ok)
      end)
    end)
    for _, path in ipairs({ "/api/things/7", "/api/things", "/api/none" }) do
      local response = preflight(path, "PUT", { ["Access-Control-Request-Headers"] = "x-a" })
      assert.equal(204, response.status)
      assert.equal(ORIGIN, response.headers["access-control-allow-origin"])
      assert.equal("true", response.headers["access-control-allow-credentials"])
      assert.matches("PUT", response.headers["access-control-allow-methods"])
      assert.equal("x-a", response.headers["access-control-allow-headers"])
      assert.equal("Origin, Access-Control-Request-Headers", response.headers.vary)
    end
    local response = app:put("/api/things", { headers = { Origin = ORIGIN } })
    assert.equal(405, response.status)
    assert.equal(ORIGIN, response.headers["access-control-allow-origin"])
    assert.equal("Origin", response.headers.vary)
    response = app:get("/api/none", { headers = { Origin = ORIGIN } })
    assert.equal(404, response.status)
    assert.equal(ORIGIN, response.headers["access-control-allow-origin"])
    assert.is_nil(app:options("/other", { headers = { Origin = ORIGIN } })
      .headers["access-control-allow-origin"])
  end)

  it("of app:use reaches every path", function()
    start(function(a)
      a:use(cors())
      a:get("/x", ok)
    end)
    for _, path in ipairs({ "/x", "/none" }) do
      local response = preflight(path, "GET")
      assert.equal(204, response.status)
      assert.equal("*", response.headers["access-control-allow-origin"])
    end
  end)

  it("allows a method that is not HTTP's own if no list is given", function()
    start(function(a)
      a:group("/api", { cors() }, function(api) api:route({ "PURGE" }, "/x", ok) end)
      a:route({ "PURGE" }, "/y", { middleware = { cors({ methods = { "GET" } }) } }, ok)
    end)
    local response = preflight("/api/x", "PURGE")
    assert.equal(204, response.status)
    assert.equal("GET, HEAD, POST, PUT, PATCH, DELETE, PURGE",
      response.headers["access-control-allow-methods"])
    assert.equal("GET, HEAD, POST, PUT, PATCH, DELETE",
      preflight("/api/x", "GET").headers["access-control-allow-methods"])
    assert.equal("GET, HEAD, POST, PUT, PATCH, DELETE",
      preflight("/api/x", "a b").headers["access-control-allow-methods"])
    assert.equal("GET", preflight("/y", "PURGE").headers["access-control-allow-methods"])
  end)

  it("runs the middleware of the route that it asks for", function()
    start(function(a)
      a:get("/x", { middleware = { cors({ origins = { "https://b.example" } }) } }, ok)
      a:post("/x", { middleware = { cors({ origins = { ORIGIN }, methods = { "POST" } }) } }, ok)
      a:delete("/x", ok)
    end)
    assert.is_nil(preflight("/x", "GET").headers["access-control-allow-origin"])
    local post = preflight("/x", "POST")
    assert.equal(ORIGIN, post.headers["access-control-allow-origin"])
    assert.equal("POST", post.headers["access-control-allow-methods"])
    local delete = preflight("/x", "DELETE")
    assert.equal(204, delete.status)
    assert.is_nil(delete.headers["access-control-allow-origin"])
    assert.equal("GET, HEAD, POST, DELETE, OPTIONS", delete.headers.allow)
    assert.equal(204, preflight("/x", "no method at all").status)
  end)
end)

describe("Vary", function()
  local function vary_of(handler)
    start(function(a)
      a:use(cors({ origins = { ORIGIN } }))
      a:get("/", handler)
    end)
    return app:get("/").headers.vary
  end

  it("is a set that middleware and handlers add to", function()
    assert.equal("Origin, Accept", vary_of(function(ctx)
      ctx:header("Vary", "Accept"):text("")
    end))
    assert.equal("Origin, Accept, Cookie", vary_of(function(ctx)
      ctx:add_header("vary", "accept, ORIGIN"):header("Vary", { "Accept", "Cookie" }):text("")
    end):gsub("accept", "Accept"), nil)
    assert.equal("*", vary_of(function(ctx)
      ctx:header("Vary", "Accept, *"):header("Vary", "Cookie"):text("")
    end))
    assert.equal("Origin", vary_of(function(ctx)
      ctx:header("Vary", ""):text("")
    end))
    assert.is_nil(vary_of(function(ctx)
      ctx:header("Vary", nil):text("")
    end))
  end)

  it("keeps middleware's part when a handler fails", function()
    assert.equal("Origin, Accept", vary_of(function(ctx)
      ctx:header("Vary", "Accept")
      error("a mistake")
    end))
  end)

  it("does not change the list that it is given", function()
    local list = { "Accept", 7 }
    start(function(a)
      a:get("/", function(ctx) ctx:header("Vary", list):header("X-List", list):text("") end)
    end)
    app:get("/")
    assert.same({ "Accept", 7 }, list)
  end)
end)
