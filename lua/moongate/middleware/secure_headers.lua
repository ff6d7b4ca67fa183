--- Answers with the fields that browsers want of a careful site (OWASP Secure Headers).
local check = require("moongate.core.check")
local M = {}

local DEFAULTS = {
  ["X-Content-Type-Options"] = "nosniff",
  ["X-Frame-Options"] = "DENY",
  ["Referrer-Policy"] = "no-referrer",
  ["Cross-Origin-Opener-Policy"] = "same-origin",
}

---@param fields table? name to value; false leaves one of the defaults out
---@return moongate.Middleware
function M.new(fields)
  check.type("secure_headers", fields or {}, "table")
  local all, own = {}, {}
  for name, value in pairs(fields or {}) do
    own[check.string("secure_headers: name", name):lower()] = true
    all[name] = value and check.string("secure_headers: " .. name, value) or nil
  end
  for name, value in pairs(DEFAULTS) do
    if not own[name:lower()] then
      all[name] = value
    end
  end
  return function(ctx, next)
    for name, value in pairs(all) do
      ctx:header(name, value)
    end
    return next()
  end
end

return M
