--- HTTP Basic authentication (RFC 7617). The user's name is left in ctx.state.user.
local check = require("moongate.core.check")
local tools = require("moongate.tools")
local M = {}

local function checker(options)
  if options.check then
    return options.check
  end
  local users = options.users
  return function(user, password)
    local expected = users[user]
    -- Digests are of one length, and an unknown user costs the same time.
    local equal = tools.constant_time_equal(tools.sha256(password), tools.sha256(expected or ""))
    return expected ~= nil and equal
  end
end

local function table_of_users(name, value)
  for user, password in pairs(check.type(name, value, "table")) do
    check.string(name .. "." .. tostring(user), password)
  end
  return value
end

local OPTIONS = { users = table_of_users, check = check.callable, realm = check.string }

---@param options table users (name to password) or check (fun(user, password): boolean), realm
---@return moongate.Middleware
function M.new(options)
  options = check.options("basic_auth", options or {}, OPTIONS)
  if not options.users and not options.check then
    check.fail("basic_auth: wanted is users = { name = password } "
      .. "or check = function(user, password)")
  end
  local accept = checker(options)
  local realm = (options.realm or "Restricted"):gsub('[%c"\\]', "")
  local challenge = 'Basic realm="' .. realm .. '", charset="UTF-8"'
  return function(ctx, next)
    local scheme, token = (ctx.headers.authorization or ""):match("^(%a+) +([%w+/=]+)$")
    local pair = scheme and scheme:lower() == "basic" and tools.base64_decode(token)
    local user, password = (pair or ""):match("^([^:]*):(.*)$")
    if not user or not accept(user, password) then
      ctx:header("WWW-Authenticate", challenge)
      ctx:fail(401, "a valid user name and password are wanted")
    end
    ctx.state.user = user
    return next()
  end
end

return M
