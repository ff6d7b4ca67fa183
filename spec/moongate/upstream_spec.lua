-- What a script may know and say of upstreams; what needs servers is in tests/integration.
local upstream = require("moongate.upstream")
local moongate = require("moongate")

describe("moongate.upstream", function()
  after_each(function() upstream.know(nil) end)

  it("knows the names of the configuration", function()
    upstream.know({ "users", "shop" })
    assert.equal("users", moongate.upstream("users").name)
    assert.is_nil(upstream.fault("shop"))
  end)

  it("names what there is, and what was meant", function()
    upstream.know({ "users", "shop" })
    assert.equal("there is no upstream 'user', allowed: shop, users (did you mean 'users'?)",
      upstream.fault("user"))
    assert.error_matches(function() moongate.upstream("zzz") end,
      "there is no upstream 'zzz', allowed: shop, users$")
  end)

  it("says so if there are none at all", function()
    upstream.know({})
    assert.equal("there is no upstream 'a', allowed: none, since the configuration has no "
      .. "upstreams", upstream.fault("a"))
  end)

  it("takes any name where there is no configuration", function()
    assert.is_nil(upstream.fault("anything"))
  end)

  it("is called with a colon, and with what it wants", function()
    local users = moongate.upstream("users")
    assert.error_matches(function() users.servers() end, "call it with a colon")
    assert.error_matches(function() users:drain(5) end, "url: a string is wanted, not 5")
    assert.error_matches(function() users:set_servers("http://a") end,
      'servers: a list of URLs or tables { url = ... } is wanted, not "http://a"', 1, true)
    assert.error_matches(function() moongate.upstream(7) end, "name: a string is wanted, not 7")
  end)
end)
