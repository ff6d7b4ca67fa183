local moongate = require("moongate")
local middleware = moongate.middleware
local test = require("moongate.test")
local helpers = dofile("spec/fixture/helpers.lua")
local refused = helpers.refused

local app
before_each(function()
  app = test.app("spec/fixture/middleware.lua")
end)
after_each(function()
  app:assert_no_leaks()
end)

describe("secure_headers", function()
  it("adds its own fields and the given ones, but for those set to false", function()
    local headers = app:get("/secure").headers
    assert.equal("nosniff", headers["x-content-type-options"])
    assert.equal("no-referrer", headers["referrer-policy"])
    assert.equal("default-src 'self'", headers["content-security-policy"])
    assert.is_nil(headers["x-frame-options"])
  end)

  it("takes strings and false alone", function()
    refused(function()
      middleware.secure_headers({ ["X-A"] = 7 })
    end, "secure_headers: X%-A: a string is wanted")
  end)
end)
