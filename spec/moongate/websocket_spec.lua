local moongate = require("moongate")
local test = require("moongate.test")

local URL = "ws://feed.test/sky"

describe("moongate.websocket", function()
  local app, handler

  before_each(function()
    app = test.app(function(a)
      a:get("/", { timeout = 1000 }, function(ctx)
        return handler(ctx)
      end)
    end)
  end)
  after_each(function()
    app:assert_no_leaks()
  end)

  -- What the handler returns for a socket on which `server` is; or the code of its error.
  local function run(fn, server, options)
    if server then
      app:stub_websocket(URL, server)
    end
    local code
    handler = function()
      local ok, value = pcall(function()
        return fn(moongate.websocket.connect(URL, options):await())
      end)
      code = not ok and (type(value) == "table" and value.code or value) or nil
      return ok and tostring(value) or "failed"
    end
    local body = app:get("/").body
    return not code and body or nil, code
  end

  it("sends and receives text, bytes and JSON", function()
    local seen = {}
    assert.equal("h\195\169llo|\0\255|binary", run(function(ws)
      ws:send("h\195\169llo"):send("\1\2", "binary"):send({ a = 1 })
      local text = ws:receive():await()
      local bytes, kind = ws:receive():await()
      return text .. "|" .. bytes .. "|" .. kind
    end, function(ws)
      for _ = 1, 3 do
        local data, kind = ws:receive():await()
        seen[#seen + 1] = data .. " " .. kind
      end
      ws:send("h\195\169llo"):send("\0\255", "binary")
    end))
    assert.same({ "h\195\169llo text", "\1\2 binary", '{"a":1} text' }, seen)
  end)

  it("carries messages of every length", function()
    assert.equal("0 125 126 65535 65536 200000", run(function(ws)
      local sizes = {}
      for _, n in ipairs({ 0, 125, 126, 65535, 65536, 200000 }) do
        ws:send(("x"):rep(n))
        sizes[#sizes + 1] = #ws:receive():await()
      end
      return table.concat(sizes, " ")
    end, function(ws)
      for data in ws:messages() do
        ws:send(data)
      end
    end))
  end)

  it("gives what came before the end, then how it ended", function()
    local ws, data, code, reason
    assert.equal("one two", run(function(socket)
      ws = socket
      local all = {}
      for each in ws:messages() do
        all[#all + 1] = each
      end
      data, code, reason = ws:receive():await()
      return table.concat(all, " ")
    end, function(server)
      server:send("one"):send("two"):close(4001, "see you")
    end))
    assert.is_nil(data)
    assert.same({ 4001, "see you", 4001, "see you" }, { code, reason, ws.code, ws.reason })
  end)

  it("tells of a connection that fails", function()
    assert.equal("1006", run(function(ws)
      local _, code = ws:receive():await()
      return code
    end, function(ws)
      ws:drop()
    end))
  end)

  it("closes with a code and a reason, which the server is told", function()
    local told
    assert.equal("4005", run(function(ws)
      ws:close(4005, "enough")
      local _, code = ws:receive():await()
      return code
    end, function(ws)
      local _, code, reason = ws:receive():await()
      told = code .. " " .. reason
    end))
    assert.equal("4005 enough", told)
  end)

  it("refuses to send once it is closed", function()
    local _, code = run(function(ws)
      ws:receive():await()
      ws:send("late")
    end, function() end)
    assert.equal("closed", code)
  end)

  it("says goodbye when the coroutine that has it ends", function()
    local told
    run(function()
      return "done"
    end, function(ws)
      local _, code = ws:receive():await()
      told = code
    end)
    app.clock:settle()
    assert.equal(1001, told)
  end)

  it("outlives its coroutine and request once it is detached", function()
    local ws
    run(function(socket)
      ws = socket:detach()
    end, function(server)
      for data in server:messages() do
        server:send(data)
      end
    end)
    local echoed
    handler = function()
      ws:send("still here")
      echoed = ws:receive():await()
      ws:close()
      ws:receive():await()
      return "done"
    end
    app:get("/")
    assert.equal("still here", echoed)
  end)

  it("pings, and answers pings", function()
    assert.equal("fine", run(function(ws)
      ws:ping("there?")
      return ws:receive():await()
    end, function(ws)
      local got = ws:receive() -- answers the ping
      ws:send("fine")
      got:await()
    end))
  end)

  it("lets one receive at a time", function()
    local _, code = run(function(ws)
      ws:receive()
      ws:receive():await()
    end, function(ws)
      ws:receive():await()
    end)
    assert.equal("protocol", code)
  end)

  it("agrees on a protocol", function()
    assert.equal("chat.v1", run(function(ws)
      return ws.protocol
    end, function() end, { protocols = { "chat.v1" } }))
  end)

  it("fails with the status of an answer that makes no WebSocket", function()
    app:stub_websocket(URL, 403)
    local err
    handler = function()
      local _, failure = moongate.websocket.connect(URL):try_await()
      err = failure
      return "done"
    end
    app:get("/")
    assert.same({ "protocol", 403 }, { err.code, err.answered })
    assert.matches("^ws://feed.test/sky: the server answered with 403 Forbidden", err.message)
    assert.matches("websocket_spec.lua:%d+", err.where)
  end)

  it("fails if the answer does not fit", function()
    app:stub_tcp("feed.test:80", function(s)
      s:read_until("\r\n\r\n"):await()
      s:write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        .. "Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\nmore")
      assert.is_nil((s:read():await()))
    end)
    local _, code = run(function() end)
    assert.equal("protocol", code)
  end)

  it("fails as connecting does", function()
    app:stub_websocket(URL, test.fail("connect"))
    local _, code = run(function() end)
    assert.equal("connect", code)
  end)

  it("fails in time", function()
    app:stub_tcp("feed.test:80", function(s)
      s:read_until("\r\n\r\n"):await()
      s:read():await()
    end)
    local _, code = run(function() end, nil, { timeout = 3 })
    assert.equal("timeout", code)
    assert.near(3, app.clock:elapsed(), 0.1)
  end)

  it("is cancelled with its request, before and behind its opening", function()
    app:stub_tcp("feed.test:80", function(s)
      s:read():await()
      s:read():await()
    end)
    handler = function()
      moongate.websocket.connect(URL):await()
    end
    local flight = app:start("GET", "/")
    app.clock:settle()
    flight:disconnect()
    app.clock:settle()
    local told
    app:stub_websocket("ws://other.test/", function(ws)
      told = select(2, ws:receive():await())
    end)
    handler = function()
      moongate.websocket.connect("ws://other.test/"):await():receive():await()
    end
    flight = app:start("GET", "/")
    app.clock:settle()
    flight:disconnect()
    app.clock:settle()
    assert.equal(1001, told)
  end)

  it("closes a socket on which nothing comes for too long", function()
    assert.equal("1001", run(function(ws)
      return (select(2, ws:receive():await()))
    end, function(ws)
      ws:receive():await()
    end, { ping = false, idle = 7 }))
    assert.near(7, app.clock:elapsed(), 0.2)
  end)

  it("does not wait for a closing handshake that does not come", function()
    assert.equal("1000", run(function(ws)
      ws:close()
      return (select(2, ws:receive():await()))
    end, function()
      moongate.sleep(60):await()
    end, { close_timeout = 2 }))
    assert.near(2, app.clock:elapsed(), 0.2)
    app.clock:advance(60)
  end)

  it("is kept alive by pings that are answered", function()
    assert.equal("late", run(function(ws)
      return (ws:receive():await())
    end, function(ws)
      local got = ws:receive()
      moongate.sleep(300):await()
      ws:send("late")
      got:await()
    end))
  end)

  describe("refuses", function()
    local function refuses(pattern, ...)
      local arguments = { ... }
      handler = function()
        local _, message = pcall(moongate.websocket.connect, unpack(arguments))
        return tostring(message)
      end
      assert.matches(pattern, app:get("/").body)
    end

    it("URLs of other schemes, and fragments", function()
      refuses('a URL as "wss://host/path" is wanted, not "http://feed.test/"', "http://feed.test/")
      refuses("has no fragment", "ws://feed.test/#x")
      refuses("url: ", "ws:///")
    end)

    it("options that there are not, or that are none", function()
      refuses("did you mean 'protocols'", URL, { protocol = "x" })
      refuses("options.timeout: seconds are wanted", URL, { timeout = 0 })
      refuses("options.max_message: from 1 byte to 1G", URL, { max_message = "2G" })
      refuses('options.reconnect: "retries" is unknown', URL, { reconnect = { retries = 1 } })
      refuses('protocols%[1%]: a token such as "chat.v1" is wanted', URL, { protocols = { "a b" } })
    end)

    it("fields of the handshake", function()
      refuses("Sec%-WebSocket%-Protocol is the client's own to send: set the option protocols", URL,
        { headers = { ["Sec-WebSocket-Protocol"] = "x" } })
      refuses("Upgrade is the client's own to send", URL, { headers = { Upgrade = "x" } })
    end)

    it("to connect while the scripts are loaded", function()
      local ok, message = pcall(test.app, function()
        moongate.websocket.connect(URL)
      end)
      assert.is_false(ok)
      assert.matches("on_start", tostring(message))
    end)
  end)
end)
