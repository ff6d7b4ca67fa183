-- bench/proxy: the relay alone, and with a middleware that adds a field.
local moongate = require("moongate")
local app = moongate.app()

app:group("/lua", {
  function(ctx, next)
    next()
    ctx:header("X-Added", "by a middleware")
  end,
}, function(group)
  group:proxy("/*path", "origin", { strip = "/lua" })
end)

app:proxy("/", "origin")
app:proxy("/*path", "origin")

return app
