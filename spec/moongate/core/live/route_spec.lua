local moongate = require("moongate")
local route = require("moongate.core.live.route")

describe("the options of app:websocket", function()
  local function refused(options, ...)
    local ok, err = pcall(function()
      moongate.app():websocket("/", options, { message = function() end })
    end)
    assert.is_false(ok)
    for _, part in ipairs({ "route_spec.lua:", ... }) do
      assert.truthy(tostring(err):find(part, 1, true), tostring(err))
    end
  end

  it("have defaults", function()
    local socket, of_route = route.split({ name = "chat" }, { name = true })
    assert.same({
      max_message = 1048576, connections = 0, rate = 0, idle = 300, ping = 30, slow = "close",
      deflate = false,
    }, socket)
    assert.same({ name = "chat" }, of_route)
  end)

  it("take sizes, seconds and numbers, and false for none", function()
    local socket = route.split({
      max_message = "1G", connections = 2, rate = false, idle = false, ping = 0.5,
    }, {})
    assert.same({ 2 ^ 30, 2, 0, 0, 0.5 },
      { socket.max_message, socket.connections, socket.rate, socket.idle, socket.ping })
  end)

  it("are refused with what is allowed", function()
    refused({ max_message = "2G" }, "max_message: from 1 byte to 1G, not")
    refused({ max_message = 2 ^ 30 + 1 }, "from 1 byte to 1G")
    refused({ max_message = 0 }, "from 1 byte to 1G")
    refused({ connections = 0 }, "websocket: options.connections")
    refused({ connections = "2" }, "websocket: options.connections")
    refused({ rate = -1 }, "websocket: options.rate")
    refused({ slow = "wait" }, "close", "skip")
    refused({ deflate = "yes" }, "websocket: options.deflate")
    refused({ max_mesage = 1 }, "did you mean", "max_message")
    refused({ connection = 1 }, "did you mean", "connections")
  end)
end)
