local test = require("moongate.test")

local app
before_each(function()
  app = test.app("spec/fixture/middleware.lua")
end)
after_each(function()
  app:assert_no_leaks()
end)

describe("request_id", function()
  it("shows the request's id, another one each time", function()
    local first, second = app:get("/id"), app:get("/id")
    assert.equal(first:json().id, first.headers["x-request-id"])
    assert.not_equal(first:json().id, second:json().id)
  end)

  it("believes no incoming id unless it is told to", function()
    local res = app:get("/id", { headers = { ["X-Request-Id"] = "mine" } })
    assert.not_equal("mine", res.headers["x-request-id"])
  end)

  it("believes a valid incoming id where it trusts", function()
    local res = app:get("/trusted", { headers = { ["X-Trace"] = "abc-1" } })
    assert.equal("abc-1", res.headers["x-trace"])
    assert.equal("abc-1", res:json().id)
    for _, odd in ipairs({ "a b", ("x"):rep(129), '"quoted"' }) do
      local answer = app:get("/trusted", { headers = { ["X-Trace"] = odd } })
      assert.not_equal(odd, answer.headers["x-trace"])
    end
  end)
end)
