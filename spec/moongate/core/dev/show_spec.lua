--- Values at a prompt.
local show = require("moongate.core.dev.show")

describe("a value at the prompt", function()
  it("is shown as it is written", function()
    assert.equal('"a\\n\\"b\\\\\\0"', show.value("a\n\"b\\\0"))
    assert.equal("1.5", show.value(1.5))
    assert.equal("nil", show.value(nil))
    assert.equal("true", show.value(true))
    assert.equal("{}", show.value({}))
  end)

  it("has its entries sorted, with the keys that are no list's", function()
    assert.equal('{\n  1,\n  "x",\n  [4] = 2,\n  ["b c"] = true,\n  d = {\n    e = 1,\n  },\n}',
      show.value({ 1, "x", [4] = 2, ["b c"] = true, d = { e = 1 } }))
  end)

  it("may be in itself, deep or large", function()
    local own = {}
    own.own = own
    assert.equal("{\n  own = { it is in itself },\n}", show.value(own))
    assert.truthy(show.value({ { { { { { 1 } } } } } }):find("{ ... }", 1, true))
    local many = {}
    for i = 1, 300 do
      many[i] = i
    end
    assert.truthy(show.value(many):find("... and 100 more", 1, true))
  end)

  it("may have a text of its own, or one that fails", function()
    local own, broken = function() return "moon" end, function() error("no") end
    assert.equal("moon", show.value(setmetatable({}, { __tostring = own })))
    assert.is_string(show.value(setmetatable({}, { __tostring = broken })))
    assert.is_string(show.value(print))
  end)
end)
