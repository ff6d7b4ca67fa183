--- C100K: whoever is held is told which scripts serve it. hold.py changes the word.
local moongate = require("moongate")
local app = moongate.app()
local WORD = "word0"

app:get("/", function() return WORD .. "\n" end)

app:post("/say", function()
  moongate.publish("room", WORD)
  return moongate.info().worker .. "\n"
end)

-- The load speaks when it is asked to, and the server not of itself.
app:websocket("/room", { ping = false, idle = false }, {
  open = function(ws) ws:subscribe("room") end,
  message = function(ws) ws:send(WORD) end,
})

return app
