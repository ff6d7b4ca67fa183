--- Sends clients from http to https, and tells those on https to stay there (RFC 6797).
local check = require("moongate.core.check")
local M = {}

local YEAR = 31536000
local KNOWN = { hsts = true, subdomains = true, preload = true, port = true }

-- The field's value; nil: none is wanted.
local function policy(options)
  local age = options.hsts
  if age == nil then
    age = YEAR
  end
  if age == false then
    return nil
  end
  if type(age) ~= "number" or age < 0 or age % 1 ~= 0 then
    error("https: hsts: whole seconds or false are wanted", 3)
  end
  return ("max-age=%d"):format(age)
    .. (options.subdomains and "; includeSubDomains" or "")
    .. (options.preload and "; preload" or "")
end

-- "[::1]:8080" is "[::1]", "a.test:8080" is "a.test".
local function without_port(host)
  return host:match("^(%[.-%])") or host:match("^[^:]*")
end

local function redirect(ctx, port)
  local host = without_port(ctx.host)
  if host == "" then
    ctx:fail(400, "a request without a host cannot be sent to https")
  end
  local target = ctx.target
  if target:sub(1, 1) ~= "/" then
    target = ctx.path
  end
  return ctx:redirect("https://" .. host .. (port == 443 and "" or ":" .. port) .. target, 308)
end

---@param options table? hsts (seconds, a year unless told; false: none), subdomains, preload (for
---  the lists that browsers ship), port (443 unless told)
---@return moongate.Middleware
function M.new(options)
  options = options or {}
  check.type("https", options, "table")
  for name in pairs(options) do
    if not KNOWN[name] then
      error("https: no such option: " .. tostring(name)
        .. ", allowed: hsts, subdomains, preload, port", 2)
    end
  end
  local port = options.port or 443
  if type(port) ~= "number" or port < 1 or port > 65535 or port % 1 ~= 0 then
    error("https: port: a number from 1 to 65535 is wanted", 2)
  end
  local stay = policy(options)
  return function(ctx, next)
    if ctx.scheme ~= "https" then
      return redirect(ctx, port)
    end
    if stay then
      ctx:header("Strict-Transport-Security", stay)
    end
    return next()
  end
end

return M
