--- What a redirect makes of a call (RFC 9110, section 15.4), and what of it another server may see.
local native = require("moongate.native")
local headers_of = require("moongate.core.headers")
local options = require("moongate.core.http.options")

local M = {}

-- Fields that anybody may read.
local HARMLESS = {
  accept = true, ["accept-charset"] = true, ["accept-encoding"] = true, ["accept-language"] = true,
  ["cache-control"] = true, host = true, ["if-modified-since"] = true, ["if-none-match"] = true,
  ["if-range"] = true, pragma = true, range = true, traceparent = true, tracestate = true,
  ["content-type"] = true, ["user-agent"] = true, ["x-request-id"] = true,
}
-- Options that are about the server that the script named.
local OF_ITS_SERVER = { insecure = true, ca = true, server_name = true, unix = true }
local CONTENT = {
  ["content-type"] = true, ["content-length"] = true, ["content-encoding"] = true,
  ["content-language"] = true, ["content-location"] = true,
}
local MOVED = { [301] = true, [302] = true, [303] = true, [307] = true, [308] = true }
local IN_CLEAR = "redirected from https to http, where anybody could read %s; with redirects = "
  .. "false the script decides"

local function is_downgrade(from, to)
  return from:sub(1, 6):lower() == "https:" and to:sub(1, 6):lower() ~= "https:"
end

-- What must not be sent in clear, in words. Of a field that nobody knows the worst is assumed.
local function find_secret(request)
  if request.body and request.body ~= "" or request.write then
    return "the request's body"
  end
  for name in pairs(request.headers or {}) do
    if not HARMLESS[tostring(name):lower()] then
      return 'the field "' .. tostring(name) .. '"'
    end
  end
end

local function copy_to(request, url)
  local copy = {}
  for key, value in pairs(request) do
    copy[key] = value
  end
  copy.url, copy.redirects = url, request.redirects - 1
  copy.followed = (request.followed or 0) + 1
  return copy
end

local function becomes_get(request, status)
  return status == 303 and request.method ~= "HEAD"
    or (status == 301 or status == 302) and request.method == "POST"
end

-- Another server gets what was not meant for the first one alone.
local function strip_private(request)
  request.headers = headers_of.without(request.headers, request.credentials or options.PRIVATE)
  request.headers = headers_of.without(request.headers, { host = true })
  request.options = headers_of.without(request.options, OF_ITS_SERVER)
end

---@param response moongate.Response
function M.is(response)
  return MOVED[response.status] and rawget(response.headers, "location") ~= nil or false
end

--- The request that follows; nil and why if the redirect is not followed.
---@param request table of core/http/options.lua
---@param response moongate.Response
---@return table?
---@return string? why
function M.follow(request, response)
  if response._ambiguous then
    return nil, "redirected to several places at once"
  end
  local url, same = native.http_resolve(request.url, response.headers.location)
  if not url then
    return nil, "redirected to " .. response.headers.location .. ": " .. same
  end
  local following = copy_to(request, url)
  if becomes_get(request, response.status) then
    following.method, following.body, following.write = "GET", nil, nil
    following.headers = headers_of.without(request.headers, CONTENT)
  elseif request.write and request.write ~= "file" then
    return nil, "redirected, but a body that was streamed cannot be sent again"
  end
  local secret = is_downgrade(request.url, url) and find_secret(following)
  if secret then
    return nil, IN_CLEAR:format(secret)
  end
  if not same then
    strip_private(following)
  end
  return following
end

return M
