--- Requests and answers of specs as bytes over in-memory connections.
local native = require("moongate.native")
local check = require("moongate.core.check")
local headers_of = require("moongate.core.headers")
local shown = require("moongate.core.text").shown

local M = {}

---@class moongate.test.Response
local Response = {}
Response.__index = Response

--- The body as JSON.
function Response:json()
  local value, err = native.json.decode(self.body)
  if value == nil and err then
    error("the body is not JSON: " .. err .. "\n" .. self.body, 2)
  end
  return value
end

-- --- parsing ---

local function parse_headers(head)
  local headers, list = {}, {}
  for name, value in head:gmatch("\r\n([^:\r\n]+):[ \t]*([^\r\n]*)") do
    name = name:lower()
    list[#list + 1] = { name, value }
    headers[name] = headers[name] and (headers[name] .. ", " .. value) or value
  end
  return headers_of.any_case(headers), list
end

-- The content of a chunked body that begins at `at`, and where it ends; nothing while it is
-- incomplete.
local function parse_chunks(text, at)
  local parts = {}
  while true do
    local line_end = text:find("\r\n", at, true)
    if not line_end then
      return nil
    end
    local size = tonumber(text:sub(at, line_end - 1):match("^%x+"), 16)
    at = line_end + 2
    if size == 0 then
      local stop = text:find("\r\n", at, true)
      while stop and stop ~= at do
        at = stop + 2
        stop = text:find("\r\n", at, true)
      end
      return stop and table.concat(parts), stop and stop + 2
    end
    if #text < at + size + 1 then
      return nil
    end
    parts[#parts + 1] = text:sub(at, at + size - 1)
    at = at + size + 2
  end
end

--- One request at the front of `text` and its length; nil while it is incomplete.
---@return table? { method, path, headers, body }
---@return integer? length
function M.parse_request(text)
  local head_end = text:find("\r\n\r\n", 1, true)
  if not head_end then
    return nil
  end
  local method, path = text:match("^(%S+) (%S+) HTTP/1%.1\r\n")
  local headers, list = parse_headers(text:sub(1, head_end + 1))
  local request = { method = method, path = path, headers = headers, header_list = list, body = "" }
  local body_start = head_end + 4
  if headers["transfer-encoding"] then
    local body, stop = parse_chunks(text, body_start)
    request.body = body
    return body and request or nil, stop and stop - 1
  end
  local length = tonumber(headers["content-length"] or 0)
  request.body = text:sub(body_start, body_start + length - 1)
  return #request.body == length and request or nil, body_start + length - 1
end

--- The head of a final answer at the front of `text`, nil while it is incomplete: its status,
--- headers and length.
---@return table?
function M.parse_head(text)
  local stop = text:find("\r\n\r\n", 1, true)
  if stop then
    local head = text:sub(1, stop + 1)
    return { status = tonumber(head:match("^HTTP/1%.1 (%d%d%d)")), headers = parse_headers(head),
      bytes = stop + 3 }
  end
end

-- One response at the front of `text`: the response and its length, or nil while it is incomplete.
local function parse(text, method, ended)
  local head_end = text:find("\r\n\r\n", 1, true)
  if not head_end then
    return nil
  end
  local head = text:sub(1, head_end + 1)
  local status = tonumber(head:match("^HTTP/1%.1 (%d%d%d)"))
  local headers, list = parse_headers(head)
  local body_start = head_end + 4
  local response = setmetatable({
    status = status, headers = headers, header_list = list, body = "",
  }, Response)
  if status < 200 then
    return response, body_start - 1
  elseif method == "HEAD" or status == 204 or status == 304 then
    return response, body_start - 1
  elseif headers["transfer-encoding"] == "chunked" then
    local body, stop = parse_chunks(text, body_start)
    response.body = body
    return body and response, stop and stop - 1
  elseif headers["content-length"] then
    local length = tonumber(headers["content-length"])
    if #text - body_start + 1 < length then
      return nil
    end
    response.body = text:sub(body_start, body_start + length - 1)
    return response, body_start + length - 1
  elseif ended then
    response.body = text:sub(body_start)
    return response, #text
  end
end

-- --- building ---

local function encode_form(form)
  local pairs_list = {}
  for key, value in pairs(form) do
    local encode = native.tools.url_encode
    pairs_list[#pairs_list + 1] = encode(key) .. "=" .. encode(shown(value))
  end
  table.sort(pairs_list)
  return table.concat(pairs_list, "&")
end

local function body_of(options)
  if options.json ~= nil then
    return native.json.encode(options.json), "application/json"
  elseif options.form then
    return encode_form(options.form), "application/x-www-form-urlencoded"
  end
  return options.body
end

local function build(method, path, options)
  local body, content_type = body_of(options)
  if options.query then
    path = path .. "?" .. encode_form(options.query)
  end
  local lines = { method .. " " .. path .. " HTTP/1.1" }
  local seen = {}
  for name, value in pairs(options.headers or {}) do
    seen[name:lower()] = true
    for _, one in ipairs(type(value) == "table" and value or { value }) do
      lines[#lines + 1] = name .. ": " .. shown(one)
    end
  end
  local function default(name, value)
    if value and not seen[name:lower()] then
      lines[#lines + 1] = name .. ": " .. value
    end
  end
  if not seen.host then
    table.insert(lines, 2, "Host: localhost") -- first, as clients do (RFC 9110 section 7.2)
  end
  default("Content-Type", content_type)
  if body and not seen["transfer-encoding"] then
    default("Content-Length", options.length or #body)
  elseif options.length then
    default("Content-Length", options.length)
  end
  return table.concat(lines, "\r\n") .. "\r\n\r\n" .. (body or "")
end

-- --- a request in flight ---

---@class moongate.test.Flight
local Flight = {}
Flight.__index = Flight

--- A peer that the spec drives, closed with the app.
---@return moongate.test.Flight
function M.wrap(app, peer, method)
  app.peers[#app.peers + 1] = peer
  return setmetatable({ app = app, peer = peer, method = method }, Flight)
end

local function open(app, method)
  return M.wrap(app, native.test_connect(app.http2), method)
end

local OPTIONS = {
  headers = true, body = check.string, json = true, form = true, query = true, length = true,
}

--- Sends the head and whatever body there is; `options.length` announces a longer one for :send to
--- deliver.
function M.start(app, method, path, options)
  check.string("a request: the path", path)
  options = options == nil and {} or check.options("a request", options, OPTIONS)
  local flight = open(app, method)
  flight:send(build(method, path, options))
  return flight
end

function M.raw(app, bytes)
  local flight = open(app, bytes:match("^%u+") or "GET")
  flight:send(bytes)
  return flight
end

--- Sends more bytes, as they are.
function Flight:send(bytes)
  assert(self.peer:send(bytes))
  return self
end

--- All bytes that have come until nothing more happens at this moment of virtual time.
---@return string bytes, boolean closed by the server
function Flight:read()
  self.app.clock:settle()
  local bytes, ended = self.peer:received()
  self.peer:take(#bytes)
  return bytes, ended
end

--- Does not read for a while, like a slow client.
function Flight:pause(paused)
  self.peer:pause(paused ~= false)
  return self
end

--- Sends a FIN: the client sends no more.
function Flight:finish()
  self.peer:shutdown()
  return self
end

local function forget(app, peer)
  for i = #app.peers, 1, -1 do
    if app.peers[i] == peer then
      table.remove(app.peers, i)
    end
  end
end

--- Leaves, after `seconds` of virtual time.
---@param seconds number?
function Flight:disconnect(seconds)
  if seconds and seconds > 0 then
    self.app.clock:advance(seconds)
  end
  forget(self.app, self.peer)
  self.peer:close(true)
  self.app.clock:settle()
  return self
end

--- Waits for the next complete answer; virtual time passes as it must. Interim answers (1xx) are
--- collected in .interim.
---@return moongate.test.Response
function Flight:response()
  local response, used, seen
  local interim = {}
  self.app.clock:until_true(function()
    local count, ended = self.peer:count()
    if count == seen and not ended then
      return false
    end
    seen = count
    response, used = parse(self.peer:received(), self.method, ended)
    while response and response.status < 200 do
      interim[#interim + 1] = response
      self.peer:take(used)
      response, used = parse(self.peer:received(), self.method, ended)
    end
    return response or ended
  end, self.method .. " request")
  if not response then
    error("the server closed the connection without a complete answer", 2)
  end
  self.peer:take(used)
  response.interim = interim
  local _, ended = self.peer:count()
  response.closed = ended
  if not self.kept then
    self:done()
  end
  return response
end

--- Keeps the connection for further requests; without it the answer's end closes it.
function Flight:keep()
  self.kept = true
  return self
end

function Flight:done()
  forget(self.app, self.peer)
  self.peer:close(false)
end

return M
