local test = require("moongate.test")

describe("GET /hello/:name", function()
  local app
  before_each(function()
    app = test.app("lua/app.lua")
  end)
  after_each(function()
    app:assert_no_leaks()
  end)

  it("greets by name", function()
    local res = app:get("/hello/moon")
    assert.equal(200, res.status)
    assert.equal("application/json", res.headers["content-type"])
    assert.same({ message = "Hello, moon!" }, res:json())
  end)

  it("takes another greeting", function()
    local res = app:get("/hello/J%C3%BCrgen", { query = { greeting = "Good day" } })
    assert.equal("Good day, Jürgen!", res:json().message)
  end)
end)
