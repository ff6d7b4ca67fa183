--- Routes as Lua declares them, over the matcher in C (src/http/route.h).
local native = require("moongate.native")
local check = require("moongate.core.check")

local M = {}

--- An empty matcher.
function M.new()
  return native.router.new()
end

--- Adds a route under each of its methods. Raises if it can never be reached because another one has its shape.
function M.add(matcher, route, routes)
  for _, method in ipairs(route.methods) do
    local ok, message, existing = matcher:add(method, route.pattern, route.id)
    if not ok and existing then
      check.fail("the route " .. method .. " " .. route.pattern .. " can never be reached: "
        .. (routes[existing] and routes[existing].where or route.where) .. " declares the same shape first")
    elseif not ok then
      check.fail("pattern " .. route.pattern .. ": " .. message)
    end
  end
end

--- A path from a pattern. Raises if a parameter is missing.
---@param pattern string
---@param params table name to string or number
---@return string
function M.build(pattern, params)
  local function value_of(name)
    local value = params[name]
    if type(value) ~= "string" and type(value) ~= "number" then
      check.fail("url: the parameter " .. name .. " of " .. pattern .. " is missing")
    end
    return tostring(value)
  end
  local encode = native.tools.url_encode
  local path = pattern:gsub(":([%a_][%w_]*)(<%a+>)", ":%1")
  path = path:gsub("/:([%a_][%w_]*)", function(name)
    return "/" .. encode(value_of(name))
  end)
  path = path:gsub("/%*([%a_][%w_]*)$", function(name)
    return "/" .. value_of(name):gsub("[^/]+", encode)
  end)
  return path
end

return M
