local suggest = require("moongate.core.suggest")

describe("suggest.nearest", function()
  it("finds a name with a letter wrong, missing, doubled or swapped", function()
    local names = { timeout = 1, middleware = 2 }
    for _, typo in ipairs({ "timeuot", "timout", "timeoutt", "timeour" }) do
      assert.equal("timeout", suggest.nearest(typo, names))
    end
  end)

  it("finds nothing where nothing is near", function()
    assert.is_nil(suggest.nearest("banana", { timeout = 1 }))
    assert.is_nil(suggest.nearest("x", { timeout = 1 }))
    assert.is_nil(suggest.nearest("timeout", {}))
  end)

  it("allows short names one change only", function()
    assert.equal("get", suggest.nearest("gt", { get = 1 }))
    assert.equal("post", suggest.nearest("psot", { post = 1 }))
    assert.is_nil(suggest.nearest("gxx", { get = 1 }))
  end)

  it("finds what only an ending was added to, if nothing is nearer", function()
    assert.equal("warn", suggest.nearest("warning", { warn = 1, info = 1 }))
    assert.is_nil(suggest.nearest("warnabout", { warn = 1 }))
    assert.is_nil(suggest.nearest("going", { go = 1 }))
  end)

  it("looks through all tables and prefers the nearest, then the first by name", function()
    assert.equal("path", suggest.nearest("pathh", { paths = 1 }, { path = 1 }))
    assert.equal("cat", suggest.nearest("xat", { hat = 1, cat = 1 }))
  end)

  it("takes names that are no strings", function()
    assert.equal("12", suggest.nearest(13, { [12] = true }))
    assert.is_nil(suggest.nearest(nil, { timeout = 1 }))
  end)
end)

describe("suggest.for_name", function()
  it("is an addition to a message", function()
    assert.equal(" (did you mean 'name'?)", suggest.for_name("nme", { name = 1 }))
    assert.equal("", suggest.for_name("zzz", { name = 1 }))
  end)
end)
