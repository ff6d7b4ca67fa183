--- Tells the client the request's id, which the log lines carry.
local check = require("moongate.core.check")
local M = {}

---@param options table? header (default "X-Request-Id"), trust: believe a valid incoming one
---@return moongate.Middleware
function M.new(options)
  options = check.options("request_id", options or {}, { header = check.string, trust = true })
  local header = options.header or "X-Request-Id"
  return function(ctx, next)
    if options.trust then
      local incoming = ctx.headers[header]
      if incoming and #incoming <= 128 and incoming:find("^[%w%-_.:/+=]+$") then
        ctx:set_request_id(incoming)
      end
    end
    ctx:header(header, ctx.request_id)
    return next()
  end
end

return M
