--- The arguments of `moongate test`; what comes of them: tests/integration/spec_runner_spec.lua.
local runner = require("moongate.test.runner")

local function parse(line)
  local args = {}
  for word in line:gmatch("%S+") do
    args[#args + 1] = word
  end
  return runner.parse(args)
end

describe("arguments of moongate test", function()
  it("are busted's, and the first that is no option is where the specs lie", function()
    local line = "--ignore-lua -o TAP --filter x spec/a_spec.lua --output=json spec/b"
    local parsed = parse(line)
    assert.equal(line, table.concat(parsed.rest, " "))
    assert.equal("spec/a_spec.lua", parsed.path)
    assert.is_nil(parsed.seed)
    assert.is_nil(parsed.coverage)
    assert.equal(".", parse("-r unit").path)
  end)

  it("may ask for another order", function()
    local parsed = parse("spec --shuffle 42 -v")
    assert.equal(42, parsed.seed)
    assert.equal("spec -v", table.concat(parsed.rest, " "))
    assert.equal(7, parse("--shuffle=7").seed)
    local drawn = parse("--shuffle spec")
    assert.is_true(drawn.seed >= 1 and drawn.seed < 2 ^ 31 and drawn.seed % 1 == 0)
    assert.equal("spec", drawn.path)
    for _, text in ipairs({ "=x", " 0", " 2147483648", "=" }) do
      local none, why = parse("--shuffle" .. text)
      assert.is_nil(none)
      assert.matches("--shuffle: a whole number from 1 to 2147483647 is wanted", why, 1, true)
    end
  end)

  it("may ask which lines run", function()
    assert.is_true(parse("--coverage").coverage)
    assert.equal("build/lcov.info", parse("--coverage=build/lcov.info").coverage)
  end)
end)
