-- ctx:events: both forms, over both wires. What a reload and a stop do is in tests/integration.
local test = require("moongate.test")
local moongate = require("moongate")

for _, http2 in ipairs({ false, true }) do
  describe("ctx:events over HTTP/" .. (http2 and 2 or 1), function()
    local app

    local function start(declare, options)
      options = options or {}
      options.http2 = http2
      app = test.app(declare, options)
    end

    after_each(function()
      app:assert_no_leaks()
    end)

    it("sends what a function says, each event at once", function()
      start(function(a)
        a:get("/", function(ctx)
          return ctx:events(function(out)
            out:send({ event = "tick", data = { n = 1 }, id = "7" })
            ctx:sleep(5):await()
            out:send("plain"):send({ data = "a\nb\r\nc", id = 8, retry = 2.5 })
            out:send({ event = "bare" })
            out:send({ data = 12 })
          end)
        end)
      end)
      local stream = app:events("/")
      assert.equal(200, stream.status)
      assert.equal("text/event-stream", stream.headers["content-type"])
      assert.equal("no-cache", stream.headers["cache-control"])
      assert.equal("no", stream.headers["x-accel-buffering"])
      assert.same({ event = "tick", data = '{"n":1}', id = "7" }, stream:next())
      assert.near(0, app.clock:elapsed(), 0.001)
      assert.same({ event = "message", data = "plain", id = "7" }, stream:next())
      assert.near(5, app.clock:elapsed(), 0.001)
      assert.same({ event = "message", data = "a\nb\nc", id = "8" }, stream:next())
      assert.equal(2.5, stream.retry)
      assert.same({ event = "bare", data = "", id = "8" }, stream:next())
      assert.equal("12", stream:next().data)
      assert.is_nil(stream:next())
      assert.is_true(stream:ended())
      stream:close()
    end)

    it("breaks silence, in both forms", function()
      start(function(a)
        a:get("/fn", function(ctx)
          return ctx:events(function(out)
            ctx:sleep(100):await()
            out:send("x")
          end, { heartbeat = 10 })
        end)
        a:get("/none", function(ctx)
          return ctx:events({ topics = { "a" }, heartbeat = false })
        end)
        a:get("/topics", function(ctx) return ctx:events({ topics = "a" }) end)
      end)
      local fn, topics, none = app:events("/fn"), app:events("/topics"), app:events("/none")
      assert.is_nil(fn:next(45))
      assert.is_nil(topics:next(0.5))
      assert.is_nil(none:next(0.5))
      assert.equal(4, fn.comments)
      assert.equal(3, topics.comments) -- after 15 seconds each
      assert.equal(0, none.comments)
      assert.equal("x", fn:next().data)
      for _, stream in ipairs({ fn, topics, none }) do
        stream:close()
      end
    end)

    it("is told what the client has seen last", function()
      start(function(a)
        a:get("/", function(ctx)
          return ctx:events(function(out)
            out:send("behind " .. (ctx.headers["last-event-id"] or "nothing"))
          end)
        end)
      end)
      local stream = app:events("/", { headers = { ["Last-Event-ID"] = "41" } })
      assert.equal("behind 41", stream:next().data)
      stream:close()
    end)

    it("ends the function when the client leaves", function()
      local told
      start(function(a)
        a:get("/", function(ctx)
          ctx:on_close(function(err) told = err.code end)
          return ctx:events(function(out)
            while true do
              out:send("x")
              ctx:sleep(1):await()
            end
          end)
        end)
      end)
      local stream = app:events("/")
      stream:next()
      stream:close()
      app.clock:advance(2)
      assert.equal("cancelled", told)
    end)

    it("holds no request while C answers", function()
      local ended = false
      start(function(a)
        a:get("/", function(ctx)
          ctx:on_close(function() ended = true end)
          return ctx:events({ topics = { "a" }, retry = 1 })
        end)
      end)
      local stream = app:events("/")
      app.clock:settle()
      assert.is_true(ended)
      moongate.publish("a", "x")
      assert.equal("x", stream:next().data)
      assert.equal(1, stream.retry)
      stream:close()
    end)

    it("tells the client to come again at once, in either form", function()
      start(function(a)
        a:get("/topics", function(ctx)
          return ctx:events({ topics = { "a" }, retry = 0 })
        end)
        a:get("/fn", function(ctx)
          return ctx:events(function(out)
            out:send("x")
          end, { retry = 0 })
        end)
      end)
      for _, path in ipairs({ "/topics", "/fn" }) do
        local stream = app:events(path)
        app.clock:settle()
        moongate.publish("a", "x")
        stream:next()
        assert.equal(0, stream.retry, path)
        stream:close()
      end
    end)

    it("ends with the route's stream_max", function()
      start(function(a)
        a:get("/", { stream_max = 20 }, function(ctx) return ctx:events({ topics = { "a" } }) end)
      end)
      local stream = app:events("/")
      assert.is_nil(stream:next(100))
      assert.is_true(stream:ended())
      assert.near(20, app.clock:elapsed(), 0.01)
      stream:close()
    end)

    it("keeps fields that scripts have set, and lets middleware add some", function()
      start(function(a)
        a:use(function(ctx, next)
          next()
          ctx:header("X-After", "1")
        end)
        a:get("/", function(ctx)
          ctx:header("Cache-Control", "no-store")
          return ctx:events({ topics = { "a" } })
        end)
      end)
      local stream = app:events("/")
      assert.equal("no-store", stream.headers["cache-control"])
      assert.equal("1", stream.headers["x-after"])
      stream:close()
    end)

    it("answers a HEAD without events", function()
      start(function(a)
        a:get("/fn", function(ctx) return ctx:events(function(out) out:send("x") end) end)
        a:get("/topics", function(ctx) return ctx:events({ topics = { "a" } }) end)
      end)
      for _, path in ipairs({ "/fn", "/topics" }) do
        local res = app:head(path)
        assert.equal("text/event-stream", res.headers["content-type"])
        assert.equal("", res.body)
      end
      assert.equal(0, moongate.topics.count("a"))
    end)

    it("cuts off a client that is too slow, or lets it miss messages", function()
      start(function(a)
        a:get("/:slow", function(ctx)
          return ctx:events({ topics = { "a" }, slow = ctx.params.slow, heartbeat = false })
        end)
      end, { limits = { outbox = "8K" } })
      local cut, skipping = app:events("/close"), app:events("/skip")
      cut:pause()
      skipping:pause()
      for i = 1, 1000 do
        moongate.publish("a", i .. ("x"):rep(2000))
        app.clock:settle()
      end
      assert.equal(1, moongate.topics.count("a"))
      skipping:pause(false)
      local last, count = nil, 0
      repeat
        local event = skipping:next(1)
        if event then
          count, last = count + 1, tonumber(event.data:match("^%d+"))
        end
      until not event
      assert.is_true(count < 1000)
      assert.is_true(last < 1000)
      moongate.publish("a", "on it goes")
      assert.equal("on it goes", skipping:next().data)
      skipping:close()
      cut:close()
    end)
  end)
end

describe("ctx:events", function()
  local function refused(wanted, fn)
    local app = test.app(function(a)
      a:get("/", function(ctx)
        local ok, err = pcall(fn, ctx)
        return ok and "no fault" or tostring(err)
      end)
    end)
    local body = app:get("/").body
    assert.truthy(body:find(wanted, 1, true), body)
    assert.truthy(body:find("events_spec.lua:", 1, true), body)
  end

  it("refuses what cannot be", function()
    refused("a function or { topics = { ... } } is wanted, not 5", function(c) c:events(5) end)
    refused("events.topics: a list of topics is wanted, without a hole",
      function(c) c:events({ topics = { "a", b = "c" } }) end)
    refused("did you mean 'heartbeat'?", function(c) c:events({ topics = "a", heartbeet = 1 }) end)
    refused("topics: a list of topics is wanted, without a hole, not nil",
      function(c) c:events({}) end)
    refused("at least one topic", function(c) c:events({ topics = {} }) end)
    refused("it is empty", function(c) c:events({ topics = { "" } }) end)
    refused("allowed are close, skip", function(c) c:events({ topics = "a", slow = "drop" }) end)
    refused("seconds are wanted", function(c) c:events({ topics = "a", heartbeat = 0 }) end)
    refused("from 0 to 86400", function(c) c:events(function() end, { retry = -1 }) end)
  end)

  it("refuses events that would be something else", function()
    local app = test.app(function(a)
      a:get("/", function(ctx)
        return ctx:events(function(out)
          for _, event in ipairs({
            { event = "a\nb" }, { id = "a\0" }, { id = "a\rb" }, { dta = "x" },
            { data = print }, { data = { f = print } }, { retry = "x" },
          }) do
            local _, err = pcall(out.send, out, event)
            out:send(tostring(err))
          end
          local _, err = pcall(out.send, { data = "x" })
          out:send(tostring(err))
        end)
      end)
    end)
    local stream = app:events("/")
    for _, wanted in ipairs({
      "event: it must not hold CR, LF or NUL", "id: it must not hold CR, LF or NUL",
      "id: it must not hold CR, LF or NUL", "did you mean 'data'?", "out:send: data:",
      "a function cannot be JSON", "seconds are wanted", "call it with a colon",
    }) do
      local event = stream:next()
      assert.truthy(event and event.data:find(wanted, 1, true), event and event.data)
    end
    stream:close()
  end)
end)
