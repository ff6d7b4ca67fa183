-- bench/proxy: the relay alone, with a middleware that adds a field, and over either wire.
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

app:proxy("/h1/*path", "over_h1", { strip = "/h1" })
app:proxy("/h2/*path", "over_h2", { strip = "/h2" })
app:get("/", function()
  return "ready"
end)
app:proxy("/*path", "origin")

return app
