--- A route whose requests an upstream answers: app:proxy.
---
--- Without middleware C relays them alone (src/proxy/route.h); with middleware, or while no
--- upstream is configured (specs), the handler asks.
local check = require("moongate.core.check")
local options_of = require("moongate.core.proxy.options")
local tools = require("moongate.tools")

local M = {}

local ask -- of core/request/proxied.lua, which requires others that require this

--- The options of proxying, and those of any route.
---@param given table|nil
---@param of_route table<string, any> the names of the latter
---@return table proxying, table route
function M.split(given, of_route)
  local proxying, route, known = {}, {}, { methods = true }
  for _, key in ipairs(options_of.NAMES) do
    known[key] = true
  end
  for key in pairs(of_route) do
    known[key] = true
  end
  for key, value in pairs(given or {}) do
    route[check.one_of("proxy: options", key, known)] = value
  end
  for _, key in ipairs(options_of.NAMES) do
    proxying[key], route[key] = route[key], nil
  end
  return proxying, route
end

-- The rest of a path keeps its slashes.
local function encoded(kind, value)
  if kind == "*" then
    return (value:gsub("[^/]+", tools.url_encode))
  end
  return tools.url_encode(value)
end

local function expand(path, params)
  return (path:gsub("/([:*])([^/?]+)", function(kind, name)
    return "/" .. encoded(kind, params[name] or "")
  end))
end

-- Segments such as ":id" stand for parameters of the pattern.
local function check_params(path, pattern)
  for kind, name in path:gmatch("/([:*])([^/?]+)") do
    if not (pattern .. "/"):find("/[:*]" .. name:gsub("%p", "%%%0") .. "[/<]") then
      check.fail("proxy: path: " .. pattern .. " has no parameter " .. kind .. name)
    end
  end
end

-- Nothing that the pattern takes begins so: it would be taken off no path.
local function check_strip(strip, pattern)
  local rest = pattern
  for segment in strip:gmatch("/[^/]*") do
    local own = rest:match("^/[^/]*")
    if not own or own:sub(2, 2) == "*" then
      return
    elseif own:sub(2, 2) ~= ":" and own ~= segment then
      check.fail(("proxy: strip: no path of %s begins with %s"):format(pattern, strip))
    end
    rest = rest:sub(#own + 1)
  end
end

--- Raises at the public caller's line.
---@param pattern string of the route, with its groups' prefixes
---@param upstream string
---@param given table of M.split
---@return fun(ctx: table) handler
---@return table for M.native
function M.new(pattern, upstream, given)
  local plan = options_of.of_route(given)
  if plan.path then
    check_params(plan.path, pattern)
  end
  if plan.strip then
    check_strip(plan.strip, pattern)
  end
  local has_params = plan.path and plan.path:find("/[:*]")
  local function handler(ctx)
    ask = ask or require("moongate.core.request.proxied").ask
    local own = has_params
      and setmetatable({ path = expand(plan.path, ctx.params) }, { __index = plan })
    ask(ctx, upstream, own or plan, 2) -- stages what it answers
  end
  return handler, { upstream = upstream, plan = plan }
end

--- Raises, with the route's place, if no upstream has that name. `names`: all of them.
function M.check_upstream(route, names)
  local known = {}
  for _, name in ipairs(names) do
    known[name] = true
  end
  local upstream = route.proxied.upstream
  if not known[upstream] then
    error(route.where .. ": proxy: " .. options_of.unknown(upstream, known), 0)
  end
end

--- What C is told.
---@param proxied table of M.new
function M.native(proxied)
  local plan = proxied.plan
  return {
    upstream = proxied.upstream,
    strip = plan.strip, path = plan.path, host = plan.host,
    set = plan.set, removed = plan.removed, buffer = plan.buffer,
    connect = plan.connect, first_byte = plan.first_byte, idle = plan.idle,
    total = plan.total,
  }
end

return M
