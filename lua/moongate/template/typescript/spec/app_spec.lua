local test = require("moongate.test")

describe("the app", function()
  local app

  before_each(function()
    app = test.app({ cache = "memory:1M" })
  end)

  after_each(function()
    app:assert_no_leaks()
  end)

  it("says that it runs", function()
    assert.equal(200, app:get("/").status)
  end)

  it("counts visits", function()
    app:get("/hello/moon")
    assert.same({ hello = "moon", visits = 2 }, app:get("/hello/moon"):json())
  end)

  it("tells how long an answer took", function()
    assert.equal("0.000", app:get("/").headers["x-seconds"])
  end)

  it("answers 504 when the cache is never heard of", function()
    app:stub("increment_cache", test.never())
    assert.equal(504, app:get("/hello/moon").status)
  end)
end)
