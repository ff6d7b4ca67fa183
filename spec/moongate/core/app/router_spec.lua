local router = require("moongate.core.app.router")
local test = require("moongate.test")
local helpers = dofile("spec/fixture/helpers.lua")
local refused = helpers.refused

describe("a path", function()
  local app
  setup(function()
    app = test.app("spec/fixture/requests.lua")
  end)
  teardown(function()
    app:assert_no_leaks()
  end)

  local function route_of(path)
    return app:get(path):json().route
  end

  it("goes to a static segment before a typed, a plain and a wildcard one", function()
    assert.equal("me", route_of("/users/me"))
    assert.equal("number", route_of("/users/7"))
    assert.equal("name", route_of("/users/ada"))
    assert.equal("rest", route_of("/users/ada/photos"))
  end)

  it("leaves a branch that leads nowhere", function()
    local res = app:get("/users/me/posts"):json()
    assert.equal("posts", res.route)
    assert.equal("me", res.params.name)
  end)

  it("gives its parameters decoded, and integers as such", function()
    assert.same({ name = "a b/c" }, app:get("/users/a%20b%2Fc"):json().params)
    assert.same({ id = 7 }, app:get("/users/007"):json().params)
    assert.same({ path = "a/b c.txt" }, app:get("/files/a/b%20c.txt"):json().params)
  end)

  it("is not the same with a slash at its end", function()
    assert.equal(404, app:get("/early/").status)
    assert.equal(404, app:get("/admin/").status)
    assert.equal(200, app:get("/admin").status)
  end)

  it("matches a static segment that is encoded", function()
    assert.equal("me", route_of("/%75sers/m%65"))
  end)

  it("gives a wildcard nothing but one character or more", function()
    assert.equal(404, app:get("/files/").status)
    assert.equal(404, app:get("/files").status)
  end)
end)

describe("router.build", function()
  it("writes what a path cannot hold as percent codes", function()
    assert.equal("/caf%C3%A9/7", router.build("/caf\195\169/:id", { id = 7 }))
    assert.equal("/caf%C3%A9/7", router.build("/caf%C3%A9/:id<int>", { id = 7 }))
    assert.equal("/100%25/a%20b%3F%23%5E", router.build("/100%/a b?#^", {}))
    assert.equal("/%3Aid/@a:b", router.build("/%3Aid/@a:b", {}))
  end)

  it("fills parameters in, encoded", function()
    assert.equal("/users/a%20b%2Fc", router.build("/users/:name", { name = "a b/c" }))
    local path = router.build("/users/:id<int>/posts/:post", { id = 7, post = 8 })
    assert.equal("/users/7/posts/8", path)
  end)

  it("keeps the slashes of a wildcard", function()
    assert.equal("/files/a/b%20c.txt", router.build("/files/*path", { path = "a/b c.txt" }))
  end)

  it("returns one value", function()
    assert.equal(1, select("#", router.build("/", {})))
  end)

  it("refuses a missing, an empty or an odd parameter", function()
    for _, id in ipairs({ false, "", {} }) do
      refused(function()
        router.build("/users/:id", { id = id })
      end, "url: the parameter id of /users/:id is missing")
    end
  end)
end)
