local words = require("moongate.core.redis.words")

local function message_of(fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok)
  return (err:gsub("^[^:]+:%d+: ", ""))
end

describe("words of a command", function()
  it("are texts, and numbers with all their digits", function()
    assert.same({ "SET", "a", "1", "1.5", "9007199254740993" },
      words.list("command", { "SET", "a", 1, 1.5, 9007199254740993LL }, 1))
  end)

  it("are nothing else", function()
    assert.matches("^word 2: ", message_of(words.list, "command", { "GET", {} }, 1))
    assert.matches("^word 1: ", message_of(words.list, "command", { true }, 1))
    assert.equal("command: an empty list is no command", message_of(words.list, "command", {}, 1))
    assert.matches("^command: a list of words is wanted",
      message_of(words.list, "command", "GET", 1))
  end)

  it("of commands that change the connection say what to use instead", function()
    words.refuse("get", 1)
    words.refuse(nil, 1)
    assert.equal("SUBSCRIBE would change the connection for all who share it: "
      .. "redis:subscribe(channel)", message_of(words.refuse, "subscribe", 1))
    for _, verb in ipairs({ "MULTI", "select", "Hello", "QUIT", "MONITOR", "WATCH" }) do
      assert.matches("would change the connection", message_of(words.refuse, verb, 1))
    end
  end)

  it("say how long the server may wait", function()
    assert.is_nil(words.waits("GET", "a"))
    assert.equal(5, words.waits("blpop", "a", "b", 5))
    assert.equal(0, words.waits("BRPOP", "a", "0"))
    assert.equal(1.5, words.waits("BLMPOP", "1.5", 1, "a", "LEFT"))
    assert.equal(0.1, words.waits("WAIT", 1, 100))
    assert.equal(2, words.waits("XREAD", "COUNT", 1, "BLOCK", 2000, "STREAMS", "s", "$"))
    assert.is_nil(words.waits("XREAD", "STREAMS", "BLOCK", "$"))
  end)
end)
