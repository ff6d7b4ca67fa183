--- Which pages may open a WebSocket: browsers send cookies along from anywhere (RFC 6455 section
--- 10.2), so that a server looks at Origin. Who sends none is no browser.
local check = require("moongate.core.check")

local M = {}

local PATTERN = "^%a[%w+.-]*://%*?[^/%s*]+$"

--- Checks the option `origins`: "*" or a list of origins, in which "*." stands for any subdomain.
function M.option(name, value)
  if value == "*" then
    return { any = true }
  end
  local list = type(value) == "string" and { value } or check.list(name, value, "origins")
  local known = {}
  for i, origin in ipairs(list) do
    check.string(name .. "[" .. i .. "]", origin)
    if origin ~= "null" and not origin:find(PATTERN) then
      check.fail(('%s: an origin such as "https://example.org" or "https://*.example.org" is '
        .. 'wanted, without a path, or "*" alone for any, not "%s"'):format(name, origin))
    end
    known[origin:lower()] = true
  end
  return known
end

local function is_listed(known, origin)
  if known.any or known[origin] then
    return true
  end
  local scheme, host = origin:match("^(.-://)(.*)$")
  while host do
    host = host:match("^[^.]*%.(.*)$")
    if host and known[scheme .. "*." .. host] then
      return true
    end
  end
  return false
end

--- Whether a page of that origin may. `known`: of M.option; nil: pages of the same host alone.
---@param origin string? the field
---@param host string? the request's own, with its port
function M.allows(known, origin, host)
  if not origin then
    return true
  end
  origin = origin:lower()
  if known then
    return is_listed(known, origin)
  end
  return host ~= nil and origin:match("^https?://(.*)$") == host:lower()
end

return M
