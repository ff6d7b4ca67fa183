--- Routes as Lua declares them, over the matcher in C (src/http/route.h).
local native = require("moongate.native")
local check = require("moongate.core.check")
local text = require("moongate.core.text")

local M = {}

--- An empty matcher.
function M.new()
  return native.router.new()
end

local function unreachable(method, route, first)
  return "the route " .. method .. " " .. (route.host or "") .. route.pattern
    .. " can never be reached: " .. first.where .. " declares the same shape first"
end

--- Adds a route under each of its methods. Raises if it can never be reached because another one
--- has its shape.
function M.add(matcher, route, routes)
  for _, method in ipairs(route.methods) do
    local ok, message, existing = matcher:add(method, route.pattern, route.id, route.host)
    if not ok and existing then
      check.fail(unreachable(method, route, routes[existing] or route))
    elseif not ok then
      check.fail("pattern " .. route.pattern .. ": " .. message)
    end
  end
end

--- Adds a route under those of its methods that no other one took. Raises, beginning with the
--- route's own place, if none is left.
---@return string[] methods
function M.add_rest(matcher, route, routes)
  local rest, first = {}, nil
  for _, method in ipairs(route.methods) do
    local ok, _, existing = matcher:add(method, route.pattern, route.id, route.host)
    if ok then
      rest[#rest + 1] = method
    else
      first = routes[existing]
    end
  end
  if #rest == 0 then
    error(route.where .. ": " .. unreachable("(any)", route, first), 0)
  end
  return rest
end

--- Adds the path that ends where the wildcard of a route begins ("/users/" of "/users/*path") under
--- those of its methods that no route took there. There its parameter is missing.
function M.add_bare(matcher, route)
  local bare = route.pattern:match("^(.*/)%*[^/]*$")
  for _, method in ipairs(bare and route.methods or {}) do
    matcher:add(method, bare, route.id, route.host)
  end
end

-- What a path cannot hold as it is, in the static segments of a pattern, which may be written so.
local function encode_static(pattern)
  local path = pattern:gsub("%%(%x?%x?)", function(code)
    return #code < 2 and "%25" .. code or nil
  end)
  return (path:gsub('[%z\1-\32"#<>?\\^`\127-\255]', native.tools.url_encode))
end

--- A path from a pattern. Raises if a parameter is missing.
---@param pattern string
---@param params table name to string, number or 64-bit integer
---@return string
function M.build(pattern, params)
  local function value_of(name)
    local value, wrong = text.of(params[name])
    if not value or value == "" then
      check.fail("url: the parameter " .. name .. " of " .. pattern .. " is missing"
        .. (wrong and ": " .. wrong or ""))
    end
    return value
  end
  local encode = native.tools.url_encode
  local path = encode_static(pattern:gsub("/:([%a_][%w_]*)<%a+>", "/:%1"))
  path = path:gsub("/:([%a_][%w_]*)", function(name)
    return "/" .. encode(value_of(name))
  end)
  path = path:gsub("/%*([%a_][%w_]*)$", function(name)
    return "/" .. value_of(name):gsub("[^/]+", encode)
  end)
  return path
end

return M
