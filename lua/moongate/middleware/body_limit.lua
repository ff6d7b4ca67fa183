--- Refuses bodies larger than a group of routes allows, by their announced length. (A route's
--- `body` option also bounds bodies that announce none.)
local check = require("moongate.core.check")
local M = {}

---@param size integer|string largest accepted Content-Length: bytes, or "64K"
---@return moongate.Middleware
function M.new(size)
  local bytes = check.size("body_limit", size)
  return function(ctx, next)
    local length = ctx.length
    if length and length > bytes then
      ctx:fail(413, "the body is larger than " .. bytes .. " bytes")
    end
    return next()
  end
end

return M
