--- What servers of specs answer, as a spec says it and as bytes.
local native = require("moongate.native")
local check = require("moongate.core.check")
local text = require("moongate.core.text")

local M = {}

local function body(name, value)
  return type(value) == "function" and value or check.string(name, value)
end

local ANSWER = {
  status = check.positive_integer, headers = true, cookies = true, body = body, json = true,
}

-- Each line of the head, and the names in lower case of those that are there.
local function lines_of(fields, json)
  local lines, seen = {}, {}
  local function add(name, value)
    lines[#lines + 1] = name .. ": " .. text.shown(value)
    if lines[#lines]:find("[\r\n]") then
      check.fail("the stub's answer: a line break in the header field " .. name)
    end
  end
  for name, value in pairs(fields.headers or {}) do
    seen[name:lower()] = true
    for _, one in ipairs(type(value) == "table" and value or { value }) do
      add(name, one)
    end
  end
  for _, cookie in ipairs(fields.cookies or {}) do
    add("set-cookie", cookie)
  end
  if json and not seen["content-type"] then
    add("content-type", "application/json")
  end
  return lines, seen
end

--- Whether it is an answer itself, not a table of some by server.
---@return boolean
function M.is(value)
  if type(value) ~= "table" or getmetatable(value) then
    return value ~= nil
  end
  for key in pairs(ANSWER) do
    if value[key] ~= nil then
      return true
    end
  end
  return false
end

--- Checks a spec's answer: a string (the body of a 200), { status, headers, cookies, body or
--- json }, or a moongate.Response. A function as the body is called with `out` and writes pieces.
---@return table { status, body, lines, seen }
function M.new(answer)
  if type(answer) == "string" then
    answer = { body = answer }
  elseif type(answer) ~= "table" then
    check.fail("a stub of HTTP answers { status =, headers =, body = or json = } or a body, not "
      .. type(answer))
  end
  local fields = getmetatable(answer) and answer
    or check.options("the stub's answer", answer, ANSWER)
  local lines, seen = lines_of(fields, answer.json ~= nil)
  return {
    status = fields.status or 200, lines = lines, seen = seen,
    body = answer.json ~= nil and native.json.encode(answer.json) or fields.body or "",
  }
end

-- How the end of the body is told. Of one in pieces nobody knows how long it will be.
local function framing(response)
  local status, seen = response.status, response.seen
  if status == 204 or status == 304 or seen["content-length"] or seen["transfer-encoding"] then
    return nil
  elseif type(response.body) == "function" then
    return "transfer-encoding: chunked"
  end
  return "content-length: " .. #response.body
end

--- The bytes of its head, and of its body unless a function writes that.
---@param response table of M.new
---@param method string of the request
---@return string
function M.head(response, method)
  local status = response.status
  local lines = { ("HTTP/1.1 %d %s"):format(status, native.http.status_phrase(status)) }
  for i, line in ipairs(response.lines) do
    lines[i + 1] = line
  end
  lines[#lines + 1] = framing(response)
  local head = table.concat(lines, "\r\n") .. "\r\n\r\n"
  local bodyless = status == 204 or status == 304 or method == "HEAD"
  return head .. (not bodyless and type(response.body) == "string" and response.body or "")
end

local Out = {}
Out.__index = Out

--- A piece of the body.
function Out:write(data)
  local bytes, wrong = text.of(data)
  if not bytes then
    error("out:write: " .. wrong, 2)
  end
  if bytes ~= "" and not self.conn.over then
    self.conn.peer:send(self.chunked and ("%x\r\n%s\r\n"):format(#bytes, bytes) or bytes)
  end
  return self
end

--- Closes the connection in the middle of it.
function Out:close()
  self.conn.over = true
  self.conn.peer:close(false)
end

--- Has the body's function write it. In a coroutine.
---@param conn table { peer, over }
---@param response table of M.new
function M.write(conn, response)
  local chunked = framing(response) ~= nil
  response.body(setmetatable({ conn = conn, chunked = chunked }, Out))
  if chunked and not conn.over then
    conn.peer:send("0\r\n\r\n")
  end
end

return M
