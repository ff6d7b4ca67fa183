--- A strict, independent parser of HTTP/1.x responses: what is not exactly right raises.
--
-- It reads from a source with three methods: `take_line()` returns one line without its CRLF,
-- `take(n)` n bytes, `take_rest()` all up to the peer's end.
local M = {}

local function split_field(line)
  local name, value = line:match("^([!#$%%&'*+%-.^_`|~%w]+):[ \t]*(.-)[ \t]*$")
  assert(name, "malformed field line: " .. string.format("%q", line))
  assert(not value:find("[%z\1-\8\10-\31\127]"), "control character in " .. name)
  return name, value
end

-- Headers in order, and by lower-case name ("a, b" when repeated, as RFC 9110 joins them).
local function read_fields(source)
  local ordered, by_name = {}, {}
  while true do
    local line = source:take_line()
    if line == "" then
      return ordered, by_name
    end
    local name, value = split_field(line)
    ordered[#ordered + 1] = { name = name, value = value }
    local key = name:lower()
    by_name[key] = by_name[key] and by_name[key] .. ", " .. value or value
  end
end

local function read_chunked(source)
  local pieces = {}
  while true do
    local line = source:take_line()
    local digits = line:match("^%x+$")
    assert(digits and #digits <= 8, "malformed chunk size: " .. string.format("%q", line))
    local size = tonumber(digits, 16)
    if size == 0 then
      local _, trailers = read_fields(source)
      return table.concat(pieces), trailers, pieces
    end
    pieces[#pieces + 1] = source:take(size)
    assert(source:take(2) == "\r\n", "chunk data is not followed by CRLF")
  end
end

local function bodyless(status, method)
  return method == "HEAD" or status < 200 or status == 204 or status == 304
end

local function check_framing_fields(res, method)
  local h = res.headers
  assert(not (h["content-length"] and h["transfer-encoding"]), "both framings in one response")
  if h["content-length"] then
    assert(h["content-length"]:match("^%d+$"), "malformed Content-Length: " .. h["content-length"])
  end
  if res.status < 200 or res.status == 204 then
    assert(not h["content-length"], res.status .. " with Content-Length")
    assert(not h["transfer-encoding"], res.status .. " with Transfer-Encoding")
  end
  if method ~= "HEAD" and res.status ~= 304 and res.status >= 200 and res.status ~= 204 then
    res.framed = h["content-length"] ~= nil or h["transfer-encoding"] ~= nil
  end
end

local function read_body(source, res, method)
  if bodyless(res.status, method) then
    res.body = ""
  elseif res.headers["transfer-encoding"] then
    assert(res.headers["transfer-encoding"] == "chunked", "coding other than chunked")
    res.body, res.trailers, res.chunks = read_chunked(source)
  elseif res.headers["content-length"] then
    res.body = source:take(tonumber(res.headers["content-length"]))
  else
    res.body = source:take_rest()
    res.until_close = true
  end
end

--- Reads one response, interim ones (1xx) as well.
---@param source table
---@param method string|nil of the request answered; default GET
---@return table { version, status, reason, fields, headers, body, trailers, chunks, until_close }
function M.read(source, method)
  local line = source:take_line()
  local version, status, reason = line:match("^HTTP/(1%.[01]) ([1-5]%d%d) ([^%c]*)$")
  assert(version, "malformed status line: " .. string.format("%q", line))
  local res = { version = version, status = tonumber(status), reason = reason }
  res.fields, res.headers = read_fields(source)
  check_framing_fields(res, method)
  read_body(source, res, method)
  return res
end

--- The names of the response's fields, lower case, in order.
function M.names(res)
  local names = {}
  for i, field in ipairs(res.fields) do
    names[i] = field.name:lower()
  end
  return names
end

return M
