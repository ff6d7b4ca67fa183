--- A cache that speaks memcached's text protocol at port 11211, and pages that are kept in another
--- one, which any memcached may be.
local moongate = require("moongate")
local client = require("client")
local server = require("server")

local app = moongate.app()
local pages = client.new(os.getenv("PAGES") or "127.0.0.1:11211")

app:stream("127.0.0.1:11211", { idle = 300, connections = 1000, max_line = 2048 }, server.serve)

app:get("/pages/:name", function(ctx)
  local page = pages:get(ctx.params.name)
  if not page then
    ctx:fail(404, "there is no such page")
  end
  return ctx:html(page)
end)

app:put("/pages/:name", function(ctx)
  pages:set(ctx.params.name, ctx:body():await(), 3600)
  return 204
end)

app:delete("/pages/:name", function(ctx)
  return pages:delete(ctx.params.name) and 204 or 404
end)

return app
