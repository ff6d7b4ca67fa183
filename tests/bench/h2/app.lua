-- bench/h2: what all servers of W11 answer.
local moongate = require("moongate")
local app = moongate.app()

app:get("/", function(ctx)
  return ctx:text("hello\n")
end)

app:get("/users/:id", function(ctx)
  return { id = ctx.params.id, name = "user " .. ctx.params.id }
end)

return app
