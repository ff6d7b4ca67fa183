--- What a stubbed HTTP call is asked and answers: requests and responses as the real client has
--- them.
local native = require("moongate.native")
local check = require("moongate.core.check")
local options = require("moongate.core.http.options")
local response = require("moongate.core.http.response")

local M = {}

local ANSWER = {
  status = check.positive_integer, headers = true, cookies = true, body = check.string, json = true,
}

--- { method, url, headers, body } of a call's arguments; nil, message if it is none that can be.
function M.request(...)
  local ok, request = pcall(options.normalize, ...)
  if not ok then
    return nil, request
  end
  return request
end

-- A copy of the fields, with the body's type unless the spec gives one.
local function typed_headers(fields)
  local headers, typed = {}, false
  for name, value in pairs(fields.headers or {}) do
    headers[name] = value
    typed = typed or name:lower() == "content-type"
  end
  if fields.json ~= nil and not typed then
    headers["content-type"] = "application/json"
  end
  return headers
end

--- Makes a response of a spec's answer: a string (the body of a 200), or { status, headers, body or
--- json }.
function M.response(answer, request)
  if type(answer) == "string" then
    answer = { body = answer }
  elseif type(answer) ~= "table" then
    check.fail("a stub of HTTP answers { status =, headers =, body = or json = } or a body, not "
      .. type(answer))
  elseif getmetatable(answer) then
    return answer -- a response already
  end
  local fields = check.options("the stub's answer", answer, ANSWER)
  return response.made({
    status = fields.status or 200,
    headers = typed_headers(fields),
    body = answer.json ~= nil and native.json.encode(answer.json) or fields.body or "",
    url = request.url,
    cookies = fields.cookies,
  })
end

return M
