local test = require("moongate.test")

local app
before_each(function()
  app = test.app("spec/fixture/middleware.lua")
end)
after_each(function()
  app:assert_no_leaks()
end)

describe("response_time", function()
  it("tells how long the handler and the middleware below took", function()
    assert.equal("app;dur=250.000", app:get("/timed").headers["server-timing"])
  end)
end)
