--- What nginx.conf has at /cached: a text out of the cache.
local moongate = require("moongate")
local app = moongate.app()

app:on_start(function()
  moongate.cache():set("text", ("x"):rep(100)):await()
end)

app:get("/", function(ctx) return ctx:text("ready\n") end)

app:get("/cached", function(ctx) return ctx:text(ctx:query_cache("text"):await()) end)

return app
