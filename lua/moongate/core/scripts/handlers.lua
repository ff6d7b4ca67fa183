--- xpcall for app code. A coroutine that is made to fail, for it did not let go or wants too much
--- memory, fails inside a hook, where no other hook reaches the script's own handler: one that
--- never ends could not be ended. So it is not called then.
local native = require("moongate.native")

local M = {}

local xpcall, type = xpcall, type
local is_ended = native.is_ended

-- Handler -> what stands before it; made anew once nobody uses it.
local guards = setmetatable({}, { __mode = "kv" })

local function guard_of(handler)
  local guard = guards[handler]
  if not guard then
    guard = function(...)
      if is_ended() then
        return ...
      end
      return handler(...)
    end
    guards[handler] = guard
  end
  return guard
end

function M.xpcall(fn, handler, ...)
  return xpcall(fn, type(handler) == "function" and guard_of(handler) or handler, ...)
end

return M
