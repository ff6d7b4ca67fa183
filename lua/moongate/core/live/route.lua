--- What app:websocket declares: its options, and the functions that handle its sockets.
local check = require("moongate.core.check")
local message = require("moongate.core.live.message")
local origin = require("moongate.core.live.origin")

local M = {}

-- Unless a script says otherwise.
local DEFAULTS = {
  max_message = 1024 * 1024, rate = 0, idle = 300, ping = 30, slow = "close", deflate = false,
  connections = 0,
}

-- false: never.
local function seconds(name, value)
  return value == false and 0 or check.seconds(name, value)
end

-- false: any number.
local function count(name, value)
  return value == false and 0 or check.positive_integer(name, value)
end

local function slow(name, value)
  return check.one_of(name, value, { close = true, skip = true }) and value
end

local OPTIONS = {
  max_message = message.size,
  rate = count,
  connections = count,
  idle = seconds,
  ping = seconds,
  protocols = message.protocols,
  origins = origin.option,
  deflate = function(name, value)
    return check.type(name, value, "boolean")
  end,
  slow = slow,
}

local FUNCTIONS = {
  open = check.callable, message = check.callable, close = check.callable, reload = check.callable,
}

--- Parts the options into those of the socket and those of any route, and checks the former.
---@param given table|string|nil
---@param of_route table<string, any> the latter's names
---@return table socket, table route
function M.split(given, of_route)
  local socket, route, known = {}, {}, {}
  if type(given) == "string" then
    given = { name = given }
  end
  for key in pairs(OPTIONS) do
    known[key] = true
  end
  for key in pairs(of_route) do
    known[key] = true
  end
  for key, value in pairs(given and check.type("websocket: options", given, "table") or {}) do
    check.one_of("websocket: options", key, known)
    local checked = OPTIONS[key]
    if checked then
      socket[key] = checked("websocket: options." .. key, value)
    else
      route[key] = value
    end
  end
  for key, value in pairs(DEFAULTS) do
    if socket[key] == nil then
      socket[key] = value
    end
  end
  return socket, route
end

--- The functions of the table form, or the one of the coroutine form as `run`.
---@param given table|function
function M.functions(pattern, given)
  if type(given) == "function" then
    return { run = given }
  end
  local name = "websocket " .. pattern
  if type(given) ~= "table" then
    check.fail(name .. ": a table of functions (open, message, close, reload) or one function is "
      .. "wanted, not " .. check.describe(given))
  end
  local fns = check.options(name, given, FUNCTIONS)
  if not fns.message then
    check.fail(name .. ": message = function(ws, data, kind) ... end is missing")
  end
  return fns
end

return M
