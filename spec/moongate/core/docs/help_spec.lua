local help = require("moongate.core.docs.help")
local reference = require("moongate.core.docs.reference")

local loaded = reference.load()
local facts = {
  settings = {
    { path = "limits.body", about = "The body", default = '"16M"', allowed = "a size" },
    { path = "timeouts.idle", about = "Idle", default = "75", allowed = "seconds" },
  },
  commands = {},
}

local function of(name)
  return help.of(loaded, facts, name)
end

describe("moongate help", function()
  it("shows an entry by its whole name, with a dot or a colon", function()
    assert.truthy(of("ctx:json"):find("^ctx:json%(value, %[status%]%)\n"))
    assert.equal(of("ctx:json"), of("ctx.json"))
  end)

  it("shows a setting, and a page", function()
    assert.truthy(of("limits.body"):find("^limits.body %(configuration%)\n\nThe body.\n"))
    assert.truthy(of("routing"):find("^Routing\n"))
    assert.truthy(of("future"):find("^Futures\n"))
  end)

  it("finds a name alone if it is the only one", function()
    assert.truthy(of("send_file"):find("^ctx:send_file"))
    assert.truthy(of("idle"):find("^timeouts.idle"))
  end)

  it("lists what a name could mean", function()
    local text = of("get")
    assert.truthy(text:find("moongate help app:get\n", 1, true))
    assert.truthy(text:find("moongate help cache:get\n", 1, true))
  end)

  it("guesses at what a misspelt name means", function()
    local text, wrong = of("send_fiel")
    assert.is_nil(text)
    assert.equal('send_fiel: the reference has no such name (did you mean "send_file"?)', wrong)
  end)
end)
