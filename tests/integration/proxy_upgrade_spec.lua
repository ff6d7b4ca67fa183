--- The proxy relays Upgrade and extended CONNECT: bytes both ways, whoever speaks what.
local h2 = require("support.h2")
local process = require("support.process")
local proxy = require("support.proxy")
local servers = require("support.server")
local services = require("support.service")
local wire = require("support.wire")

local peer, raw_port, ws_port, gateway
local port -- of the gateway

-- Ports of support/switching.js.
local function start_peer()
  local folder = process.temp_folder()
  local out = folder .. "/out"
  local running = process.start({ "env", "NODE_PATH=/usr/share/nodejs", "node",
    "tests/integration/support/switching.js" }, out, folder .. "/err")
  running.folder = folder
  process.wait_until("the peer listens", function()
    local text = process.read_file(out) or ""
    raw_port, ws_port = text:match("^(%d+) (%d+)\n")
    return ws_port
  end)
  return running
end

-- `up` leads to another server than the raw one if it has `moved`. The gateway takes extended
-- CONNECT itself.
local function upstreams(moved)
  return {
    up = { servers = { "http://127.0.0.1:" .. (moved and ws_port or raw_port) } },
    ws = { servers = { "http://127.0.0.1:" .. ws_port } },
    itself = { servers = { "http://127.0.0.1:" .. port }, http2 = true },
  }
end

setup(function()
  peer = start_peer()
  port = servers.free_port()
  gateway = services.start({
    listen = { { address = "127.0.0.1:" .. port, http2 = true } }, workers = 0,
    upstreams = upstreams(), timeouts = { drain = 1 },
    log = { level = "info", file = "stderr", access = "access.log", format = "json" },
  }, "one", [[
app:any("/lua/*path", function(ctx)
  local answer = ctx:proxy("up", { path = ctx.target:match("^/lua([^?]*)") })
  if answer.status == 101 and ctx.headers["x-forbid"] then
    return ctx:text("forbidden", 403)
  end
  ctx:header("X-Passed", "lua")
end)
app:any("/h2/*path", function(ctx)
  ctx:proxy("itself", { path = ctx.target:match("^/h2([^?]*)") })
end)
app:websocket("/spoken", { protocols = { "chat" } }, {
  message = function(ws, data)
    ws:send(data)
  end,
})
app:proxy("/ws", "ws")
app:proxy("/*path", "up")
]], { wait_for = port })
  gateway.port = port
end)
teardown(function()
  gateway:stop()
  peer:destroy()
  process.remove_folder(peer.folder)
end)

local function head_of(conn)
  local lines = {}
  for line in function() return conn:take_line() end do
    if line == "" then
      return lines[1], table.concat(lines, "\n")
    end
    lines[#lines + 1] = line
  end
end

local function upgrade(target, fields, behind)
  local conn = gateway:connect()
  conn:send(("GET %s HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: lines\r\n%s\r\n%s")
    :format(target, fields or "", behind or ""))
  return conn, head_of(conn)
end

for how, prefix in pairs(proxy.PREFIXES) do
  describe("an upgrade, " .. how .. ",", function()
    it("is relayed, and bytes go both ways from what came behind each head on", function()
      local conn, status, head = upgrade(prefix .. "/early", nil, "one\n")
      assert.equal("HTTP/1.1 101 Switching Protocols", status)
      assert.truthy(head:lower():find("connection: upgrade", 1, true))
      assert.truthy(head:find("Upgrade: lines", 1, true))
      assert.truthy(head:find("X-Own: yes", 1, true))
      assert.equal(prefix == "/lua", head:find("X-Passed: lua", 1, true) ~= nil)
      assert.equal("early", conn:take_text_line())
      assert.equal("ONE", conn:take_text_line())
      conn:send("two\nGET / HTTP/1.1\n")
      assert.equal("TWO", conn:take_text_line())
      assert.equal("GET / HTTP/1.1", conn:take_text_line())
      conn:close()
    end)

    it("has its ends pass on, each by itself", function()
      local conn = upgrade(prefix .. "/lines")
      conn.sock:shutdown("send")
      assert.equal("the client ended\n", conn:take_rest())
      conn:close()
      conn = upgrade(prefix .. "/lines")
      conn:send("end\n")
      assert.equal("bye\n", conn:take_rest())
      conn:close()
    end)

    it("is cut off when its server is", function()
      local conn = upgrade(prefix .. "/lines")
      conn:send("leave\n")
      local _, err = conn.sock:receive(1)
      assert.equal("closed", err)
    end)

    it("that is refused is an answer like others, behind which nothing is read", function()
      for target, expected in pairs({ ["/refuse"] = 403, ["/fake"] = 200 }) do
        local conn = gateway:connect()
        conn:send(("GET %s HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: lines\r\n\r\n"
          .. "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"):format(prefix .. target))
        local answer = conn:read("GET")
        assert.equal(expected, answer.status)
        assert.equal("close", answer.headers.connection)
        assert.equal("", conn:take_rest())
      end
    end)

    it("to what was not asked for is a fault", function()
      local _, status = upgrade(prefix .. "/other")
      assert.equal("HTTP/1.1 502 Bad Gateway", status)
      local conn = gateway:connect()
      assert.equal(502, conn:request(wire.get(prefix .. "/lines")).status)
      conn:close()
    end)

    it("goes on byte for byte, and only if HTTP is not spoken behind it", function()
      local key = "dGhlIHNhbXBsZSBub25jZQ=="
      local conn = upgrade(prefix .. "/head", "Sec-WebSocket-Key: " .. key .. "\r\n")
      local seen = conn:take_rest()
      assert.truthy(seen:find("Sec-WebSocket-Key: " .. key .. "\r\n", 1, true), seen)
      assert.truthy(seen:find("Upgrade: lines\r\n", 1, true))
      assert.truthy(seen:find("Connection: upgrade\r\n", 1, true))
      for _, protocol in ipairs({ "h2c", "HTTP/2.0", "TLS/1.0", "lines, h2c" }) do
        conn = gateway:connect()
        conn:send(("GET %s HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: %s\r\n\r\n")
          :format(prefix .. "/fake", protocol))
        assert.equal(200, conn:read("GET").status)
        conn:send(wire.get(prefix .. "/fake")) -- nothing was asked for, so it goes on
        assert.equal(200, conn:read("GET").status)
        conn:close()
      end
    end)

    it("takes no more than the client does", function()
      local before = process.rss_kb(gateway.pid)
      local conn = upgrade(prefix .. "/flood")
      assert.equal("x", conn.sock:receive(1))
      gateway:get("/fake")
      local limit = servers.BINARY:find("asan", 1, true) and 200000 or 6000
      assert.is_true(process.rss_kb(gateway.pid) - before < limit)
      assert.equal(16777215, #conn.sock:receive(16777215))
      conn:close()
    end)
  end)
end

describe("an upgrade", function()
  it("may be refused by a script that has seen the answer", function()
    local conn = gateway:connect()
    conn:send("GET /lua/lines HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: lines\r\n"
      .. "X-Forbid: yes\r\n\r\n")
    local answer = conn:read("GET")
    assert.equal(403, answer.status)
    assert.equal("forbidden", answer.body)
    conn:close()
  end)

  it("is told of in the access log when it has ended", function()
    local conn = upgrade("/lines?counted", nil, "12345\n")
    assert.equal("12345", conn:take_text_line())
    assert.is_nil(gateway:access_log():find("counted", 1, true))
    conn:close()
    process.wait_until("the access log has it", function()
      local line = gateway:access_log():match("[^\n]*counted[^\n]*")
      return line and line:find('"status":101', 1, true) and line:find('"upstream":"up"', 1, true)
    end)
  end)

  it("is spoken by the package ws", function()
    local run = process.run({ "env", "NODE_PATH=/usr/share/nodejs", "node", "-e", ([[
      const ws = new (require("ws"))("ws://127.0.0.1:%d/ws");
      const large = "x".repeat(300000);
      ws.on("open", () => ws.send(large));
      ws.on("message", (data) => {
        console.log(data.toString() === large);
        ws.close(1000, "done");
      });
      ws.on("close", (code) => console.log(code));
    ]]):format(gateway.port) }, 20)
    assert.equal("true\n1000\n", run.out, run.err)
  end)

  it("goes on over a reload that keeps its upstream, and drains where it is removed", function()
    local conn = upgrade("/lines", nil, "one\n")
    assert.equal("ONE", conn:take_text_line())
    gateway:must_reload()
    conn:send("two\n")
    assert.equal("TWO", conn:take_text_line())
    gateway:configure({ upstreams = upstreams("moved") })
    gateway:must_reload()
    conn:send("three\n")
    assert.equal("THREE", conn:take_text_line())
    assert.equal("", conn:take_rest()) -- the drain is over
    gateway:configure({ upstreams = upstreams() })
    gateway:must_reload()
  end)
end)

describe("an event stream", function()
  it("goes on over a reload that removes its upstream, each event at once", function()
    local conn = gateway:connect()
    conn:send(wire.get("/events"))
    local function next_event()
      repeat until conn:take_line() == "data: x"
    end
    next_event()
    gateway:configure({ upstreams = upstreams("moved") })
    gateway:must_reload()
    next_event()
    next_event()
    conn:close()
    gateway:configure({ upstreams = upstreams() })
    gateway:must_reload()
  end)
end)

describe("an extended CONNECT", function()
  local conn

  -- Asks for `protocol`; returns the status.
  local function ask(protocol, path)
    conn = h2.connect(gateway.port)
    conn:send(h2.headers(1, h2.block(":method", "CONNECT", ":protocol", protocol, ":scheme", "http",
      ":path", path, ":authority", "h", "sec-websocket-version", "13")))
    return conn:read_until(function(frame)
      return frame.kind == "HEADERS" or frame.kind == "RST_STREAM"
    end)
  end

  -- What comes on stream 1, or another, until that is `bytes` long, or the stream ends.
  local function take(bytes, id)
    local text = ""
    conn:read_until(function(frame)
      local own = frame.id == (id or 1)
      text = text .. (own and frame.kind == "DATA" and frame.payload or "")
      return own and (#text >= bytes or frame.ends or frame.kind == "RST_STREAM")
    end)
    return text
  end

  after_each(function()
    conn:close()
  end)

  it("becomes an Upgrade, and bytes go both ways", function()
    local head = ask("lines", "/early")
    assert.truthy(head.payload:find("\136", 1, true)) -- :status 200
    assert.equal("early\n", take(6))
    conn:send(h2.frame("DATA", 0, 1, "one\n"))
    assert.equal("ONE\n", take(4))
    conn:send(h2.frame("DATA", 1, 1, "two\n"))
    assert.equal("TWO\nthe client ended\n", take(100))
  end)

  it("of a WebSocket is given a key, whose answer is looked at", function()
    local head = ask("websocket", "/ws")
    assert.truthy(head.payload:find("\136", 1, true))
    assert.is_nil(head.payload:lower():find("sec-websocket-accept", 1, true))
    conn:send(h2.frame("DATA", 0, 1, "\129\130\0\0\0\0hi"))
    assert.equal("\129\2hi", take(4))
  end)

  it("that is refused is an answer, and the connection goes on", function()
    ask("lines", "/refuse")
    assert.equal("no", take(2))
    -- A server of HTTP/1.1 may say so with 200, which here would open what is asked for.
    conn:send(h2.headers(5, h2.block(":method", "CONNECT", ":protocol", "lines", ":scheme", "http",
      ":path", "/fake", ":authority", "h")))
    local head = conn:read_until(function(frame)
      return frame.kind == "HEADERS" and frame.id == 5
    end)
    assert.is_nil(head.payload:find("\136", 1, true)) -- :status 200
    assert.equal("ok", take(2, 5))
    conn:send(h2.headers(7, h2.request("GET", "/fake"), true))
    assert.equal("ok", take(2, 7))
  end)
end)

-- The head of a request for the WebSocket behind HTTP/2.
local HANDSHAKE = "GET /h2/spoken HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\n" ..
  "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"

describe("an upgrade towards HTTP/2", function()
  it("becomes an extended CONNECT, and bytes go both ways", function()
    local conn, status = upgrade("/h2/early", nil, "one\n")
    assert.equal("HTTP/1.1 101 Switching Protocols", status)
    assert.equal("early", conn:take_text_line())
    assert.equal("ONE", conn:take_text_line())
    conn:send("two\n")
    assert.equal("TWO", conn:take_text_line())
    gateway:must_reload()
    conn:send("three\n")
    assert.equal("THREE", conn:take_text_line())
    conn:close()
  end)

  it("of a WebSocket has its key answered here", function()
    local conn = gateway:connect()
    conn:send(HANDSHAKE .. "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" ..
      "Sec-WebSocket-Protocol: chat\r\n\r\n\129\130\0\0\0\0hi")
    local status, head = head_of(conn)
    assert.equal("HTTP/1.1 101 Switching Protocols", status)
    assert.truthy(head:find("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", 1, true))
    assert.truthy(head:lower():find("sec-websocket-protocol: chat", 1, true))
    assert.equal("\129\2hi", conn:take(4))
    conn:close()
  end)

  it("of a WebSocket without a key is refused", function()
    local conn = gateway:connect()
    conn:send(HANDSHAKE .. "\r\n")
    assert.equal("HTTP/1.1 400 Bad Request", (head_of(conn)))
    conn:close()
  end)

  it("comes from HTTP/2 too", function()
    local conn = h2.connect(gateway.port)
    conn:send(h2.headers(1, h2.block(":method", "CONNECT", ":protocol", "websocket", ":scheme",
      "http", ":path", "/h2/spoken", ":authority", "h", "sec-websocket-version", "13")))
    local head = conn:read_until(function(frame) return frame.kind == "HEADERS" end)
    assert.truthy(head.payload:find("\136", 1, true)) -- :status 200
    conn:send(h2.frame("DATA", 0, 1, "\129\130\0\0\0\0hi"))
    local data = conn:read_until(function(frame) return frame.kind == "DATA" end)
    assert.equal("\129\2hi", data.payload)
    conn:close()
  end)

  it("that is refused there is an answer", function()
    local _, status = upgrade("/h2/refuse")
    assert.truthy(status:find("^HTTP/1.1 %d+"))
    assert.is_nil(status:find("101", 1, true))
  end)
end)
