--- The page that tells where you are, and which worker and generation of scripts answer.
local moongate = require("moongate")
local M = {}

function M.declare(app)
  app:get("/", "home", function(ctx)
    ctx:send_file("lua/public/index.html")
  end)

  app:get("/info", "info", function()
    return moongate.info()
  end)
end

return M
