local moongate = require("moongate")
local test = require("moongate.test")

describe("app:stub_websocket", function()
  local app, handler

  before_each(function()
    app = test.app(function(a)
      a:get("/", function()
        return handler()
      end)
    end)
  end)
  after_each(function()
    app:close()
  end)

  it("serves each path by its own function", function()
    app:stub_websocket("ws://feed.test/a", function(ws)
      ws:send(ws.path .. " " .. ws.headers.host)
    end)
    app:stub_websocket("ws://feed.test/b?x=1", function(ws)
      ws:send(ws.path)
    end)
    handler = function()
      local all = {}
      for _, path in ipairs({ "/a", "/b?x=1", "/c" }) do
        local ws, err = moongate.websocket.connect("ws://feed.test" .. path):try_await()
        all[#all + 1] = ws and ws:receive():await() or err.answered
      end
      return all
    end
    assert.same({ "/a feed.test", "/b?x=1", 404 }, app:get("/"):json())
  end)

  it("fails the spec when its function does", function()
    app:stub_websocket("ws://feed.test/", function(ws)
      ws:receive():await()
      error("not that")
    end)
    handler = function()
      moongate.websocket.connect("ws://feed.test/"):await():send("this"):receive():await()
    end
    local ok, err = pcall(app.get, app, "/")
    assert.is_false(ok)
    assert.matches("not that", tostring(err))
  end)

  it("refuses what is no URL and no answer", function()
    assert.has_error(function()
      app:stub_websocket("http://feed.test/", print)
    end)
    assert.has_error(function()
      app:stub_websocket("ws://feed.test/", "text")
    end)
  end)
end)
