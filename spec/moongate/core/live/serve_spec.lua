local moongate = require("moongate")
local test = require("moongate.test")

for _, http2 in ipairs({ false, true }) do
  describe("a WebSocket over HTTP/" .. (http2 and "2" or "1.1"), function()
    local app
    after_each(function()
      app:close()
    end)

    local function serve(options, functions)
      app = test.app(function(a)
        a:websocket("/chat/:room", options, functions)
      end, { http2 = http2 })
    end

    it("handles messages one after the other", function()
      local log = {}
      serve({}, {
        message = function(ws, data, kind)
          log[#log + 1] = "in " .. data
          moongate.sleep(1):await()
          log[#log + 1] = "out " .. data
          ws:send(data .. "!", kind)
        end,
      })
      local ws = assert(app:websocket("/chat/1"))
      ws:send("a"):send("b", "binary")
      assert.same({ "a!", "text" }, { ws:receive() })
      assert.same({ "b!", "binary" }, { ws:receive() })
      assert.same({ "in a", "out a", "in b", "out b" }, log)
    end)

    it("sends as text what is UTF-8, and says so", function()
      local wrong
      serve({}, {
        message = function(ws, data)
          wrong = select(2, pcall(ws.send, ws, "\255"))
          ws:send("\255", "binary"):send(data)
        end,
      })
      local ws = assert(app:websocket("/chat/1"))
      ws:send("caf\195\169")
      assert.same({ "\255", "binary" }, { ws:receive() })
      assert.same({ "caf\195\169", "text" }, { ws:receive() })
      assert.matches("serve_spec.lua:%d+: ws:send: text is UTF%-8", tostring(wrong))
    end)

    it("has a state, params, headers and a protocol", function()
      serve({ protocols = { "chat.v1" } }, {
        open = function(ws, ctx)
          ws.state.user = ctx.query.user
          ws:send("hello")
        end,
        message = function(ws)
          ws:send({ ws.state.user, ws.params.room, ws.headers["X-A"], ws.protocol })
        end,
      })
      local ws = assert(app:websocket("/chat/7?user=Ann", {
        headers = { ["X-A"] = "1" }, protocols = { "chat.v2", "chat.v1" },
      }))
      assert.equal("chat.v1", ws.protocol)
      ws:send("?")
      assert.equal("hello", ws:receive())
      assert.equal('["Ann","7","1","chat.v1"]', ws:receive())
    end)

    it("is refused by open, by its middleware and by its origin", function()
      app = test.app(function(a)
        a:group("/in", { function(ctx, next)
          if ctx.query.no then
            ctx:fail(401, "no")
          end
          return next()
        end }, function(group)
          group:websocket("/:room", {
            open = function(_, ctx)
              ctx:fail(403, "not in " .. ctx.params.room)
            end,
            message = function() end,
          })
        end)
      end, { http2 = http2 })
      local ws, answer = app:websocket("/in/1")
      assert.is_nil(ws)
      assert.same({ 403, "not in 1" }, { answer.status, answer:json().detail })
      assert.equal(401, select(2, app:websocket("/in/1?no=1")).status)
      local _, refused = app:websocket("/in/1", { headers = { Origin = "https://evil.test" } })
      assert.equal(403, refused.status)
      assert.same({}, app.logs)
    end)

    it("answers 426 to whoever does not ask for it", function()
      serve({}, { message = function() end })
      for _, answer in ipairs({ app:get("/chat/1"), app:head("/chat/1") }) do
        assert.equal(426, answer.status)
        assert.equal(not http2 and "websocket" or nil, answer.headers.upgrade)
        assert.equal("13", answer.headers["sec-websocket-version"])
      end
    end)

    it("is told of the end", function()
      local ends = {}
      serve({}, {
        message = function(ws, data)
          if data == "go" then
            ws:close(4000, "gone")
          end
        end,
        close = function(_, code, reason)
          ends[#ends + 1] = code .. " " .. reason
        end,
      })
      local ws = assert(app:websocket("/chat/1"))
      assert.same({ 1000, "" }, { ws:close(1000, "bye") })
      local other = assert(app:websocket("/chat/1"))
      other:send("go")
      assert.same({ 4000, "gone" }, { select(2, other:receive()) })
      local third = assert(app:websocket("/chat/1"))
      third:disconnect()
      app.clock:settle()
      assert.same({ "1000 bye", "4000 ", "1006 " }, ends)
    end)

    it("is closed with 1011 when its function fails", function()
      serve({}, {
        message = function()
          error("oops")
        end,
      })
      local ws = assert(app:websocket("/chat/1"))
      ws:send("x")
      assert.equal(1011, (select(2, ws:receive())))
      assert.matches("the message function of GET /chat/:room failed: .*serve_spec.lua:%d+: oops",
        app.logs[1].message)
    end)

    it("fails if it sends behind a close of its own, and not because its peer has left", function()
      serve({}, {
        message = function(ws, data)
          if data == "own" then
            ws:close()
          end
          moongate.sleep(10):await()
          ws:send("late")
        end,
      })
      local left = assert(app:websocket("/chat/1"))
      left:send("x")
      assert.equal(1000, (left:close(1000))) -- which is waited for as long as a close of its own
      assert.near(5, app.clock:elapsed(), 0.001)
      app.clock:advance(10)
      assert.same({}, app.logs)
      assert(app:websocket("/chat/1")):send("own")
      app.clock:advance(20)
      assert.matches("the message function of GET /chat/:room failed: .*: the socket is closed",
        app.logs[1].message)
    end)

    it("is closed with 1001 when idle, and pinged before", function()
      serve({ idle = 10, ping = 4 }, { message = function() end })
      local ws = assert(app:websocket("/chat/1", { answers_pings = false }))
      assert.equal(1001, select(2, ws:receive()))
      assert.equal(2, ws.pings)
      assert.near(10, app.clock:elapsed(), 0.001)
    end)

    it("obeys rate and max_message", function()
      serve({ rate = 5, max_message = 100 }, { message = function() end })
      local ws = assert(app:websocket("/chat/1"))
      for _ = 1, 10 do
        ws:send("x")
      end
      assert.equal(1008, select(2, ws:receive()))
      local other = assert(app:websocket("/chat/1"))
      other:send(("x"):rep(101))
      assert.equal(1009, select(2, other:receive()))
    end)

    it("closes in open with a code and a reason", function()
      serve({}, {
        open = function(ws)
          ws:send("sorry")
          ws:close(4001, "full up")
        end,
        message = function() error("it is closed") end,
      })
      local ws = assert(app:websocket("/chat/1"))
      ws:send("early")
      assert.same({ "sorry", "text" }, { ws:receive() })
      assert.same({ 4001, "full up" }, { select(2, ws:receive()) })
      assert.same({}, app.logs)
    end)

    it("has so many connections at once", function()
      serve({ connections = 2 }, { message = function(ws, data) ws:send(data) end })
      local first, second = assert(app:websocket("/chat/1")), assert(app:websocket("/chat/2"))
      for _ = 1, 3 do
        local ws, answer = app:websocket("/chat/1")
        assert.is_nil(ws)
        assert.same({ 503, "1" }, { answer.status, answer.headers["retry-after"] })
        assert.matches("too many have opened this WebSocket", answer.body)
      end
      assert.equal(1, #app.logs)
      assert.matches("GET /chat/:room: more than 2 WebSockets in this worker: .* is refused",
        app.logs[1].message)
      assert.equal(426, app:get("/chat/1").status) -- it is no WebSocket either way
      first:close()
      local third = assert(app:websocket("/chat/1"))
      assert.equal("a", third:send("a"):receive())
      assert.equal("b", second:send("b"):receive())
    end)

    it("publishes to topics", function()
      serve({}, {
        open = function(ws, ctx)
          ws:subscribe("room:" .. ctx.params.room)
        end,
        message = function(ws, data)
          ws:publish("room:" .. ws.params.room, data, { self = data == "all" })
        end,
      })
      local a, b = assert(app:websocket("/chat/1")), assert(app:websocket("/chat/1"))
      local c = assert(app:websocket("/chat/2"))
      a:send("hello")
      assert.equal("hello", b:receive())
      b:send("all")
      assert.equal("all", a:receive())
      assert.same({ "all" }, b:received())
      assert.same({}, c:received())
    end)

    it("does not wait for a coroutine that only speaks", function()
      app = test.app(function(a)
        a:websocket("/ticks", function(ws)
          while true do
            ws:send("tick")
            moongate.sleep(1):await()
          end
        end)
      end, { http2 = http2 })
      local ws = assert(app:websocket("/ticks"))
      assert.equal("tick", ws:receive())
      assert.equal(1001, (ws:close(1001)))
      assert.equal(0, app.clock:elapsed())
      app.clock:advance(2)
      assert.same({}, app.logs)
      app:assert_no_leaks()
    end)

    it("belongs to one coroutine in the other form", function()
      local after
      app = test.app(function(a)
        a:websocket("/echo", function(ws)
          for data, kind in ws:messages() do
            if data == "next" then
              data = ws:receive():await()
            end
            ws:send(data, kind)
            if data == "end" then
              return
            end
          end
          after = true
        end)
      end, { http2 = http2 })
      local ws = assert(app:websocket("/echo"))
      ws:send("a"):send("next"):send("b")
      assert.same({ "a", "b" }, { (ws:receive()), (ws:receive()) })
      ws:close()
      assert.is_true(after)
      local other = assert(app:websocket("/echo"))
      other:send("end")
      assert.equal("end", other:receive())
      assert.equal(1000, select(2, other:receive()))
      app:assert_no_leaks()
    end)
  end)
end
