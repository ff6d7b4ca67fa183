local help = require("moongate.core.docs.help")
local reference = require("moongate.core.docs.reference")

local loaded = reference.load()
local facts = {
  settings = {
    { path = "limits.body", about = "The body", default = '"16M"', allowed = "a size" },
    { path = "routing", about = "A table" },
    { path = "routing.deep", about = "In it" },
    { path = "listen[].tls", about = "TLS" },
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
    assert.truthy(of("awaiting"):find("^Awaiting"))
    assert.truthy(of("future"):find("^Futures\n"))
  end)

  it("lists what a table of settings has, and the guide of that name", function()
    assert.equal("routing (configuration)\n\nA table.\n\n  moongate help routing.deep\n"
      .. "  moongate help guide-routing\n", of("routing"))
    assert.truthy(of("guide-routing"):find("^Routing\n"))
  end)

  it("lists what lies below a star", function()
    local text = help.of(loaded, { settings = { { path = "upstreams.*.hash", about = "x" } },
      commands = {} }, "upstreams.*")
    assert.equal("  moongate help upstreams.*.hash\n", text)
  end)

  it("finds a name alone if it is the only one", function()
    assert.truthy(of("send_file"):find("^ctx:send_file"))
    assert.truthy(of("idle"):find("^timeouts.idle"))
  end)

  it("finds a key of lists without their brackets", function()
    assert.truthy(of("listen.tls"):find("^listen%[%].tls"))
  end)

  it("lists what a thing has", function()
    local text = of("ctx")
    assert.equal("ctx has:\n\n  moongate help ctx.method\n", text:match("^[^\n]*\n\n[^\n]*\n"))
    assert.truthy(text:find("moongate help ctx:json\n", 1, true))
    assert.is_nil(text:find("ws:send", 1, true))
  end)

  it("looks for what has another owner here", function()
    assert.truthy(of("out:send"):find("moongate help events_out:send\n", 1, true))
    assert.truthy(of("ctx:send_bytes") == nil)
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
