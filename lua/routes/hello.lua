--- The smallest route with a parameter. A returned string is sent as text, a table as JSON.
local M = {}

function M.declare(app)
  app:get("/hello/:name", function(ctx)
    local greeting = ctx.query.greeting or "Hello"
    return { message = greeting .. ", " .. ctx.params.name .. "!" }
  end)
end

return M
