-- What is published, and who is told; several workers are in tests/integration/topics_spec.lua.
local moongate = require("moongate")
local test = require("moongate.test")

describe("topics", function()
  local app

  local function start(options)
    app = test.app(function(a)
      a:get("/feed", function(ctx)
        return ctx:events({ topics = ctx:query_all("topic"), heartbeat = false })
      end)
      a:post("/publish/:topic", function(ctx)
        moongate.publish(ctx.params.topic, ctx:body():await())
        return 204
      end)
    end, options)
  end

  after_each(function()
    if app then
      app:assert_no_leaks()
      app = nil
    end
  end)

  it("reach all who subscribe, in order, and nobody else", function()
    start()
    local one = app:events("/feed?topic=room:1&topic=news")
    local two = app:events("/feed?topic=room:1")
    local other = app:events("/feed?topic=room:2")
    for i = 1, 3 do
      assert.equal(204, app:post("/publish/room:1", { body = "m" .. i }).status)
    end
    app:post("/publish/news", { body = "n" })
    for i = 1, 3 do
      assert.equal("m" .. i, one:next().data)
      assert.equal("m" .. i, two:next().data)
    end
    assert.equal("n", one:next().data)
    assert.is_nil(two:next(1))
    assert.is_nil(other:next(1))
    for _, stream in ipairs({ one, two, other }) do
      stream:close()
    end
  end)

  it("are counted", function()
    start()
    assert.equal(0, moongate.topics.count("room:1"))
    local one = app:events("/feed?topic=room:1")
    local two = app:events("/feed?topic=room:1&topic=room:1")
    assert.equal(2, moongate.topics.count("room:1"))
    one:close()
    assert.equal(1, moongate.topics.count("room:1"))
    two:close()
    assert.equal(0, moongate.topics.count("room:1"))
  end)

  it("carry tables as JSON, numbers as text, and an event's name and id", function()
    start()
    local stream = app:events("/feed?topic=room")
    moongate.publish("room", { text = "hello", n = 1 })
    moongate.publish("room", 1700000000123456)
    moongate.publish("room", "x", { event = "tick", id = 7 })
    moongate.publish("room", "\255", { kind = "binary" }) -- nothing for event streams
    moongate.publish("room", "")
    assert.same({ text = "hello", n = 1 }, moongate.json.decode(stream:next().data))
    assert.same({ event = "message", data = "1700000000123456" }, stream:next())
    assert.same({ event = "tick", id = "7", data = "x" }, stream:next())
    assert.equal("", stream:next().data)
    stream:close()
  end)

  it("have limits", function()
    start({ limits = { topics = 2, subscriptions = 2, outbox = "4K" } })
    local stream = app:events("/feed?topic=a&topic=b")
    local res = app:get("/feed?topic=c")
    assert.equal(503, res.status)
    assert.truthy(res.body:find("limits.topics", 1, true), res.body)
    stream:close()
    res = app:get("/feed?topic=a&topic=b&topic=c")
    assert.equal(503, res.status)
    assert.truthy(res.body:find("limits.subscriptions", 1, true), res.body)
    assert.equal(0, moongate.topics.count("a"))
    assert.error_matches(function() moongate.publish("a", ("x"):rep(5000)) end,
      "publish: a message of 5000 bytes .* limits.outbox allows %(4096%)")
  end)

  it("refuse what cannot be", function()
    local function refused(wanted, ...)
      local ok, err = pcall(moongate.publish, ...)
      assert.is_false(ok)
      assert.truthy(tostring(err):find(wanted, 1, true), tostring(err))
    end
    refused("the topic: a string is wanted, not nil", nil, "x")
    refused("it is empty", "", "x")
    refused("longer than 255 bytes", ("x"):rep(256), "x")
    refused("a control character", "a\nb", "x")
    refused("the value: a string or a table is wanted, not nil", "a", nil)
    refused("the value: a string or a table is wanted, not true", "a", true)
    refused("a function cannot be JSON", "a", { f = print })
    refused('{ kind = "binary" }', "a", "\255")
    refused("without CR, LF and NUL", "a", "x", { event = "a\nb" })
    refused("without CR, LF and NUL", "a", "x", { id = "a\0b" })
    refused("did you mean 'event'?", "a", "x", { evnt = "a" })
    refused("allowed are binary, text", "a", "x", { kind = "bin" })
  end)

  it("are not there while scripts load", function()
    assert.error_matches(function()
      test.app(function() moongate.publish("a", "x") end)
    end, "put it into app:on_start")
  end)

  it("can be published to in on_start", function()
    app = test.app(function(a)
      a:on_start(function() moongate.publish("a", "x") end)
    end)
  end)
end)
