--- A Future used as if it were its value: told at the place, with the call that made it.
---
--- Whatever a Future has not that is asked of one, or done to it, is a forgotten
--- await; the framework's own fields begin with an underscore, so that no name of a script's is
--- among them.
local native = require("moongate.native")
local hints = require("moongate.core.hints")
local places = require("moongate.core.places")
local settling = require("moongate.core.future.settle")
local suggest = require("moongate.core.suggest")
local text = require("moongate.core.text")

local Future = settling.Future
local getlocal = debug.getlocal -- scripts get another one
local UNDERSCORE = 95

local M = {}

-- Methods that a slip of the finger may have meant.
local MEANT = {
  await = true, try_await = true, and_then = true, catch = true, finally = true, timeout = true,
  cancel = true, resolve = true, reject = true,
}

-- Made in a script's last call, whose line left no frame.
local function is_placeless(future)
  return not future._source or future._source:find("lua/moongate/", 1, true) ~= nil
end

--- "a Future made at lua/app.lua:5 (read_file): :await() is missing".
---@param future moongate.Future
---@param fn function? a script's, that may have ended by making it
---@return string
function M.text(future, fn)
  local place = fn and is_placeless(future) and places.tail_place(fn, future._what) or nil
  return native.missing(future, place)
end

-- Raises at the line at `level`.
local function refuse_at(level, future, more)
  local place = is_placeless(future) and places.called_at(level + 1, future._what) or nil
  error(native.missing(future, place) .. (more or ""), level + 1)
end

---@return boolean
function M.is(value)
  return type(value) == "table" and getmetatable(value) == Future
end

-- Is it a field of the framework's?
local function is_own(key)
  return type(key) == "string" and key:byte() == UNDERSCORE
end

-- The one operand that is a Future, or the first.
local function refuse(a, b)
  refuse_at(2, M.is(a) and a or b)
end

--- A function like `fn` that refuses a Future: to go over one would find nothing.
function M.refusing(fn)
  return function(value)
    if getmetatable(value) == Future then
      refuse_at(2, value)
    end
    return fn(value)
  end
end

for _, name in ipairs({
  "concat", "lt", "le", "call", "add", "sub", "mul", "div", "mod", "pow", "unm", "len",
}) do
  Future["__" .. name] = refuse
end

-- Of one whose place was not noted, the line of whoever shows it is looked at: it is mostly there
-- that it was made.
function Future.__tostring(future)
  local level = is_placeless(future) and places.script_level(2)
  return native.missing(future, level and places.called_at(level, future._what) or nil)
end

local function refuse_field(future, key, level)
  local meant = type(key) == "string" and suggest.slip(key, MEANT)
  refuse_at(level + 1, future, meant and (" (or did you mean '" .. meant .. "'?)"))
end

-- Methods are found in the class as fast as may be, so what is not there is asked of the class, not
-- of the Future: that one lies in the frame of whoever asked.
Future.__index = Future

setmetatable(Future, {
  __index = function(_, key)
    if is_own(key) then
      return nil
    end
    local future = places.indexed(2, key, M.is)
    if future then
      refuse_field(future, key, 2)
    end
    error("moongate.Future has no '" .. tostring(key) .. "'" .. suggest.for_name(key, Future), 2)
  end,
})

-- What some Futures have is false of the others.
for _, name in ipairs({
  "_stand_in", "_toward", "_reaction", "_group", "_task", "_beside", "_died", "keep",
  "_uncancellable", "_operation", "_job", "_scarce", "_internal", "_path", "_limit",
}) do
  Future[name] = false
end

-- --- what Lua itself refuses, without a word of Futures ---

local function argument(co, n)
  local _, value = getlocal(co, 0, tonumber(n))
  return value
end

local function text_of(value)
  return M.is(value) and M.text(value) or nil
end

hints.add("^attempt to compare .*table", function(co)
  return text_of(hints.held(co, M.is))
end)
hints.add("^bad argument #(%d+) to .*got table%)$", function(co, n)
  return text_of(argument(co, n))
end)
hints.add("^invalid value %(table%) at index (%d+) in table for 'concat'$", function(co, n)
  local list = argument(co, 1)
  return text_of(type(list) == "table" and rawget(list, tonumber(n)))
end)

places.know(Future)
text.trust(Future)
native.bind_future(Future)

return M
