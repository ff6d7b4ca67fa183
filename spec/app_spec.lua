local test = require("moongate.test")

describe("the sample app", function()
  local app
  before_each(function()
    app = test.app("lua/app.lua", {
      database = "sqlite::memory:", migrations = "lua/migrations", cache = "memory:1M",
    })
  end)
  after_each(function()
    app:assert_no_leaks()
  end)

  it("gives each answer an id of its own and careful headers", function()
    local first, second = app:get("/users"), app:get("/users")
    assert.is_string(first.headers["x-request-id"])
    assert.not_equal(first.headers["x-request-id"], second.headers["x-request-id"])
    assert.equal("nosniff", first.headers["x-content-type-options"])
  end)

  it("answers 404 as problem+json where there is nothing", function()
    local res = app:get("/nowhere")
    assert.equal(404, res.status)
    assert.equal("application/problem+json", res.headers["content-type"])
    assert.equal(res.headers["x-request-id"], res:json().request_id)
  end)

  it("answers 405 with what is allowed", function()
    local res = app:delete("/users")
    assert.equal(405, res.status)
    assert.equal("GET, HEAD, POST, OPTIONS", res.headers.allow)
  end)

  it("answers 504 when a handler takes too long", function()
    app:stub("sleep", test.never())
    assert.equal(504, app:get("/parallel").status)
    assert.near(2, app.clock:elapsed(), 0.001) -- took no real time
  end)
end)
