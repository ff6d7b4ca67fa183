--- Tells how long the handler took, in milliseconds (Server-Timing).
local time = require("moongate.time")
local M = {}

---@return moongate.Middleware
function M.new()
  return function(ctx, next)
    local start = time.monotonic()
    next()
    ctx:add_header("Server-Timing", ("app;dur=%.3f"):format((time.monotonic() - start) * 1000))
  end
end

return M
