local test = require("moongate.test")

local app
before_each(function()
  app = test.app("spec/fixture/middleware.lua")
end)
after_each(function()
  app:assert_no_leaks()
end)

describe("body_limit", function()
  it("refuses an announced body that is too large", function()
    assert.equal(200, app:post("/limited", { body = ("x"):rep(1024) }).status)
    local res = app:post("/limited", { body = ("x"):rep(1025) })
    assert.equal(413, res.status)
    assert.equal("the body is larger than 1024 bytes", res:json().detail)
  end)
end)
