--- WebSocket between Moongate and what others have written: node-ws at both ends, a client of
--- python3-websockets.
local json = require("dkjson")
local process = require("support.process")
local servers = require("support.server")
local wire = require("support.wire")

local NODE = { "env", "NODE_PATH=/usr/share/nodejs", "node",
  "tests/integration/support/websocket_node.js" }

-- /dial opens a WebSocket and does what the steps say: { "send", data, kind }, { "receive" },
-- { "rest" } (all messages), { "close", code, reason }, { "ping", data }, { "sleep", seconds }.
local APP = [=[
local moongate = require("moongate")
local app = moongate.app()

local function echo(ws)
  for data, kind in ws:messages() do
    local code, reason = data:match("^close (%d+) (.*)$")
    if code then
      ws:close(tonumber(code), reason)
    else
      ws:send(data, kind)
    end
  end
end
app:websocket("/echo", echo)
app:websocket("/deflate", { deflate = true }, echo)
app:websocket("/chat", { protocols = { "chat.v1", "chat.v2" } }, echo)

local steps = {}
function steps.send(ws, data, kind)
  ws:send(data, kind)
end
function steps.receive(ws)
  local data, kind, reason = ws:receive():await()
  return { data = data, kind = kind, reason = reason }
end
function steps.rest(ws)
  local all = {}
  for data in ws:messages() do
    all[#all + 1] = data
  end
  return { all = all, code = ws.code, reason = ws.reason }
end
function steps.close(ws, code, reason)
  ws:close(code, reason)
end
function steps.ping(ws, data)
  ws:ping(data)
end
function steps.sleep(_, seconds)
  moongate.sleep(seconds):await()
end

app:post("/dial", function(ctx)
  local wanted = ctx:body_json():await()
  local missed = {}
  if wanted.options and wanted.options.reconnect then
    wanted.options.reconnect = { wait = 0.01, opened = function(_, code)
      missed[#missed + 1] = code
    end }
  end
  local ws, err = moongate.websocket.connect(wanted.url, wanted.options):try_await()
  if not ws then
    return { code = err.code, message = err.message, answered = err.answered }
  end
  local results = {}
  for _, step in ipairs(wanted.steps or {}) do
    local ok, result = pcall(steps[step[1]], ws, step[2], step[3])
    results[#results + 1] = ok and (result or {}) or { failed = result.code or tostring(result) }
  end
  return { protocol = ws.protocol, headers = ws.headers, results = results, missed = missed }
end)
return app
]=]

describe("WebSocket with foreign peers", function()
  local server, node, port

  setup(function()
    port = servers.free_port()
    local argv = { unpack(NODE) }
    argv[#argv + 1], argv[#argv + 2] = "serve", tostring(port)
    node = process.start(argv, "/dev/null", "/dev/null")
    server = servers.start(nil, { app = APP })
    process.wait_until("node serves", function()
      return pcall(function()
        wire.connect("127.0.0.1", port):close()
      end)
    end)
  end)

  teardown(function()
    node:destroy()
    server:stop()
  end)

  local function dial(path, options, ...)
    local body = json.encode({ url = "ws://127.0.0.1:" .. port .. path, options = options,
      steps = { ... } })
    local res = server:request(wire.post("/dial", body), "POST")
    assert.equal(200, res.status, res.body)
    return (json.decode(res.body))
  end

  local function receive(path, options)
    return dial(path, options, { "receive" }).results[1]
  end

  it("a client of node-ws finds all of the protocol", function()
    local argv = { unpack(NODE) }
    argv[#argv + 1], argv[#argv + 2] = "call", tostring(server.port)
    local run = process.run(argv, 30)
    assert.equal(0, run.status, run.out .. run.err)
    local seen = json.decode(run.out)
    assert.is_true(seen.text)
    assert.same({ true, true, true, true, true, true, true }, seen.sizes)
    assert.equal("in pieces", seen.pieces)
    assert.equal("still there?", seen.pong)
    assert.equal(4002, seen.own_close)
    assert.matches("permessage%-deflate", seen.extensions)
    assert.same({ true, true, true, true }, seen.compressed)
    assert.equal("chat.v1", seen.protocol)
    assert.equal("4001 bye", seen.server_close)
    assert.same({ status = 426, version = "13" }, seen.old)
    assert.equal(404, seen.nowhere.status)
    assert.equal(403, seen.foreign.status)
  end)

  it("a client of python3-websockets finds it too", function()
    local run = process.run({ "/usr/bin/python3", "tests/integration/support/websocket_python.py",
      tostring(server.port) }, 30)
    assert.equal(0, run.status, run.out .. run.err)
    local seen = json.decode(run.out)
    assert.same({ true, true, true, true, true }, seen.echo)
    assert.equal("in many pieces", seen.pieces)
    assert.same({ 1000, "" }, seen.close)
    assert.same({ "permessage-deflate" }, seen.extensions)
    assert.is_true(seen.compressed)
    assert.equal("chat.v1", seen.protocol)
    assert.same({ 4003, "adieu" }, seen.server_close)
  end)

  describe("moongate.websocket.connect", function()
    it("sends and receives text and bytes", function()
      local told = dial("/echo", nil, { "send", "h\195\169llo" }, { "receive" },
        { "send", "\1\2", "binary" }, { "receive" }, { "send", { a = 1 } }, { "receive" },
        { "send", ("x"):rep(300000) }, { "receive" }, { "close" }, { "receive" })
      assert.same({ data = "h\195\169llo", kind = "text" }, told.results[2])
      assert.same({ data = "\1\2", kind = "binary" }, told.results[4])
      assert.same({ data = '{"a":1}', kind = "text" }, told.results[6])
      assert.equal(300000, #told.results[8].data)
      assert.same({ kind = 1000, reason = "" }, told.results[10])
    end)

    it("puts pieces together, and answers pings amid them", function()
      local told = dial("/pieces", nil, { "receive" }, { "receive" })
      assert.equal("one message", told.results[1].data)
      assert.equal("pong amid", told.results[2].data)
    end)

    it("receives what came behind the answer's head", function()
      assert.equal("early", receive("/early").data)
    end)

    it("pings", function()
      local told = dial("/ping", nil, { "ping", "hey" }, { "receive" })
      assert.equal("pinged hey", told.results[2].data)
    end)

    it("tells how the server has closed it", function()
      local told = dial("/bye", nil, { "rest" }, { "send", "late" })
      assert.same({ all = {}, code = 4001, reason = "see you" }, told.results[1])
      assert.same({ failed = "closed" }, told.results[2])
    end)

    it("tells the server why it closes", function()
      dial("/told", nil, { "close", 4005, "no more" }, { "receive" })
      assert.equal("4005 no more", receive("/last").data)
    end)

    it("says goodbye when the coroutine that has it ends", function()
      dial("/told")
      process.wait_until("the server is told", function()
        return receive("/last").data == "1001 "
      end)
    end)

    it("tells of a connection that ended without a close frame", function()
      assert.same({ all = {}, code = 1006, reason = "" },
        dial("/cut", nil, { "rest" }).results[1])
    end)

    it("closes a connection that breaks the protocol", function()
      assert.same({ kind = 1002, reason = "a server's frame with a mask" }, receive("/masked"))
      assert.same({ kind = 1007, reason = "text that is not UTF-8" }, receive("/bad_text"))
    end)

    it("closes one whose message is too large", function()
      assert.equal(1009, receive("/large", { max_message = "4K" }).kind)
    end)

    it("agrees on a protocol, or fails", function()
      assert.equal("chat.v1", dial("/echo", { protocols = { "soap", "chat.v1" } }).protocol)
      local told = dial("/echo", { protocols = { "soap" } })
      assert.equal("protocol", told.code)
      assert.matches("speaks none of the protocols offered", told.message)
    end)

    it("agrees on compression", function()
      local text = ("half a moon "):rep(5000)
      local told = dial("/echo", { deflate = true }, { "send", text }, { "receive" },
        { "send", "small" }, { "receive" })
      assert.matches("permessage%-deflate", told.headers["sec-websocket-extensions"])
      assert.equal(text, told.results[2].data)
      assert.equal("small", told.results[4].data)
    end)

    it("sends the fields that it is given", function()
      local head = json.decode(receive("/head", { headers = { Authorization = "Bearer x" } }).data)
      assert.equal("Bearer x", head.authorization)
      assert.equal("127.0.0.1:" .. port, head.host)
      assert.is_nil(head["accept-encoding"])
    end)

    it("fails with the status of an answer that makes no WebSocket", function()
      local told = dial("/no")
      assert.equal("protocol", told.code)
      assert.equal(403, told.answered)
      assert.matches("403 Forbidden", told.message)
      assert.equal(302, dial("/moved").answered)
    end)

    it("fails if the answer does not fit the key", function()
      assert.matches("does not fit the key", dial("/wrong_accept").message)
    end)

    it("fails in time if no answer comes", function()
      assert.equal("timeout", dial("/silent", { timeout = 0.2 }).code)
    end)

    it("does not wait for a closing handshake that does not come", function()
      local told = dial("/deaf", { close_timeout = 0.1 }, { "close", 1000, "" }, { "receive" })
      assert.same({ kind = 1000, reason = "" }, told.results[2])
    end)

    it("closes a connection on which nothing comes for too long", function()
      assert.equal(1001, receive("/deaf", { ping = false, idle = 0.1, close_timeout = 0.1 }).kind)
    end)

    it("connects again if that is wanted, and says that something may have been missed", function()
      local told = dial("/again", { reconnect = true }, { "receive" }, { "receive" }, { "receive" })
      assert.equal("connection 1", told.results[1].data)
      assert.equal("connection 2", told.results[2].data)
      assert.equal("connection 3", told.results[3].data)
      assert.same({ 1006, 1006 }, told.missed)
      server:wait_for_log("connected again; messages may have been missed")
    end)

    it("obeys the rules of the HTTP client", function()
      local told = dial("/echo", { deny = "loopback" })
      assert.equal("denied", told.code)
    end)
  end)
end)
