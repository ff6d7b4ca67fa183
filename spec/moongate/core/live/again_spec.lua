local moongate = require("moongate")
local test = require("moongate.test")

local URL = "ws://feed.test/"

describe("a WebSocket that is connected again", function()
  local app, handler

  before_each(function()
    app = test.app(function(a)
      a:get("/", { timeout = 1000 }, function()
        return handler()
      end)
    end)
  end)
  after_each(function()
    app:assert_no_leaks()
  end)

  -- A server whose connections each do what the next function says; the last one for all others.
  local function serve(...)
    local connections, servers = 0, { ... }
    app:stub_websocket(URL, function(ws)
      connections = connections + 1
      return (servers[connections] or servers[#servers])(ws)
    end)
    return function()
      return connections
    end
  end

  local function run(reconnect, fn)
    local result
    handler = function()
      local ws = moongate.websocket.connect(URL, { reconnect = reconnect }):await()
      result = { fn(ws) }
      return "done"
    end
    assert.equal(200, app:get("/").status)
    return unpack(result)
  end

  local function says(word)
    return function(ws)
      ws:send(word):drop()
    end
  end

  local function log_has(pattern)
    for _, line in ipairs(app.logs) do
      if line.message:find(pattern) then
        return true
      end
    end
  end

  it("goes on over failures, and says that messages may have been missed", function()
    serve(says("one"), says("two"), function(ws)
      ws:send("three")
      ws:receive():await()
    end)
    assert.same({ "one", "two", "three" }, run(true, function(ws)
      local all = {}
      for data in ws:messages() do
        all[#all + 1] = data
        if data == "three" then
          return all
        end
      end
    end))
    assert.is_true(log_has("connected again; messages may have been missed"))
  end)

  it("tells the server what it has to know before messages are given out", function()
    local subscribed, codes = {}, {}
    serve(says("one"), function(ws)
      subscribed[1] = ws:receive():await()
      ws:send("two")
      ws:receive():await()
    end)
    local data = run({ opened = function(ws, code)
      codes[#codes + 1] = code
      ws:send("subscribe")
    end }, function(ws)
      ws:receive():await()
      return (ws:receive():await())
    end)
    assert.equal("two", data)
    assert.same({ "subscribe" }, subscribed)
    assert.same({ 1006 }, codes)
  end)

  it("waits longer from try to try, half of it by chance", function()
    serve(says("one"))
    local _, code = run({ wait = 1, most = 4, tries = 4 }, function(ws)
      ws:receive():await()
      app:stub_websocket(URL, test.fail("connect"))
      return ws:receive():await()
    end)
    assert.equal(1006, code)
    local elapsed = app.clock:elapsed() -- 1 + 2 + 4 + 4 at most
    assert.is_true(elapsed >= 5.5 and elapsed <= 11.1, elapsed)
    assert.is_true(log_has("could not be connected again"))
  end)

  it("is over when it was closed, or the server says that it is", function()
    local connections = serve(function(ws)
      ws:receive():await()
    end)
    run(true, function(ws)
      ws:close()
      ws:receive():await()
      moongate.sleep(60):await()
    end)
    assert.equal(1, connections())
    for _, code in ipairs({ 1000, 1008 }) do
      connections = serve(function(ws)
        ws:close(code)
      end)
      assert.equal(code, (select(2, run(true, function(ws)
        return ws:receive():await()
      end))))
      assert.equal(1, connections())
    end
  end)

  it("is over when the server refuses it", function()
    serve(says("one"))
    run({ wait = 0.1 }, function(ws)
      ws:receive():await()
      app:stub_websocket(URL, 403)
      assert.is_nil((ws:receive():await()))
    end)
    assert.is_true(app.clock:elapsed() < 1)
  end)

  it("sends nothing while there is no connection", function()
    serve(says("one"), function(ws)
      ws:receive():await()
    end)
    local code, message = run({ wait = 5 }, function(ws)
      ws:receive():await()
      moongate.sleep(0.1):await()
      local ok, err = pcall(ws.send, ws, "lost")
      assert.is_false(ok)
      return err.code, err.message
    end)
    assert.equal("closed", code)
    assert.matches("is being connected again", message)
  end)

  it("goes on when it is detached", function()
    local ws
    serve(says("one"), function(server)
      server:send("two")
      server:receive():await()
    end)
    run(true, function(socket)
      ws = socket:detach()
    end)
    app.clock:advance(5)
    local got = {}
    handler = function()
      got[1], got[2] = ws:receive():await(), ws:receive():await()
      ws:close()
      ws:receive():await()
      return "done"
    end
    app:get("/")
    assert.same({ "one", "two" }, got)
  end)
end)
