--- WebSockets over real connections: their life, their limits, and reloads under them.
local services = require("support.service")
local process = require("support.process")
local wire = require("support.wire")
local websocket = require("support.websocket")

local APP = [[
local word = %q
app:websocket("/chat/:room", { name = "chat", max_message = "64K", idle = 30, ping = 10 }, {
  open = function(ws, ctx)
    if ctx.query.no then ctx:fail(403, "not you") end
    ws.state.user = ctx.query.user or "nobody"
    ws:subscribe("room:" .. ctx.params.room)
  end,
  message = function(ws, data, kind)
    if data == "sleep" then moongate.retiring:await() end -- until a reload
    if data == "fail" then error("oops") end
    if data == "closed" then ws:close(4001, "asked") return end
    if data == "tell" then
      ws:publish("room:" .. ws.params.room, "told by " .. ws.state.user)
      return
    end
    ws.state.count = (ws.state.count or 0) + 1
    ws:send(("%%s %%s %%s %%d"):format(word, ws.state.user, #data > 100 and #data or data,
      ws.state.count), kind)
  end,
  close = function(ws, code) moongate.log.info("ended " .. code .. " on " .. word) end,
  %s
})
app:websocket("/echo", function(ws)
  for data, kind in ws:messages() do
    if data == "later" then moongate.retiring:await() end
    ws:send(word .. " " .. data, kind)
  end
end)
app:websocket("/ticks", function(ws)
  while true do
    ws:send("tick")
    moongate.sleep(0.01):await()
  end
end)
-- The socket is there when next() returns, and opened behind the onion.
app:group("/late", { function(_, next)
  next()
  moongate.log.info("it is late")
  moongate.retiring:await()
end }, function(late)
  late:websocket("/echo", function(ws)
    ws:send(word .. " late")
    ws:receive():await()
  end)
end)
local echo = { message = function(ws, data) ws:send(data) end }
app:websocket("/strict", { rate = 5, idle = 0.3, ping = false, max_message = 10 }, echo)
app:websocket("/few", { connections = 2 }, echo)
app:websocket("/listed", { origins = { "https://a.test", "https://*.b.test" } }, echo)
for _, slow in ipairs({ "close", "skip" }) do
  app:websocket("/slow/" .. slow, { slow = slow }, {
    open = function(ws) ws:subscribe("flood") end, message = echo.message,
  })
end
app:post("/flood", function(ctx)
  for i = 1, 200 do moongate.publish("flood", i .. (" "):rep(65000)) end
  return 204, ""
end)
]]

local function app_of(word, more)
  return APP:format(word, more or "")
end

describe("a WebSocket", function()
  local service
  local words, current = 0, "w0" -- what the scripts say

  setup(function()
    service = services.start({
      workers = 1, timeouts = { drain = 1 },
      log = { level = "info", file = "stderr", access = "access.log" },
    }, current, app_of(current))
  end)
  teardown(function()
    service:stop()
  end)

  local function open(path, fields)
    return websocket.open(service:connect(), path, fields)
  end

  -- The scripts say another word from now on.
  local function reload(more)
    words = words + 1
    current = "w" .. words
    service:write_app(current, app_of(current, more))
    service:must_reload()
  end

  -- What scripts say, those of now unless told.
  local function by(text, word)
    return (word or current) .. " " .. text
  end

  local function sockets()
    local list = {}
    for _, each in ipairs(service:status().workers[1].sockets) do
      list[each.route .. "/" .. each.generation] = each.count
    end
    return list
  end

  it("is opened, speaks and is closed", function()
    local ws = open("/chat/1?user=Ann")
    assert.equal("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", ws.fields["sec-websocket-accept"])
    assert.equal(by("Ann hello 1"), ws:ask("hello"))
    ws:send("bytes", { opcode = "binary" })
    assert.same({ by("Ann bytes 2"), "binary" }, { ws:receive() })
    assert.equal(1000, ws:close())
    process.wait_until("the access log has it", function()
      return service:access_log():find('"GET /chat/1?user=Ann HTTP/1.1" 101 ', 1, true)
    end)
  end)

  it("answers what came before a close", function()
    for path, answer in pairs({ ["/chat/1"] = by("nobody last 1"), ["/echo"] = by("last") }) do
      local ws = open(path)
      ws.conn:send(websocket.frame("last") .. websocket.frame("\3\232", { opcode = "close" }))
      assert.equal(answer, ws:receive())
      assert.equal(1000, (select(2, ws:receive())))
      ws.conn:close()
    end
  end)

  it("whose coroutine only speaks is closed when its peer asks for it: no failure", function()
    local ws = open("/ticks")
    local function is_there()
      return sockets()["/ticks/" .. service:status().generation] == 1
    end
    assert.equal("tick", ws:receive())
    process.wait_until("it is counted", is_there)
    ws:send("\3\233", { opcode = "close" })
    local said, code
    repeat
      said, code = ws:receive()
    until not said
    assert.equal(1001, code)
    process.wait_until("the coroutine has ended", function() return not is_there() end)
    assert.is_nil(service:stderr():find("/ticks failed", 1, true))
  end)

  it("is refused in words", function()
    local _, status = open("/chat/1?no=1")
    assert.equal("HTTP/1.1 403 Forbidden", status)
    _, status = open("/chat/1", { "Origin: http://evil.test" })
    assert.equal("HTTP/1.1 403 Forbidden", status)
    assert.is_truthy(open("/chat/1", { "Origin: http://h" }))
    for origin, good in pairs({ ["https://a.test"] = true, ["https://x.b.test"] = true,
      ["http://a.test"] = false, ["https://b.test"] = false, ["http://h"] = false }) do
      _, status = open("/listed", { "Origin: " .. origin })
      assert.equal(not good and "HTTP/1.1 403 Forbidden" or nil, status, origin)
    end
    local conn = service:connect()
    local answer = conn:request(wire.get("/chat/1"))
    assert.same({ 426, "websocket", "13" },
      { answer.status, answer.headers.upgrade, answer.headers["sec-websocket-version"] })
    conn:send((websocket.request("/chat/1"):gsub("^GET", "HEAD")))
    assert.equal(426, conn:read("HEAD").status)
    conn:close()
  end)

  it("takes messages in pieces, with a ping between them", function()
    local ws = open("/chat/1")
    ws:send("he", { final = false }):send("?", { opcode = "ping" })
    assert.same({ 10, "?", true }, { ws:frame() })
    ws:send("llo", { opcode = 0 })
    assert.equal(by("nobody hello 1"), ws:receive())
    assert.equal(by("nobody 60000 2"), ws:ask(("x"):rep(60000)))
    ws:close()
  end)

  it("is closed for what goes beyond limits", function()
    local ws = open("/strict")
    ws:send(("x"):rep(11))
    assert.equal(1009, (select(2, ws:receive())))
    ws = open("/strict")
    for _ = 1, 10 do
      ws:send("x")
    end
    local code
    repeat
      local data
      data, code = ws:receive()
    until not data
    assert.equal(1008, code)
    ws = open("/strict")
    assert.equal(1001, (select(2, ws:receive())))
    ws = open("/chat/1")
    ws.conn:send("\129\1x") -- not masked
    assert.equal(1002, (select(2, ws:receive())))
  end)

  it("is one of so many of its route", function()
    local first, second = open("/few"), open("/few")
    local _, status, fields = open("/few")
    assert.same({ "HTTP/1.1 503 Service Unavailable", "1" }, { status, fields["retry-after"] })
    open("/few")
    service:wait_for_log("GET /few: more than 2 WebSockets in this worker: 127.0.0.1 is refused")
    first:close()
    local third = process.wait_until("there is room again", function()
      return (open("/few"))
    end)
    assert.equal("a", third:ask("a"))
    assert.equal("b", second:ask("b"))
    second:close()
    third:close()
  end)

  -- One that reads nothing meanwhile.
  local function flooded(path)
    local conn = wire.connect("127.0.0.1", service.port, { receive_buffer = 4096 })
    local ws = websocket.open(conn, path)
    assert.equal(204, service:request(wire.post("/flood", ""), "POST").status)
    return ws
  end

  it("is closed with 1013 if it does not take what is published", function()
    local ws, last = flooded("/slow/close"), 0
    local data, code = ws:receive()
    while data do
      assert.equal(last + 1, tonumber(data)) -- which ignores the spaces
      last = tonumber(data)
      data, code = ws:receive()
    end
    assert.equal(1013, code)
    assert.is_true(last < 200)
    ws.conn:close()
  end)

  it("does not get what it was too slow for, if that is wanted", function()
    local ws, last, count = flooded("/slow/skip"), 0, 0
    ws:send("there?")
    local data = ws:receive()
    while data ~= "there?" do
      assert.is_true(tonumber(data) > last)
      last, count = tonumber(data), count + 1
      data = ws:receive()
    end
    assert.is_true(count > 0 and count < 200)
    ws:close()
  end)

  it("is closed when its function fails, which the log tells with its line", function()
    local ws = open("/chat/1")
    assert.equal(1011, (select(2, ws:ask("fail"))))
    service:wait_for_log("the message function of GET /chat/:room failed: .*lua/app.lua:%d+: oops")
  end)

  it("publishes to the others of its room", function()
    local a, b, c = open("/chat/1?user=A"), open("/chat/1?user=B"), open("/chat/2?user=C")
    a:send("tell")
    assert.equal("told by A", b:receive())
    assert.equal(by("A x 1"), a:ask("x"))
    assert.equal(by("C x 1"), c:ask("x"))
    for _, ws in ipairs({ a, b, c }) do
      ws:close()
    end
  end)

  it("goes on with other scripts, with its state and its topics", function()
    local a, b = open("/chat/1?user=A"), open("/chat/1?user=B")
    assert.equal(by("A x 1"), a:ask("x"))
    reload()
    assert.equal(by("A y 2"), a:ask("y"))
    b:send("tell")
    assert.equal("told by B", a:receive())
    service:write("lua/app.lua", "x = = 1")
    assert.equal(1, service:reload().status)
    assert.equal(by("A z 3"), a:ask("z"))
    local generation = service:status().generation
    process.wait_until("status shows them", function()
      return sockets()["chat/" .. generation] == 2
    end)
    assert.truthy(service:command("status").out:find(
      "2 WebSockets of chat, served by generation " .. generation, 1, true))
    a:close()
    b:close()
  end)

  it("ends its message on the old scripts, and keeps its order", function()
    local ws, old = open("/chat/1"), current
    ws:send("sleep"):send("a"):send("b", { final = false })
    reload('reload = function(ws) ws:send("reloaded") end,')
    ws:send("c", { opcode = 0 })
    assert.same({ by("nobody sleep 1", old), "reloaded", by("nobody a 2"), by("nobody bc 3") },
      { (ws:receive()), (ws:receive()), (ws:receive()), (ws:receive()) })
    ws:close()
  end)

  it("pins no scripts while it rests", function()
    local ws = open("/chat/1?user=A")
    assert.equal(by("A x 1"), ws:ask("x"))
    reload()
    process.wait_until("the old scripts have gone", function()
      return #service:status().workers[1].generations == 1
    end)
    assert.equal(by("A y 2"), ws:ask("y"))
    ws:close()
  end)

  it("stays on its scripts with its coroutine until the drain is over, if it opens late too",
    function()
    local ws, old, late = open("/echo"), current, service:connect()
    late:send(websocket.request("/late/echo"))
    service:wait_for_log("it is late")
    ws:send("later")
    reload()
    late = websocket.opened(late)
    assert.equal(by("later", old), ws:receive())
    assert.equal(by("late", old), late:receive())
    assert.equal(by("b"), open("/echo"):ask("b"))
    assert.equal(1012, (select(2, ws:receive())))
    assert.equal(1012, (select(2, late:receive())))
    process.wait_until("the old scripts have gone", function()
      return #service:status().workers[1].generations == 1
    end)
  end)

  it("is closed with 1012 when its route is gone, or the server stops", function()
    local ws, old = open("/chat/1"), current
    service:write_app("none", [[
      app:websocket("/new", { message = function(ws, data) ws:send(data) end })
      app:websocket("/echo", function(ws) for data in ws:messages() do ws:send(data) end end)
    ]])
    service:must_reload()
    assert.same({ 1012 }, { (select(2, ws:receive())) })
    service:wait_for_log("ended 1012 on " .. old)
    local table_form, coroutine = open("/new"), open("/echo")
    service.process:signal("TERM")
    assert.equal(1012, (select(2, table_form:receive())))
    assert.equal(1012, (select(2, coroutine:receive())))
  end)
end)
