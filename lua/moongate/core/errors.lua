--- Errors are tables: code, message, where, cause, traceback; tostring gives a line.
---
--- Codes of the runtime: timeout cancelled dns denied connect tls closed protocol database cache
--- redis file limit status reload memory. A script's own error("text") becomes code "error" when it
--- crosses from one coroutine to another.
---
--- What a script raised is data: nothing here calls any of it unprotected, and nothing here raises.
local native = require("moongate.native")
local places = require("moongate.core.places")
local text = require("moongate.core.text")

local M = {}

local traceback, getmetatable = places.traceback, debug.getmetatable
local rawget, rawset, match, sub = rawget, rawset, string.match, string.sub
local TRACEBACK_MAX = 16 * 1024
local CONTENT_MAX = 500

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

-- Whether it is of our own class: no other may say anything to a client.
local function is_own(value)
  return type(value) == "table" and getmetatable(value) == Error
end

--- What a table that was raised has under `name`; nil of anything else.
---@param err any
---@param name string
---@return any
function M.raw(err, name)
  if type(err) == "table" then
    return rawget(err, name)
  end
end

--- What an error of our own class has under `name`; nil of anything else.
---@param err any
---@param name string
---@return any
function M.field(err, name)
  if is_own(err) then
    return rawget(err, name)
  end
end
local field = M.field

--- The code of an error of our own class, nil of anything else.
---@param err any
---@return string?
function M.code(err)
  return field(err, "code")
end

-- A script may have put anything there.
local function plain(value)
  return (text.of(value))
end

local function own_text(err)
  local where, code = plain(rawget(err, "where")), plain(rawget(err, "code"))
  return (where and (where .. ": ") or "") .. (plain(rawget(err, "message")) or "no message")
    .. " (" .. (code or "error") .. ")"
end

Error.__tostring = own_text

--- tostring that cannot fail.
---@param value any
---@return string
function M.show(value)
  return is_own(value) and own_text(value) or text.shown(value)
end
local show = M.show

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
  return type(value) == "table" and type(rawget(value, "code")) == "string"
end

--- What another coroutine gets to see of a raised value: a table as it is, anything else wrapped.
---@param value any
---@return table
function M.wrap(value)
  if type(value) == "table" then
    return value
  end
  local said = show(value)
  local where, message = match(said, "^([^\n:]+:%d+): (.*)$")
  return M.new("error", message or said, { cause = value, where = where })
end

--- Whether somebody ended the work on purpose: nobody needs to be told of it.
---@param err any
---@return boolean
function M.is_cancellation(err)
  local code = field(err, "code")
  return code == "cancelled" or code == "reload"
end

local beside = setmetatable({}, { __mode = "k" }) -- tables of scripts -> { where, traceback }

local function is_framework_place(where)
  return where == nil or match(where, "lua/moongate/[^:]*:%d+$") ~= nil
end

-- LuaJIT does not know the line at which it raised by itself, once the coroutine is dead: the
-- message does.
local function with_line(trace, where)
  local file = where and match(where, "^(.*):%d+$")
  local start, stop = string.find(trace, "\n\t" .. (file or "") .. ":-1: ", 1, true)
  if not file or not start then
    return trace
  end
  return sub(trace, 1, start + 1) .. where .. sub(trace, stop - 1)
end

--- Adds what the failed coroutine `co` looks like, and the script's line if none is told. An answer
--- that a handler chose with ctx:fail and a cancellation, which many coroutines share, need no
--- traceback. What scripts threw stays as it is: it is noted beside it.
---@param err any
---@param co thread
function M.stitch(err, co)
  local code = field(err, "code")
  if type(err) ~= "table" or code == "status" or code == "memory" or M.is_cancellation(err) then
    return
  end
  local notes = err
  if not is_own(err) then
    notes = beside[err] or {}
    beside[err] = notes
  end
  local trace, place, called = traceback(co)
  trace = with_line(trace, plain(rawget(notes, "where")))
  local before = plain(rawget(notes, "traceback"))
  if before then
    trace = before .. "\n-- awaited by --\n" .. trace
  end
  if #trace < TRACEBACK_MAX then
    rawset(notes, "traceback", trace)
  end
  if place and is_framework_place(plain(rawget(notes, "where"))) then
    rawset(notes, "where", place)
  end
  local message = called and plain(rawget(notes, "message"))
  if message then -- Lua knows by what name the framework called
    message = message:gsub("^(bad argument #%d+ to )'[^']*'", "%1'" .. called .. "'")
    rawset(notes, "message", message)
  end
end

-- What a table holds, as JSON if that can say it.
local function content(err)
  if next(err) == nil then
    return ""
  end
  local ok, json = pcall(native.json.encode, err)
  if ok and #json <= CONTENT_MAX then
    return " " .. json
  end
  local names = {}
  for key in next, err do
    names[#names + 1] = show(key)
  end
  table.sort(names)
  return names[1] and (" with " .. sub(table.concat(names, ", "), 1, CONTENT_MAX)) or ""
end

--- A line for whatever was raised: a table without a text of its own is known by its message or
--- code, else by its content.
---@param err any
---@return string
function M.line(err)
  local meta = getmetatable(err)
  if type(err) ~= "table" or meta == Error or (meta and rawget(meta, "__tostring") ~= nil) then
    return show(err)
  end
  return plain(rawget(err, "message")) or plain(rawget(err, "code"))
    or "error object" .. content(err)
end

--- The stitched traceback, nil if there is none.
---@param err any
---@return string?
function M.traceback(err)
  local notes = type(err) == "table" and (beside[err] or err)
  return notes and plain(rawget(notes, "traceback")) or nil
end

--- The text for a log: message and stitched traceback.
---@param err any
---@return string
function M.describe(err)
  local notes, trace = type(err) == "table" and beside[err], M.traceback(err)
  local line = (notes and notes.where and (notes.where .. ": ") or "") .. M.line(err)
  return trace and (line .. "\n" .. trace) or line
end

return M
