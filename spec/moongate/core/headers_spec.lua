local headers_of = require("moongate.core.headers")

describe("fields of a head", function()
  it("are found in any case, by names alone", function()
    local headers = headers_of.any_case({ ["x-a"] = "1" })
    assert.equal("1", headers["X-A"])
    assert.equal("1", headers["x-a"])
    assert.is_nil(headers["X-B"])
    assert.is_nil(headers[1])
  end)

  it("that only tell are found likewise, and nothing is added to them", function()
    local headers = headers_of.read_only({ ["x-a"] = "1" }, "say it elsewhere")
    assert.equal("1", headers["X-A"])
    assert.error_matches(function() headers["X-B"] = "2" end, "say it elsewhere", 1, true)
    assert.equal(getmetatable(headers), getmetatable(headers_of.read_only({}, "say it elsewhere")))
  end)

  it("that a script gave are copied under their names in lower case", function()
    local given = { ["X-A"] = "1", [2] = "2" }
    local headers = headers_of.lowered(given)
    assert.equal("1", rawget(headers, "x-a"))
    assert.equal("2", headers["2"])
    assert.same({ ["X-A"] = "1", [2] = "2" }, given)
    assert.same({}, headers_of.lowered(nil))
  end)

  it("are copied without the unwanted, however those are written", function()
    local given = { Cookie = "a=1", ["X-A"] = "1", [1] = "first" }
    assert.same({ ["X-A"] = "1", [1] = "first" }, headers_of.without(given, { cookie = true }))
    assert.same({}, headers_of.without(nil, { cookie = true }))
  end)
end)
