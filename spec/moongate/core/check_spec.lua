local check = require("moongate.core.check")
local helpers = dofile("spec/fixture/helpers.lua")
local message_of = helpers.message_of

describe("a check", function()
  it("returns the value it accepts", function()
    assert.equal("x", check.string("name", "x"))
    assert.equal(print, check.callable("handler", print))
    assert.equal(3, check.positive_integer("n", 3))
    assert.equal(0.5, check.seconds("timeout", 0.5))
    assert.equal("a", check.one_of("key", "a", { a = true }))
  end)

  it("names what is wrong and what is wanted", function()
    assert.matches("name: a string is wanted, not 7$", message_of(check.string, "name", 7))
    assert.matches('n: a table is wanted, not "x"$', message_of(check.type, "n", "x", "table"))
    assert.matches("h: a function is wanted, not nil$", message_of(check.callable, "h", nil))
  end)

  it("calls null by its name", function()
    assert.has_error(function()
      check.string("path", require("moongate.json").null)
    end, "path: a string is wanted, not null")
  end)

  it("raises at the line outside of the framework", function()
    local message = message_of(function()
      check.string("name", nil)
    end)
    assert.matches("spec/moongate/core/check_spec%.lua:%d+: name: a string", message)
  end)

  it("knows the caller's place", function()
    local place = check.caller()
    assert.matches("check_spec%.lua:%d+$", place)
  end)
end)

describe("check.callable", function()
  it("takes tables that can be called, and no others", function()
    local callable = setmetatable({}, { __call = print })
    assert.equal(callable, check.callable("h", callable))
    assert.is_true(check.is_callable(callable))
    assert.is_false(check.is_callable({}))
    assert.matches("not table$", message_of(check.callable, "h", {}))
  end)
end)

describe("check.positive_integer", function()
  it("refuses zero, fractions, infinity and other types", function()
    for _, value in ipairs({ 0, -1, 1.5, math.huge, 0 / 0, "3" }) do
      message_of(check.positive_integer, "n", value)
    end
  end)
end)

describe("check.seconds", function()
  it("refuses zero, negatives, infinity, nan and other types", function()
    for _, value in ipairs({ 0, -1, math.huge, 0 / 0, "3" }) do
      message_of(check.seconds, "timeout", value)
    end
  end)
end)

describe("check.is_list", function()
  it("takes tables without holes and names", function()
    for _, list in ipairs({ {}, { 1 }, { "a", false } }) do
      assert.is_true(check.is_list(list))
    end
    for _, other in ipairs({ { [2] = 1 }, { 1, nil, 3 }, { a = 1 }, { 1, a = 1 } }) do
      assert.is_false(check.is_list(other))
    end
  end)
end)

describe("check.list", function()
  it("says what the list is to hold", function()
    local list = { "a" }
    assert.equal(list, check.list("topics", list, "topics"))
    assert.error_matches(function() check.list("topics", 7, "topics") end,
      "topics: a list of topics is wanted, without a hole, not 7$")
    assert.error_matches(function() check.list("topics", { a = 1 }, "topics") end,
      "without a hole$")
  end)
end)

describe("check.size", function()
  it("takes bytes and texts with a unit", function()
    local sizes = {
      ["0"] = 0, ["512"] = 512, ["64K"] = 65536, ["64k"] = 65536, ["16M"] = 16777216,
      ["1G"] = 2 ^ 30, ["1T"] = 2 ^ 40,
    }
    for text, bytes in pairs(sizes) do
      assert.equal(bytes, check.size("body", text))
    end
    assert.equal(100, check.size("body", 100))
  end)

  it("refuses anything else, saying what is allowed", function()
    local wrong = {
      "64P", "1.5M", "M", "-1", "", "1 K", -1, 0.5, math.huge, 2 ^ 64, "99999999G", {},
    }
    for _, value in ipairs(wrong) do
      local message = message_of(check.size, "body", value)
      assert.matches('body: a size is wanted, bytes or "64K"', message)
    end
  end)
end)

describe("check.bound", function()
  it("is a size, or false for the largest there is", function()
    assert.equal(2 ^ 40, check.bound("max", "1T"))
    assert.equal(2 ^ 53, check.bound("max", false))
    assert.matches("max: a size is wanted", message_of(check.bound, "max", true))
  end)
end)

describe("check.one_of", function()
  it("lists what is allowed and guesses what was meant", function()
    local message = message_of(check.one_of, "method", "PSOT", { POST = true, GET = true })
    assert.matches('method: "PSOT" is unknown, allowed are GET, POST', message)
    assert.matches(" %(did you mean 'POST'%?%)$", message)
  end)

  it("says so where nothing is allowed", function()
    assert.matches("allowed are none$", message_of(check.one_of, "route", "x", {}))
  end)
end)

describe("check.options", function()
  local allowed = { size = check.size, fast = true }

  it("returns a checked copy", function()
    local given = { size = "1K", fast = false }
    assert.same({ size = 1024, fast = false }, check.options("o", given, allowed))
    assert.equal("1K", given.size)
  end)

  it("refuses a false where a checked value is wanted", function()
    local message = message_of(check.options, "o", { size = false }, allowed)
    assert.matches("o%.size: a size is wanted", message)
  end)

  it("refuses unknown keys", function()
    local message = message_of(check.options, "o", { sise = 1 }, allowed)
    assert.matches('o: "sise" is unknown, allowed are fast, size', message)
    assert.matches(" %(did you mean 'size'%?%)$", message)
  end)
end)
