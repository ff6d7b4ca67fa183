--- Cross-origin requests (the Fetch standard's CORS protocol): answers preflights, marks answers.
--- For an app, a group or a route; in front of what asks who the client is, since preflights do not
--- say.
local check = require("moongate.core.check")
local M = {}

local function list_of_strings(name, value)
  if type(value) == "string" then
    return { value }
  end
  check.type(name, value, "table")
  for i, item in ipairs(value) do
    check.string(name .. "[" .. i .. "]", item)
  end
  return value
end

local OPTIONS = {
  origins = list_of_strings,
  methods = list_of_strings,
  headers = list_of_strings,
  expose = list_of_strings,
  credentials = true,
  max_age = check.positive_integer,
}

local DEFAULT_METHODS = { "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE" }

-- Without a list every method is allowed; those that are not HTTP's own as they are asked for.
local function all_methods(wanted)
  local methods = table.concat(DEFAULT_METHODS, ", ")
  local is_token = wanted:find("^[%w!#$%%&'*+.^_`|~-]+$")
  return is_token and not (", " .. methods .. ","):find(", " .. wanted .. ",", 1, true)
    and methods .. ", " .. wanted or methods
end

---@param options table? origins (default "*"), methods and headers (default: what is asked for),
--- expose (lists), credentials, max_age (seconds)
---@return moongate.Middleware
function M.new(options)
  options = check.options("cors", options or {}, OPTIONS)
  local origins, any = {}, options.origins == nil
  for _, origin in ipairs(options.origins or {}) do
    any = any or origin == "*"
    origins[origin] = true
  end
  if any and options.credentials then
    check.fail("cors: credentials need a list of origins, not \"*\"")
  end
  local methods = options.methods and table.concat(options.methods, ", ")
  local allowed_headers = options.headers and table.concat(options.headers, ", ")
  local expose = options.expose and table.concat(options.expose, ", ")

  local function mark(ctx, origin)
    ctx:header("Access-Control-Allow-Origin", any and "*" or origin)
    if options.credentials then
      ctx:header("Access-Control-Allow-Credentials", "true")
    end
  end

  local function answer_preflight(ctx)
    local method = ctx.headers["access-control-request-method"]
    ctx:header("Access-Control-Allow-Methods", methods or all_methods(method))
    local wanted = ctx.headers["access-control-request-headers"]
    ctx:header("Access-Control-Allow-Headers", allowed_headers or wanted)
    if not allowed_headers then
      ctx:header("Vary", "Access-Control-Request-Headers")
    end
    if options.max_age then
      ctx:header("Access-Control-Max-Age", options.max_age)
    end
    return 204
  end

  return function(ctx, next)
    local origin = ctx.headers.origin
    -- Also without an Origin: a cache must not give this answer to another one (Fetch, 3.2.5).
    if not any then
      ctx:header("Vary", "Origin")
    end
    if not origin or not (any or origins[origin]) then
      return next()
    end
    mark(ctx, origin)
    if ctx.method == "OPTIONS" and ctx.headers["access-control-request-method"] then
      return answer_preflight(ctx)
    end
    if expose then
      ctx:header("Access-Control-Expose-Headers", expose)
    end
    return next()
  end
end

return M
