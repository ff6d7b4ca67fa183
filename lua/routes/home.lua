--- The page that tells where you are, which worker and generation of scripts answer, and what
--- others write meanwhile.
local moongate = require("moongate")
local M = {}

function M.declare(app)
  app:get("/", "home", function(ctx)
    ctx:send_file("lua/public/index.html")
  end)

  app:get("/info", "info", function()
    return moongate.info()
  end)

  -- Routes publish, every open page hears of it: no script waits for that.
  app:get("/live", "live", function(ctx)
    return ctx:events({ topics = { "live" } })
  end)
end

return M
