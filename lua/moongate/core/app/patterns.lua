--- Patterns of routes as other frameworks write them, each with what is written here.
local check = require("moongate.core.check")

local M = {}

local NAME = "([%a_][%w_]*)"

-- In the order in which they are looked for.
local FOREIGN = {
  { "/{" .. NAME .. "[^}]*}", 'a parameter is written "/:%s", and what remains of the path '
    .. '"/*%s"' },
  { "/<" .. NAME .. ">", 'a parameter is written "/:%s", a whole number "/:%s<int>"' },
  { "/<[%a_]+:" .. NAME .. ">", 'a parameter is written "/:%s", a whole number "/:%s<int>"' },
  { "/:" .. NAME .. "%?", 'a segment that may be missing is a route of its own: one with "/:%s", '
    .. "and one without" },
  { "/:" .. NAME .. "%(", 'what a parameter may be is a kind: "/:%s<int>", and uint, uuid, hex, '
    .. "alpha, slug" },
  { "%?" .. NAME .. "=", "a query is no part of it: look at ctx.query.%s" },
  { "/(%*%*?)$", 'what remains of the path has a name: "/*rest"' },
}

--- Raises at the caller's line if `pattern` is no path, or another framework's.
---@param pattern string
---@return string pattern
function M.check(pattern)
  check.string("pattern", pattern)
  if pattern:sub(1, 1) ~= "/" then
    check.fail('pattern: it begins with "/", unlike "' .. pattern .. '"')
  end
  for _, foreign in ipairs(FOREIGN) do
    local name = pattern:match(foreign[1])
    if name then
      check.fail(('pattern "%s": %s'):format(pattern, (foreign[2]:gsub("%%s", name))))
    end
  end
  return pattern
end

return M
