--- Files: one by its path, and a folder. Ranges, validators and media types are seen to.
local M = {}

function M.declare(app)
  app:get("/files/readme", function(ctx)
    ctx:send_file("README.md", { root = ".", type = "text/plain; charset=utf-8" })
  end)

  app:static("/public", "lua/public", { cache = 3600 })
end

return M
