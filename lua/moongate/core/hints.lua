--- What Lua's own messages do not say. LuaJIT and functions of C know what they got, not what was
--- meant by it: whoever does adds to the message, once the coroutine has died of it.
local errors = require("moongate.core.errors")
local sched = require("moongate.core.sched")

local getlocal = debug.getlocal -- scripts get another one
local SLOTS = 250 -- of a frame

local M = {}

local hints = {}

--- Where `pattern` matches a message, `hint(co, ...)` is asked what to add to it, behind ": "; nil:
--- nothing. It is given the dead coroutine, whose innermost frame is there still, and the pattern's
--- captures.
---@param pattern string
---@param hint fun(co: thread, ...: string): string?
function M.add(pattern, hint)
  hints[#hints + 1] = { pattern = pattern, hint = hint }
end

--- The first value that the innermost frame of a dead coroutine has in hand and `is_it` takes.
---@param co thread
---@param is_it fun(value: any): boolean
---@return any
function M.held(co, is_it)
  for i = 1, SLOTS do
    local name, value = getlocal(co, 0, i)
    if not name then
      return nil
    elseif is_it(value) then
      return value
    end
  end
end

local function hint_for(message, co)
  for _, each in ipairs(hints) do
    if message:find(each.pattern) then
      local hint = each.hint(co, message:match(each.pattern))
      if hint then
        return hint
      end
    end
  end
end

function sched.explain(err, co)
  local message = errors.field(err, "message")
  local hint = type(message) == "string" and hint_for(message, co)
  if hint then
    err.message = message .. ": " .. hint
  end
end

return M
