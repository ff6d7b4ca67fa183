local moongate = require("moongate")
local test = require("moongate.test")

describe("a WebSocket in a spec", function()
  local app
  after_each(function()
    app:close()
  end)

  local function answering(text, more)
    return function(a)
      local functions = {
        message = function(ws, data)
          if data == "sleep" then
            moongate.sleep(5):await()
          end
          ws.state.count = (ws.state.count or 0) + 1
          ws:send(text .. ws.state.count)
        end,
      }
      for name, fn in pairs(more or {}) do
        functions[name] = fn
      end
      a:websocket("/chat/:room", { name = "chat" }, functions)
    end
  end

  it("goes on with other scripts between two messages, with its state", function()
    app = test.app(answering("old"))
    local ws = assert(app:websocket("/chat/1"))
    ws:send("?")
    assert.equal("old1", ws:receive())
    app:reload(answering("new"))
    ws:send("?")
    assert.equal("new2", ws:receive())
  end)

  it("ends the message in progress on the old scripts, and keeps the order", function()
    app = test.app(answering("old"))
    local ws = assert(app:websocket("/chat/1"))
    ws:send("sleep"):send("?")
    app.clock:settle()
    app:reload(answering("new"))
    assert.same({ "old1", "new2" }, { (ws:receive()), (ws:receive()) })
  end)

  it("is told first of the reload", function()
    app = test.app(answering("old"))
    local ws = assert(app:websocket("/chat/1"))
    ws:send_piece("frag", true, false)
    app.clock:settle()
    app:reload(answering("new", { reload = function(socket)
      socket:send("reloaded in " .. socket.params.room)
    end }))
    ws:send_piece("ment", false, true)
    assert.same({ "reloaded in 1", "new1" }, { (ws:receive()), (ws:receive()) })
  end)

  it("is found by its route's name though the pattern is another", function()
    app = test.app(answering("old"))
    local ws = assert(app:websocket("/chat/1"))
    app:reload(function(a)
      a:websocket("/talk/:where", { name = "chat" }, {
        message = function(socket)
          socket:send(socket.params.room)
        end,
      })
    end)
    ws:send("?")
    assert.equal("1", ws:receive())
  end)

  it("is closed with 1012 when its route is gone", function()
    local told
    app = test.app(answering("old", { close = function(_, code)
      told = code
    end }))
    local ws = assert(app:websocket("/chat/1"))
    app:reload(function(a)
      a:get("/", function()
        return "nothing else"
      end)
    end)
    assert.equal(1012, (select(2, ws:receive())))
    app.clock:settle()
    assert.equal(1012, told)
  end)

  it("notices nothing of a broken reload", function()
    app = test.app(answering("old"))
    local ws = assert(app:websocket("/chat/1"))
    assert.has_error(function()
      app:reload(function()
        error("broken")
      end)
    end)
    ws:send("?")
    assert.equal("old1", ws:receive())
  end)

  it("stays on its scripts with its coroutine, until the drain is over", function()
    local function echo(text)
      return function(a)
        a:websocket("/", function(ws)
          for data in ws:messages() do
            ws:send(text .. data)
          end
        end)
      end
    end
    app = test.app(echo("old "))
    local ws = assert(app:websocket("/"))
    app:reload(echo("new "))
    ws:send("a")
    assert.equal("old a", ws:receive())
    assert.equal(1012, (select(2, ws:receive())))
    assert.near(30, app.clock:elapsed(), 0.1)
    local other = assert(app:websocket("/"))
    other:send("b")
    assert.equal("new b", other:receive())
  end)

  it("does not cross with what JSON cannot say", function()
    app = test.app(answering("old", { open = function(ws)
      ws.state.fn = print
    end }))
    assert(app:websocket("/chat/1"))
    assert.has_error(function()
      app:reload()
    end)
  end)
end)
