--- What a call to another server answers: moongate.Response.
local native = require("moongate.native")
local sched = require("moongate.core.sched")
local errors = require("moongate.core.errors")
local headers_of = require("moongate.core.headers")
local text = require("moongate.core.text")
local Future = require("moongate.future")
local json = require("moongate.json")
local time = require("moongate.time")

local M = {}

---@class moongate.Response
---@field status integer
---@field headers table<string, string> looked up without regard to case; repeated ones joined
---@field cookies string[]? the Set-Cookie fields
---@field body string nil of a streamed response
---@field url string of the last redirect
---@field redirects integer
---@field version "2.0"|"1.1"|"1.0"
local Response = {}
Response.__index = Response

--- Whether the status is 200 to 299.
function Response:ok()
  return self.status >= 200 and self.status < 300
end

local LEVELS = { max_depth = 100 } -- fewer than encode writes: an answer may wrap the value

--- The body as JSON, of at most 100 levels; raises code `protocol` if it is none.
function Response:json()
  local value, err = json.decode(self.body or "", LEVELS)
  if value == nil and err then
    error(errors.new("protocol", (self.url or "the response") .. ": the body is not JSON: " .. err),
      2)
  end
  return value
end

-- --- in pieces ---

-- A stream ends with the coroutine that reads it; until one does, with the one that awaited it.
local function keep_for_reader(response)
  local task = sched.current
  if response._task ~= task and task then
    if response._task then
      sched.release(response._task, response._holder)
    end
    sched.hold(task, response._holder)
    response._task = task
  end
end

local function next_piece(response)
  local stream = response._stream
  if not stream then
    local body = response.body
    response._taken = true
    return body
  end
  keep_for_reader(response)
  local handle, why = native.http_read(stream)
  if not handle then
    Future._raise(errors.new(why == "busy" and "protocol" or "closed",
      why == "busy" and "somebody else is reading this response" or "the response is over"))
  end
  local piece = time.operation(handle, Future._current_scope(), 3):await()
  if piece == nil then
    response:close()
  end
  return piece
end

--- The body as it comes: for piece in response:chunks() do ... end
function Response:chunks()
  return function()
    if self._taken then
      return nil
    end
    local piece = next_piece(self) -- no tail call: errors name the line that is two levels up
    return piece
  end
end

--- Ends a streamed response; what has not come yet is not waited for.
function Response:close()
  self._taken = true
  local stream = self._stream
  if stream then
    self._stream = nil
    if self._task then
      sched.release(self._task, self._holder)
    end
    self._holder:cancel("the response was closed")
  end
end

-- --- made ---

--- Makes a response of what C gives.
---@param url string that it came from
---@param redirects integer that were followed
---@return moongate.Response
function M.adopt(response, url, redirects)
  headers_of.any_case(response.headers)
  response.url, response.redirects = url, redirects
  return setmetatable(response, Response)
end

local function value_of_field(value)
  if type(value) ~= "table" then
    return text.shown(value)
  end
  local parts = {}
  for i, part in ipairs(value) do
    parts[i] = text.shown(part)
  end
  return table.concat(parts, ", ")
end

--- A response made by hand, for specs.
---@param fields table status, headers, body, url
---@return moongate.Response
function M.made(fields)
  local headers = {}
  for name, value in pairs(fields.headers or {}) do
    headers[name:lower()] = value_of_field(value)
  end
  local response = {
    status = fields.status or 200, headers = headers, body = fields.body or "", version = "1.1",
    cookies = fields.cookies,
  }
  return M.adopt(response, fields.url, fields.redirects or 0)
end

return M
