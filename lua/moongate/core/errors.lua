--- Errors are tables: code, message, where, cause, traceback; tostring gives a line.
---
--- Codes of the runtime: timeout cancelled dns connect tls closed protocol database cache file
--- limit status reload. A script's own error("text") becomes code "error" when it crosses from one
--- coroutine to another.
local M = {}

local traceback = debug.traceback
local TRACEBACK_MAX = 16 * 1024

---@class moongate.Error
---@field code string
---@field message string
---@field status integer? the HTTP status, with code "status"
---@field details table? members added to the problem+json, with code "status"
---@field where string? "file:line" of whatever failed
---@field cause any what was raised below it
---@field traceback string? stitched over the coroutines that awaited each other
local Error = {}
Error.__index = Error
M.Error = Error

function Error:__tostring()
  local where = self.where and (self.where .. ": ") or ""
  return where .. self.message .. " (" .. self.code .. ")"
end

---@param code string
---@param message string
---@param fields table? further members: where, cause, status, details
---@return moongate.Error
function M.new(code, message, fields)
  local err = fields or {}
  err.code = code
  err.message = message
  return setmetatable(err, Error)
end

---@return boolean
function M.is(value)
  return type(value) == "table" and type(value.code) == "string"
end

--- What another coroutine gets to see of a raised value: a table as it is, anything else wrapped.
---@param value any
---@return table
function M.wrap(value)
  if type(value) == "table" then
    return value
  end
  local text = tostring(value)
  local where, message = text:match("^([^\n:]+:%d+): (.*)$")
  return M.new("error", message or text, { cause = value, where = where })
end

--- Whether somebody ended the work on purpose: nobody needs to be told of it.
---@param err table
---@return boolean
function M.is_cancellation(err)
  return err.code == "cancelled" or err.code == "reload"
end

--- Adds what the failed coroutine `co` looks like. An answer that a handler chose with ctx:fail and
--- a cancellation, which many coroutines share, need no traceback.
---@param err table
---@param co thread
function M.stitch(err, co)
  if getmetatable(err) ~= Error or err.code == "status" or M.is_cancellation(err) then
    return
  end
  local text = traceback(co)
  if err.traceback then
    text = err.traceback .. "\n-- awaited by --\n" .. text
  end
  if #text < TRACEBACK_MAX then
    err.traceback = text
  end
end

--- The text for a log: message and stitched traceback.
---@param err any
---@return string
function M.describe(err)
  if type(err) ~= "table" then
    return tostring(err)
  end
  local text = getmetatable(err) and tostring(err) or (err.message or err.code or "error object")
  if rawget(err, "traceback") then
    text = text .. "\n" .. err.traceback
  end
  return tostring(text)
end

return M
