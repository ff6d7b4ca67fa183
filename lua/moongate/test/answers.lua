--- What stubs answer: values, Futures, functions, and makers such as test.never() that make a fresh
--- Future at each call.
local errors = require("moongate.core.errors")
local check = require("moongate.core.check")
local timers = require("moongate.core.timer")
local Future = require("moongate.future")

local M = {}

--- Whether whoever awaits a value has to wait, as for the real one: others go on meanwhile.
M.late = false

---@class moongate.test.Call what a maker gets
---@field scope table
---@field level integer of the caller's line, as error() counts in the maker
---@field args table what a function as the answer is called with
---@field shape function? makes of the spec's value what the real call gives

local Maker = {}
Maker.__index = Maker

-- `refusal`: see take_refusal.
local function maker(fn, refusal)
  return setmetatable({ make = fn, refusal = refusal or false }, Maker)
end

--- What functions say when they are called with these arguments.
function M.evaluate(answer, ...)
  while type(answer) == "function" do
    answer = answer(...)
  end
  return answer
end

local function evaluate(call, answer)
  return (M.evaluate(answer, unpack(call.args, 1, call.args.n)))
end

local function shaped(call, value)
  if call.shape then
    return call.shape(value)
  end
  return value
end

local function resolve_after(seconds, future, value)
  local timer = timers.after(seconds, function()
    future:resolve(value)
  end)
  future._cancel = function()
    timers.stop(timer)
  end
end

-- The call's Future: of what `answer` says.
local function future_of(call, answer, level)
  answer = evaluate(call, answer)
  if getmetatable(answer) == Maker then
    return (answer.make(call, level + 1))
  elseif getmetatable(answer) ~= Future then
    local value = shaped(call, answer) -- which may raise
    local future = Future._new(call.scope, level + 1)
    if M.late then
      resolve_after(0, future, value)
    else
      future:resolve(value)
    end
    return future
  elseif call.shape then
    return (answer:and_then(call.shape))
  end
  return answer
end

---@param level integer of the caller's line
---@return moongate.Future
function M.future(call, answer, level)
  return (future_of(call, answer, level + 1))
end

--- A Future that never settles by itself.
function M.never()
  return maker(function(call, level)
    return (Future._new(call.scope, level + 1))
  end)
end

--- `answer` after `seconds` of virtual time.
---@param seconds number
---@param answer any as for a stub
function M.after(seconds, answer)
  if type(seconds) ~= "number" or seconds < 0 then
    check.fail("test.after: seconds are wanted, a number of at least 0")
  end
  return maker(function(call, level)
    local future = Future._new(call.scope, level + 1)
    local timer = timers.after(seconds, function()
      local ok, inner = pcall(future_of, call, answer, 1)
      if ok then
        future:resolve(inner)
      else
        future:reject(inner)
      end
    end)
    future._cancel = function()
      timers.stop(timer)
    end
    return future
  end, function()
    local code, message, more = M.take_refusal(answer)
    return code, message, code and seconds + more
  end)
end

-- Faults of who has no connection yet.
local OF_CONNECTIONS = { dns = true, denied = true, connect = true, tls = true, timeout = true }

--- Rejected with an error of that code.
---@param code string
---@param message string?
function M.fail(code, message)
  check.string("test.fail: the code", code)
  message = message or "stubbed failure: " .. code
  return maker(function(call, level)
    local future = Future._new(call.scope, level + 1)
    local err = errors.new(code, message)
    err.where = future:_where()
    future:reject(err)
    return future
  end, OF_CONNECTIONS[code] and function()
    return code, message, 0
  end)
end

--- How a connection to a server with that answer fails, if it does: test.fail("connect"), late or
--- as the next of a sequence, which goes on behind it.
---@return string? code
---@return string? message
---@return number? seconds until it does
function M.take_refusal(answer)
  local refusal = getmetatable(answer) == Maker and answer.refusal
  if refusal then
    return refusal()
  end
end

--- One answer after the other, each for one call. A call beyond the last is refused: what is asked
--- more often than a spec says is a mistake of one of both.
---@param list table answers
function M.sequence(list)
  check.type("test.sequence", list, "table")
  local n, at = #list, 0
  if n == 0 then
    check.fail("test.sequence: at least one answer is wanted")
  end
  return maker(function(call, level)
    at = at + 1
    if at > n then
      error("the stub's sequence of " .. n .. (n == 1 and " answer" or " answers") .. " is used up",
        level + 1)
    end
    return (future_of(call, list[at], level + 1))
  end, function()
    local code, message, seconds = M.take_refusal(list[at + 1])
    at = code and at + 1 or at
    return code, message, seconds
  end)
end

return M
