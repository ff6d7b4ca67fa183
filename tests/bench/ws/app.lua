--- W13: an echo, and a room in which everybody hears everybody.
local moongate = require("moongate")
local app = moongate.app()

app:get("/", function()
  return "hello\n"
end)

app:websocket("/echo", {
  message = function(ws, data, kind)
    ws:send(data, kind)
  end,
})

local SELF = { self = true }

app:websocket("/room", {
  open = function(ws)
    ws:subscribe("room")
  end,
  message = function(ws, data)
    ws:publish("room", data, SELF)
  end,
})

return app
