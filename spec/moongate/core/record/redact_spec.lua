local redact = require("moongate.core.record.redact")

describe("what is redacted", function()
  it("are members whose names tell of secrets, wherever they stand", function()
    local list = { { api_key = 1 }, { Token = "t", n = 2 } }
    local value = { user = "Ada", password = "a", list = list }
    assert.same({
      user = "Ada", password = "[redacted]",
      list = { { api_key = "[redacted]" }, { Token = "[redacted]", n = 2 } },
    }, redact.value(value))
    assert.equal("a", value.password)
    assert.equal("text", redact.value("text"))
    for _, name in ipairs({ "passwd", "client_secret", "X-Api-Key", "sessionId", "card_number" }) do
      assert.is_true(redact.is_secret(name), name)
    end
    for _, name in ipairs({ "name", "passenger", "keys", 7 }) do
      assert.is_false(redact.is_secret(name), name)
    end
  end)

  it("are fields that are for one server, and cookies", function()
    assert.same({
      authorization = "Bearer [redacted]", cookie = "a=[redacted]; b=[redacted]", accept = "x/y",
      ["x-api-key"] = "[redacted]", ["Set-Cookie"] = "[redacted]",
    }, redact.headers({
      authorization = "Bearer abc", cookie = "a=1; b=two=2", accept = "x/y", ["x-api-key"] = "k",
      ["Set-Cookie"] = "sid=1; Path=/",
    }))
  end)

  it("are parameters, and who is named in a URL", function()
    assert.equal("/a?token=[redacted]&b=1&token=", redact.query("/a?token=x&b=1&token="))
    assert.equal("https://[redacted]@a/?secret=[redacted]#c",
      redact.url("https://u:p@a/?secret=s#c"))
    assert.equal("/plain=1", redact.query("/plain=1"))
  end)

  it("are the same values under other names", function()
    local secrets = redact.secrets()
    secrets:learn({ user = "Adalbert", deep = { password = "hunter2" }, token = "abc" })
    secrets:learn_headers({
      authorization = "Bearer s.e-cret", cookie = "sid=topsecret", host = "hosts",
    })
    secrets:learn_query("/?api_key=queried&page=paged")
    assert.equal("[redacted] [redacted] [redacted] [redacted] Adalbert abc hosts paged s1e-cret",
      secrets:clean("hunter2 s.e-cret topsecret queried Adalbert abc hosts paged s1e-cret"))
  end)
end)
