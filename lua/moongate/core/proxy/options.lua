--- How a request is proxied: the options of ctx:proxy and app:proxy, checked, and as C wants them.
local check = require("moongate.core.check")
local answer = require("moongate.core.request.answer")
local suggest = require("moongate.core.suggest")

local M = {}

---@class moongate.core.ProxyPlan
---@field path string|nil instead of the request's, with "?" instead of its query too
---@field strip string|nil segments that are taken off the front of the path
---@field host string|nil "client", "upstream" or a literal
---@field set string[]|nil { name, value, ... } instead of the request's fields of these names
---@field removed string[]|nil { name, "", ... }
---@field buffer boolean|nil the upstream is asked once the body has come
---@field body string|nil instead of the request's own
---@field connect number|nil seconds
---@field first_byte number|nil seconds
---@field idle number|nil seconds
---@field total number|nil seconds

-- The wire's own: what a request is and how it is framed is not for fields to say.
local OURS = {
  host = "host = \"...\"", ["content-length"] = "body = \"...\"", ["transfer-encoding"] = false,
  connection = false, ["keep-alive"] = false, upgrade = false, te = false, trailer = false,
  expect = false, ["proxy-connection"] = false,
}

local function encoded(byte)
  return ("%%%02X"):format(byte:byte())
end

-- What was decoded, such as a parameter, has bytes that no path has: they are encoded.
local function path_of(name, value)
  check.string(name, value)
  if value:sub(1, 1) ~= "/" then
    check.fail(name .. ": a path that begins with \"/\" is wanted")
  end
  local whole = value:gsub("%%(%x?%x?)", function(digits)
    return #digits < 2 and "%25" .. digits or nil
  end)
  return (whole:gsub("[%z\1-\32\127-\255#]", encoded))
end

local function prefix_of(name, value)
  if path_of(name, value) ~= value then
    check.fail(name .. ": bytes beyond ASCII, spaces and \"#\" are wanted encoded, as they come")
  elseif value:find("[?]") or value:sub(-1) == "/" then
    check.fail(name .. ": whole segments of a path are wanted, such as \"/users\"")
  end
  return value
end

local function host_of(name, value)
  check.string(name, value)
  if not value:find("^[%w%-._~:%[%]]+$") then
    check.fail(name .. ': "client", "upstream" or a host such as "users.internal" is wanted')
  end
  return value
end

local function check_ours(name, field)
  local instead = OURS[field:lower()]
  if instead ~= nil then
    check.fail(name .. ": " .. field .. " is the connection's own to say"
      .. (instead and "; write " .. instead or ""))
  end
end

local function add(list, field, value)
  list[#list + 1] = field
  list[#list + 1] = value
end

-- The field's values: one, or a list of them.
local function values_of(name, field, value)
  local values = {}
  value = type(value) == "table" and check.list(name .. "." .. field, value, "values") or { value }
  for i, one in ipairs(value) do
    local ok, checked = pcall(answer.check_field, field, one, -1)
    values[i] = ok and checked or check.fail(checked)
  end
  return values
end

-- A value, a list of them, or false: the field is taken away.
local function headers_of(name, given)
  check.type(name, given, "table")
  local headers = { set = {}, removed = {} }
  for field, value in pairs(given) do
    if type(field) ~= "string" then
      check.fail(name .. ': names with values are wanted, as { ["X-User"] = "ada" }, not a list')
    end
    check_ours(name, field)
    if value == false then
      add(headers.removed, field, "")
    else
      for _, one in ipairs(values_of(name, field, value)) do
        add(headers.set, field, one)
      end
    end
  end
  return headers
end

local TIMEOUTS = { connect = check.seconds, first_byte = check.seconds, idle = check.seconds,
  total = check.seconds }

local function timeouts_of(name, given)
  return check.options(name, given, TIMEOUTS)
end

local function buffer_of(name, value)
  if value ~= "request" and value ~= false then
    check.fail(name .. ': "request" or false is wanted, not ' .. check.describe(value))
  end
  return value
end

local OPTIONS = {
  path = path_of, strip = prefix_of, host = host_of, headers = headers_of,
  timeouts = timeouts_of, buffer = buffer_of,
}
local OF_A_REQUEST = { body = check.string }
for key, fn in pairs(OPTIONS) do
  OF_A_REQUEST[key] = fn
end

local function plan_of(options)
  local headers, timeouts = options.headers or {}, options.timeouts or {}
  return {
    path = options.path, strip = options.strip, host = options.host,
    set = headers.set, removed = headers.removed,
    buffer = options.buffer == "request", body = options.body,
    connect = timeouts.connect, first_byte = timeouts.first_byte, idle = timeouts.idle,
    total = timeouts.total,
  }
end

--- Of ctx:proxy. Raises at the public caller's line.
---@param given table|nil path, strip, host, headers (name to value, list of values, or false),
--- timeouts { connect, first_byte, idle, total }, buffer = "request", body
---@return moongate.core.ProxyPlan
function M.of_request(given)
  return plan_of(check.options("proxy", given or {}, OF_A_REQUEST))
end

--- The same for a server by its URL, which may say what is asked for: without a path of its own it
--- is what the client asked for.
---@param url string "https://host[:port][/path][?query]"
---@return moongate.core.ProxyPlan
function M.of_url(url, given)
  local plan = M.of_request(given)
  local own = url:match("^%a[%w+.-]*://[^/?#]*([^#]*)") or ""
  if own == "" then
    return plan
  elseif plan.path or plan.strip then
    check.fail("proxy: " .. (plan.path and "path" or "strip")
      .. ": the URL has a path already: write it there, or a URL without one")
  end
  plan.path = path_of("proxy: url", own:sub(1, 1) == "?" and "/" .. own or own)
  return plan
end

--- The same of a route (app:proxy), which has no body of its own.
---@param given table
---@return moongate.core.ProxyPlan
function M.of_route(given)
  return plan_of(check.options("proxy", given, OPTIONS))
end

--- That no upstream has that name, and which there are.
---@param name string
---@param known table<string, any>
---@return string
function M.unknown(name, known)
  if name:find("://", 1, true) then
    return ('"%s" is a server, and the name of an upstream is wanted: give it one under '
      .. "upstreams in the configuration"):format(name)
  end
  local all = check.names(known)
  return ("there is no upstream '%s', allowed: %s%s"):format(name, all[1]
    and table.concat(all, ", ") or "none, since the configuration has no upstreams",
    suggest.for_name(name, known))
end

--- Names of a route's options that are of proxying.
M.NAMES = { "path", "strip", "host", "headers", "timeouts", "buffer" }

return M
