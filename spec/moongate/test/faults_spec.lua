--- What an app logged is printed with the spec that failed: tests/integration/spec_runner_spec.lua.
local faults = require("moongate.test.faults")

before_each(function()
  faults.take("")
end)

describe("the faults of a spec", function()
  it("are what its apps logged as warnings and errors, once", function()
    faults.note("info", "all is well")
    faults.note("warn", "a little less")
    faults.note("error", "it failed\nstack traceback:")
    assert.equal("\nLogged in: a spec\n  warn: a little less\n  error: it failed\n"
      .. "  stack traceback:\n", faults.take("a spec"))
    assert.is_nil(faults.take("another one"))
  end)

  it("are told in part if there are many", function()
    for i = 1, 30 do
      faults.note("error", tostring(i))
    end
    local text = faults.take("a spec")
    assert.matches("\n  error: 20\n  ... and 10 more\n$", text)
  end)
end)
