local origin = require("moongate.core.live.origin")

describe("the origins that may open a WebSocket", function()
  local function listed(...)
    return origin.option("origins", { ... })
  end

  it("are those of the same host unless others are named", function()
    assert.is_true(origin.allows(nil, nil, "a.test"))
    assert.is_true(origin.allows(nil, "https://a.test", "a.test"))
    assert.is_true(origin.allows(nil, "http://A.test:8080", "a.TEST:8080"))
    assert.is_false(origin.allows(nil, "http://a.test:8080", "a.test"))
    assert.is_false(origin.allows(nil, "https://a.test.evil.test", "a.test"))
    assert.is_false(origin.allows(nil, "null", "a.test"))
    assert.is_false(origin.allows(nil, "https://a.test", nil))
  end)

  it("are a list then, in any case", function()
    local known = listed("https://A.test", "http://b.test:81", "null")
    assert.is_true(origin.allows(known, nil, "c.test"))
    assert.is_true(origin.allows(known, "https://a.TEST", "c.test"))
    assert.is_true(origin.allows(known, "http://b.test:81", "c.test"))
    assert.is_true(origin.allows(known, "null", "c.test"))
    for _, other in ipairs({ "http://a.test", "http://b.test", "https://x.a.test",
      "https://c.test" }) do
      assert.is_false(origin.allows(known, other, "c.test"), other)
    end
  end)

  it("may be all subdomains of one, but not itself", function()
    local known = listed("https://*.a.test")
    assert.is_true(origin.allows(known, "https://x.a.test", ""))
    assert.is_true(origin.allows(known, "https://x.y.a.test", ""))
    for _, other in ipairs({ "https://a.test", "http://x.a.test", "https://xa.test",
      "https://x.a.test.evil.test", "https://x.a.test:8443" }) do
      assert.is_false(origin.allows(known, other, ""), other)
    end
  end)

  it("may be any", function()
    assert.is_true(origin.allows(origin.option("origins", "*"), "https://evil.test", "a.test"))
  end)

  it("are refused if they are none", function()
    for _, wrong in ipairs({ "a.test", "https://a.test/", "https://a.test/x", "https://",
      "https://a*.test", "*" }) do
      assert.has_error(function() listed(wrong) end)
    end
    assert.error_matches(function() origin.option("origins", 7) end, "a list of origins is wanted")
    assert.error_matches(function() origin.option("origins", { first = "https://a.test" }) end,
      "a list of origins is wanted, without a hole")
  end)
end)
