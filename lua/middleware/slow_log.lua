--- Logs a warning for each request that took longer than it should.
local moongate = require("moongate")
local M = {}

---@param seconds number
---@return fun(ctx: table, next: fun())
function M.new(seconds)
  if type(seconds) ~= "number" then
    error("slow_log: seconds are wanted, a number", 2)
  end
  return function(ctx, next)
    local start = moongate.monotonic()
    next()
    local took = moongate.monotonic() - start
    if took > seconds then
      ctx.log.warn("slow request", { path = ctx.path, seconds = took })
    end
  end
end

return M
