-- bench/proxy: as many bytes as the path says.
local app = require("moongate").app()
local made = {}

app:get("/", function()
  return "ok"
end)

app:get("/:bytes<int>", function(ctx)
  local bytes = ctx.params.bytes
  made[bytes] = made[bytes] or ("x"):rep(bytes)
  return made[bytes]
end)

return app
