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
    words.refuse("get", "a", 1)
    words.refuse(nil, nil, 1)
    assert.equal("SUBSCRIBE would change the connection for all who share it; instead: "
      .. "redis:subscribe(channel)", message_of(words.refuse, "subscribe", "a", 1))
    for _, verb in ipairs({ "MULTI", "select", "Hello", "QUIT", "RESET", "Auth", "MONITOR", "WATCH",
      "SYNC", "PSYNC", "REPLCONF", "READONLY", "ASKING" }) do
      assert.matches("^" .. verb:upper() .. " would change the connection",
        message_of(words.refuse, verb, nil, 1))
    end
    assert.equal("QUIT would change the connection for all who share it",
      message_of(words.refuse, "QUIT", nil, 1))
  end)

  it("are looked at beyond the first one", function()
    local seconds = { "REPLY", "tracking", "Caching", "SETNAME", "NO-EVICT", "no-touch" }
    for _, second in ipairs(seconds) do
      assert.matches("^CLIENT " .. second:upper():gsub("%-", "%%-") .. " would change",
        message_of(words.refuse, "client", second, 1))
    end
    assert.matches("^SCRIPT DEBUG would", message_of(words.refuse, "SCRIPT", "debug", 1))
    for _, second in ipairs({ "ID", "INFO", "KILL", "list", "UNBLOCK", 7 }) do
      words.refuse("CLIENT", second, 1)
    end
    words.refuse("CLIENT", nil, 1)
    words.refuse("SCRIPT", "FLUSH", 1)
  end)

  it("say how long the server may wait", function()
    assert.is_nil(words.waits("GET", "a"))
    assert.equal(5, words.waits("blpop", "a", "b", 5))
    assert.equal(0, words.waits("BRPOP", "a", "0"))
    assert.equal(1.5, words.waits("BLMPOP", "1.5", 1, "a", "LEFT"))
    assert.equal(0.1, words.waits("WAIT", 1, 100))
    assert.equal(2, words.waits("XREAD", "COUNT", 1, "BLOCK", 2000, "STREAMS", "s", "$"))
    assert.is_nil(words.waits("XREAD", "STREAMS", "BLOCK", "$"))
    assert.is_nil(words.waits(nil))
  end)

  it("say how long several commands may wait together", function()
    assert.is_nil(words.all_wait({ { "GET", "a" }, { "SET", "a", "1" } }))
    assert.equal(0.1, words.all_wait({ { "SET", "a", "1" }, { "WAIT", "1", "100" } }))
    assert.equal(7, words.all_wait({ { "BLPOP", "a", "5" }, { "BLPOP", "b", "2" } }))
    assert.equal(0, words.all_wait({ { "BLPOP", "a", "5" }, { "BLPOP", "b", "0" } }))
    assert.equal(0, words.all_wait({ { "BLPOP", "a", "0" }, { "BLPOP", "b", "5" } }))
  end)
end)
