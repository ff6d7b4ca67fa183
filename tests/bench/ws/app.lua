--- W13: an echo, and a room in which everybody hears everybody.
local moongate = require("moongate")
local app = moongate.app()

app:get("/", function()
  return "hello\n"
end)

-- The load speaks of nothing but messages, and neither do the peers' servers of themselves.
local QUIET = { ping = false, idle = false }

app:websocket("/echo", QUIET, {
  message = function(ws, data, kind)
    ws:send(data, kind)
  end,
})

local SELF = { self = true }

app:websocket("/room", QUIET, {
  open = function(ws)
    ws:subscribe("room")
  end,
  message = function(ws, data)
    ws:publish("room", data, SELF)
  end,
})

return app
