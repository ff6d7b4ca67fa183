--- Patterns of other frameworks; their messages: spec/moongate/mistakes_spec.lua.
local patterns = require("moongate.core.app.patterns")

describe("a pattern", function()
  it("is taken as it is", function()
    for _, pattern in ipairs({
      "/", "/users/:id", "/:n<int>", "/*rest", "/a<b", "/what?", "/x*", "/a{b", "/*/x",
    }) do
      assert.equal(pattern, patterns.check(pattern))
    end
  end)

  it("begins with a slash and is a text", function()
    assert.error_matches(function() patterns.check("users") end,
      'pattern: it begins with "/", unlike "users"', 1, true)
    assert.error_matches(function() patterns.check(7) end, "pattern: a string is wanted, not 7")
  end)
end)
