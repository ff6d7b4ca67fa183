local test = require("moongate.test")
local seldom = require("moongate.core.seldom")

describe("warnings that peers cause", function()
  local app
  before_each(function()
    app = test.app(function() end)
  end)
  after_each(function()
    app:close()
  end)

  it("are told seldom, with how many were left out", function()
    local kind, other = seldom.new(), seldom.new()
    for i = 1, 4 do
      seldom.warn(kind, "no " .. i)
    end
    seldom.warn(other, "not this")
    app.clock:advance(9)
    seldom.warn(kind, "no 5")
    app.clock:advance(2)
    seldom.warn(kind, "no 6")
    app.clock:advance(11)
    seldom.warn(kind, "no 7")
    local told = {}
    for i, line in ipairs(app.logs) do
      told[i] = line.level .. " " .. line.message
    end
    assert.same({
      "warn no 1", "warn not this",
      "warn no 6 (and 4 times more since the last line of this)", "warn no 7",
    }, told)
  end)
end)
