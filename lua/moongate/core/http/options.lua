--- What scripts ask the HTTP client for: checked, and as what is to be sent.
local native = require("moongate.native")
local check = require("moongate.core.check")
local missing = require("moongate.core.future.missing")
local headers_of = require("moongate.core.headers")
local suggest = require("moongate.core.suggest")
local text = require("moongate.core.text")
local files = require("moongate.files")
local json = require("moongate.json")
local tools = require("moongate.tools")

local M = {}

local REDIRECTS, REDIRECTS_MAX = 5, 20
local TIMEOUT = native.constants.call_seconds

--- Fields that are for the server to which they were sent, besides those of option credentials.
M.PRIVATE = {
  authorization = true, cookie = true, ["proxy-authorization"] = true,
  ["x-api-key"] = true, ["api-key"] = true, ["x-auth-token"] = true, ["x-access-token"] = true,
  ["x-csrf-token"] = true, ["private-token"] = true, ["x-amz-security-token"] = true,
}

local function fail(message, ...)
  check.fail("http_request: " .. message:format(...))
end

-- --- each option: function(key, value) that raises ---

local function is_number(value, above)
  return type(value) == "number" and value > above and value < 1e15
end

local function seconds(key, value)
  return is_number(value, 0)
    or fail("%s: a number above 0 is wanted, not %s", key, check.describe(value))
end

local function bytes(key, value)
  return value == 0 or seconds(key, value)
end

local function bound(_, value)
  check.bound("http_request: max", value)
end

local function redirects(_, value)
  local whole = is_number(value, -1) and value % 1 == 0
  if value ~= false and not (whole and value <= REDIRECTS_MAX) then
    fail("redirects: a whole number from 0 to %d or false is wanted", REDIRECTS_MAX)
  end
end

local function any()
end

local function of_type(wanted)
  return function(key, value)
    if type(value) ~= wanted or missing.is(value) then
      fail("%s: a %s is wanted, not %s", key, wanted, check.describe(value))
    end
  end
end

local a_string, a_table, a_boolean = of_type("string"), of_type("table"), of_type("boolean")

local function name(key, value)
  a_string(key, value)
  if value == "" or value:find("\0", 1, true) then
    fail("%s: it is empty or holds a NUL", key)
  end
end

-- One network or name, or a list of them; src/client/rules.c knows which there are.
local function rules(key, value)
  local list = type(value) == "table" and value or { value }
  local good = check.is_list(list)
  for _, entry in ipairs(list) do
    good = good and type(entry) == "string" and not entry:find("\0", 1, true)
  end
  if not good then
    fail('%s: a list of networks and names as "10.0.0.0/8", "private" is wanted', key)
  end
end

-- The set of all private fields, those of `names` among them.
local function credentials(_, names)
  local all = setmetatable({}, { __index = M.PRIVATE })
  for index, field in pairs(type(names) == "table" and names or { names }) do
    if type(field) ~= "string" or type(index) ~= "number" then
      fail('credentials: a list of names of fields as "X-Session" is wanted')
    end
    all[field:lower()] = true
  end
  return all
end

local function http2(_, value)
  if type(value) ~= "boolean" and value ~= "auto" then
    fail('http2: "auto", true or false is wanted')
  end
end

local CHECKS = {
  url = a_string, method = a_string, headers = a_table, query = a_table,
  body = any, json = any, form = a_table, file = name, length = bytes,
  timeout = seconds, connect_timeout = seconds, first_byte_timeout = seconds,
  idle_timeout = seconds, max = bound, retries = of_type("number"), redirects = redirects,
  stream = a_boolean, decompress = a_boolean, insecure = a_boolean,
  ca = name, server_name = name, unix = name, deny = rules, allow = rules,
  credentials = credentials, http2 = http2,
}
-- What C is told as it was given.
local FOR_C = {
  "timeout", "connect_timeout", "first_byte_timeout", "idle_timeout", "length", "ca", "insecure",
  "unix", "stream", "server_name", "decompress", "deny", "allow", "http2",
}
local BODIES = { "body", "json", "form", "file" }

local function check_one_body(given)
  local found
  for _, key in ipairs(BODIES) do
    if given[key] ~= nil then
      if found then
        fail("%s and %s: only one body is possible", found, key)
      end
      found = key
    end
  end
end

local function check_all(given)
  if type(given) ~= "table" or missing.is(given) then
    fail("a URL or a table of options is wanted, not %s", check.describe(given))
  end
  for key, value in pairs(given) do
    if not CHECKS[key] then
      fail("there is no option '%s'%s", tostring(key), suggest.for_name(tostring(key), CHECKS))
    end
    CHECKS[key](key, value)
  end
  if not given.url then
    fail("url is missing")
  end
  check_one_body(given)
end

-- --- headers and body ---

-- They may be sent later, or again: what the caller does to its table meanwhile must not show.
local function copy_headers(headers)
  local copy = headers and headers_of.without(headers, {})
  for field, value in pairs(copy or {}) do
    if missing.is(value) then
      fail("headers: %s: %s", tostring(field), tostring(value))
    elseif type(value) == "table" then
      copy[field] = { unpack(value) }
    end
  end
  return copy
end

local function add_header(request, field, value)
  local headers = {}
  for given, v in pairs(request.headers or {}) do
    if type(given) == "string" and given:lower() == field then
      return
    end
    headers[given] = v
  end
  headers[field] = value
  request.headers = headers
end

-- A Content-Length that is given is for a body that a function writes.
local function take_length(request)
  for field, value in pairs(request.headers or {}) do
    if type(field) == "string" and field:lower() == "content-length" then
      local digits = text.of(value)
      local length = digits and digits:find("^%d+$") and tonumber(digits)
      if not length or length >= 1e15 then
        fail("content-length: a whole number of bytes is wanted")
      end
      request.options.length = length
      request.headers = headers_of.without(request.headers, { ["content-length"] = true })
      return
    end
  end
end

-- What cannot be encoded is told at the caller's line.
local function encoded(encode, what, value)
  local ok, result = pcall(encode, value)
  return ok and result or fail("%s: %s", what, result)
end

local function set_body(request, given)
  local body = given.body
  if given.json ~= nil then
    request.body = encoded(json.encode, "json", given.json)
    add_header(request, "content-type", "application/json")
  elseif given.form then
    request.body = encoded(tools.query_encode, "form", given.form)
    add_header(request, "content-type", "application/x-www-form-urlencoded")
  elseif given.file then
    request.write = "file"
    request.file = given.file
  elseif type(body) == "function" then
    request.write = body
    take_length(request)
  elseif body ~= nil then
    request.body = text.of(body)
      or fail("body: a string or a function(out) is wanted, not %s%s", check.describe(body),
        missing.is(body) and "" or "; json = ... sends a table")
  end
end

-- --- all ---

local function url_with_query(url, query)
  local path, fragment = url:match("^([^#]*)(.*)$")
  local mark = path:find("?", 1, true) and "&" or "?"
  return path .. mark .. encoded(tools.query_encode, "query", query) .. fragment
end

local function options_for_c(given)
  local options = {}
  for _, key in ipairs(FOR_C) do
    options[key] = given[key]
  end
  options.ca = given.ca and files.resolve(given.ca)
  options.unix = given.unix and files.resolve(given.unix)
  options.max = given.max ~= nil and check.bound("http_request: max", given.max) or nil
  return options
end

--- What is to be sent: { method, url, headers, body, write, file, options (for C), stream,
--- redirects, retries, timeout, ends, credentials }. A mistake raises at the caller's line.
---@param given string|table the URL, or options
---@return table
function M.read(given)
  if type(given) == "string" then
    return {
      method = "GET", url = given, redirects = REDIRECTS, retries = 0, timeout = TIMEOUT,
      ends = native.now() + TIMEOUT,
    }
  end
  check_all(given)
  local timeout = given.timeout or TIMEOUT
  local request = {
    method = (given.method or "GET"):upper(),
    url = given.query and url_with_query(given.url, given.query) or given.url,
    headers = copy_headers(given.headers),
    redirects = given.redirects == nil and REDIRECTS or given.redirects or 0,
    retries = given.retries or 0,
    stream = given.stream,
    timeout = timeout,
    ends = native.now() + timeout,
    options = options_for_c(given),
    credentials = given.credentials and credentials("credentials", given.credentials),
  }
  set_body(request, given)
  return request
end

--- A call as it would be sent, for specs: method, url, headers (looked up without regard to case),
--- body.
---@param given string|table
---@return table
function M.normalize(given)
  local request = M.read(given)
  return {
    method = request.method, url = request.url, headers = headers_of.lowered(request.headers),
    body = request.body,
  }
end

return M
