local again = require("moongate.core.http.again")
local moongate = require("moongate")
local test = require("moongate.test")

local app

before_each(function()
  app = test.app(function() end)
end)

after_each(function()
  app:assert_no_leaks()
end)

describe("a call", function()
  it("is tried again as often as wanted, if that does no harm", function()
    local request = { method = "GET", retries = 2 }
    assert.is_true(again.may_retry(request, "connect", false))
    assert.is_true(again.may_retry(request, "closed", false))
    assert.is_false(again.may_retry(request, "dns", false))
    assert.equal(2, request.tries)
  end)

  it("is tried again whatever its method if the server has seen nothing of it", function()
    assert.is_false(again.may_retry({ method = "POST", retries = 1 }, "closed", false))
    assert.is_true(again.may_retry({ method = "POST", retries = 1 }, "closed", true))
  end)

  it("is not tried again where that cannot help", function()
    for _, code in ipairs({ "denied", "protocol", "tls", "timeout", "limit" }) do
      assert.is_false(again.may_retry({ method = "GET", retries = 1 }, code, false), code)
    end
    assert.is_false(again.may_retry({ method = "GET", retries = 1 }, "denied", true))
  end)

  it("has what is left of its time when it begins again", function()
    local given = { first_byte_timeout = 8, connect_timeout = 1 }
    local request = {
      url = "http://a/", timeout = 10, ends = moongate.monotonic() + 10, options = given,
    }
    app.clock:advance(7)
    assert.is_true(again.use_what_is_left(request))
    assert.near(3, request.options.timeout, 1e-6)
    assert.near(3, request.options.first_byte_timeout, 1e-6)
    assert.equal(1, request.options.connect_timeout)
    assert.is_nil(given.timeout)
    app.clock:advance(3)
    assert.is_false(again.use_what_is_left(request))
    assert.equal("http://a/: the response was not complete within 10 s",
      again.too_late(request).message)
  end)
end)
