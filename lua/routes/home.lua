--- The page that tells where you are. Edit lua/public/index.html and load it again.
local M = {}

function M.declare(app)
  app:get("/", "home", function(ctx)
    ctx:send_file("lua/public/index.html")
  end)
end

return M
