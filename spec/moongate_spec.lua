--- The names that scripts may lean on.
local moongate = require("moongate")

describe("require", function()
  it("gives each subject of moongate as a module, which is the same table", function()
    for _, name in ipairs({ "files", "http", "json", "log", "middleware" }) do
      assert.equal(moongate[name], require("moongate." .. name), name)
    end
    assert.equal(moongate.Future, require("moongate.future"))
  end)

  it("gives each middleware as a module of its own", function()
    for name, new in pairs(moongate.middleware) do
      assert.equal(new, require("moongate.middleware." .. name).new, name)
    end
  end)
end)

describe("moongate", function()
  it("has what its documentation names, and nothing else", function()
    local names = {}
    for name in pairs(moongate) do
      names[#names + 1] = name
    end
    table.sort(names)
    assert.equal("Future after app base64_decode base64_encode blob cache "
      .. "constant_time_equal crypto database files future hex_decode hex_encode hmac_sha256 http "
      .. "info is_utf8 json log md5 middleware monotonic now number_text password publish "
      .. "query_encode random_bytes redis sha1 sha256 sleep spawn tcp template topics upstream "
      .. "url_decode url_encode uuid uuid7 version websocket",
      table.concat(names, " "))
  end)
end)
