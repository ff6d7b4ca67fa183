local moongate = require("moongate")
local test = require("moongate.test")

local app

before_each(function()
  app = test.app(function() end)
end)
after_each(function()
  app:assert_no_leaks()
end)

local function run(fn)
  return app:run(fn)
end

local function error_of(fn)
  local ok, err = pcall(run, fn)
  assert.is_false(ok)
  return tostring(err)
end

describe("Redis in specs", function()
  it("answers what was stubbed, by the words of a command", function()
    app:stub_redis("GET user:1", "Ada"):stub_redis({ pattern = "^SET " }, "OK")
      :stub_redis(function(verb) return verb == "INCRBY" end, function(_, _, by) return by * 2 end)
    assert.same({ "Ada", "OK", 42 }, run(function()
      local redis = moongate.redis()
      return { redis:command("GET", "user:1"):await(), redis:command("SET", "a", 1):await(),
        redis:command("INCRBY", "n", 21):await() }
    end))
  end)

  it("refuses what was not, and shows the stub to write", function()
    local text = error_of(function() return moongate.redis():command("GET", "a"):await() end)
    assert.matches('redis_command("GET", "a") is not stubbed', text, 1, true)
    assert.matches('app:stub_redis("GET a", "value")', text, 1, true)
    assert.matches("is not stubbed", error_of(function()
      return moongate.redis():pipeline{ { "GET", "b" } }:await()
    end), 1, true)
  end)

  it("stubs each command of a pipeline, of a transaction and of a watch", function()
    app:stub_redis("GET a", nil):stub_redis("SET a 1", "OK")
    app:stub_redis("GET b", test.fail("redis", "ERR no"))
    run(function()
      local redis = moongate.redis()
      local list = redis:pipeline{ { "GET", "a" }, { "GET", "b" } }:await()
      assert.equal(moongate.json.null, list[1])
      assert.equal("ERR no", list[2].message)
      assert.same({ "OK" }, redis:multi{ { "SET", "a", 1 } }:await())
      assert.same({ "OK" }, redis:watch("a", function(tx)
        assert.is_nil(tx:command("GET", "a"):await())
        return tx:multi{ { "SET", "a", 1 } }
      end):await())
    end)
  end)

  it("may go on with UNWATCH after a transaction that was refused for its words", function()
    app:stub_redis("GET a", "1")
    assert.equal("1", run(function()
      return moongate.redis():watch("a", function(tx)
        assert.is_false((pcall(tx.multi, tx, {})))
        assert.is_false(tx._multi)
        return tx:command("GET", "a")
      end):await()
    end))
  end)

  it("gives the keys of a scan one by one, however they come", function()
    app:stub_redis("SCAN 0 MATCH u:* COUNT 2 TYPE string", { "17", { "u:1", "u:2" } })
    app:stub_redis("SCAN 17 MATCH u:* COUNT 2 TYPE string", { "5-1-9", {} })
    app:stub_redis("SCAN 5-1-9 MATCH u:* COUNT 2 TYPE string", { "0", { "u:3" } })
    app:stub_redis("SCAN 0", { "0", {} })
    run(function()
      local seen = {}
      local keys = moongate.redis():scan({ match = "u:*", count = 2, type = "string" })
      for key in keys do
        seen[#seen + 1] = key
      end
      assert.same({ "u:1", "u:2", "u:3" }, seen)
      assert.is_nil(keys())
      for key in moongate.redis():scan() do
        error(key)
      end
    end)
  end)

  it("hears the messages of a stub", function()
    app:stub_redis("SUBSCRIBE a b", { { channel = "a", payload = "1" }, { missed = true } })
    run(function()
      local seen = {}
      for message in moongate.redis():subscribe("a", "b") do
        seen[#seen + 1] = message.missed and "missed" or message.payload
      end
      assert.same({ "1", "missed" }, seen)
    end)
  end)
end)

describe("wrong use of Redis", function()
  local cases = {
    ["a word that is no text"] = { 'word 2: ', function(r) r:command("GET", {}) end },
    ["a command for the connection"] = { "SELECT would change",
      function(r) r:command("select", 1) end },
    ["an empty pipeline"] = { "pipeline: a list of commands is wanted",
      function(r) r:pipeline({}) end },
    ["a flat pipeline"] = { "pipeline: a list of commands is wanted",
      function(r) r:pipeline({ "GET", "a" }) end },
    ["a reply that is turned off"] = { "CLIENT REPLY would change the connection",
      function(r) r:command("client", "reply", "off") end },
    ["the same in a pipeline"] = { "CLIENT TRACKING would change the connection",
      function(r) r:pipeline({ { "GET", "a" }, { "CLIENT", "TRACKING", "ON" } }) end },
    ["an option of scan that is none"] = { 'scan: "pattern" is unknown',
      function(r) r:scan({ pattern = "a" }) end },
    ["a scan of a wrong size"] = { "scan.count: a positive integer is wanted",
      function(r) r:scan({ count = 0 }) end },
    ["a pattern that is none"] = { "scan.match: a string is wanted",
      function(r) r:scan({ match = 7 }) end },
    ["MULTI in multi"] = { "MULTI would change", function(r) r:multi({ { "MULTI" } }) end },
    ["a script that is none"] = { "script: the source: a string is wanted",
      function(r) r:script(7) end },
    ["keys that are no list"] = { "script: the keys: a list of texts is wanted",
      function(r) r:script("return 1", 7) end },
    ["arguments by name"] = { "script: the arguments: a list of texts and numbers is wanted",
      function(r) r:script("return 1", {}, { a = 1 }) end },
    ["commands by name"] = { "multi: a list of commands is wanted",
      function(r) r:multi({ { "GET", "a" }, b = { "GET", "b" } }) end },
    ["words by name"] = { "pipeline, command 1: a list of words has no hole and no names",
      function(r) r:pipeline({ { "SET", "a", "b", ex = 1 } }) end },
    ["channels by name"] = { "channels: a list of names is wanted",
      function(r) r:subscribe({ channels = { "a", b = "c" } }) end },
    ["no number of seconds"] = { "redis.timeout: seconds are wanted",
      function() moongate.redis(nil, { timeout = 0 / 0 }) end },
    ["seconds without end"] = { "redis.timeout: seconds are wanted",
      function() moongate.redis(nil, { timeout = math.huge }) end },
    ["no channel"] = { "a list of names is wanted", function(r) r:subscribe() end },
    ["a wrong kind of channels"] = { "'patern' (did you mean 'patterns'?)",
      function(r) r:subscribe({ patern = { "a" } }) end },
    ["no function"] = { "watch: a function is wanted, not nil", function(r) r:watch("a") end },
    ["a dot for a colon"] = { "call it with a colon", function(r) r.command("GET") end },
    ["an unknown method"] = { "comand", function(r) return r:comand("GET") end },
    ["an unknown option"] = { "timout", function() moongate.redis(nil, { timout = 1 }) end },
    ["no name"] = { "redis: a name is wanted, not 7", function() moongate.redis(7) end },
  }
  for name, case in pairs(cases) do
    it("is told: " .. name, function()
      local text = error_of(function() case[2](moongate.redis()) end)
      assert.matches(case[1], text, 1, true)
      assert.matches("redis_spec.lua:%d+", text)
    end)
  end
end)
