--- Functions of C that call scripts back: each takes some of the C stack, which ends where nobody
--- can say so. They are counted here, and one too many raises at the script's line.
---
--- What calls back with small frames (tostring, string.format, require) is not counted: the Lua
--- stack of a coroutine ends before the room that is left for them.
local native = require("moongate.native")
local check = require("moongate.core.check")
local boundary = require("moongate.core.boundary")

local M = {}

local deeper = native.deeper

--- To be called right before `name` calls back.
---@param name string
function M.enter(name)
  local depth = deeper()
  if depth then
    check.fail("stack overflow: " .. name .. " lies " .. depth .. " levels deep in functions of C "
      .. "that call scripts (string.gsub, table.sort, coroutines, load): write the recursion "
      .. "without them")
  end
end
local enter = M.enter

-- A tail call: the function's own errors still name the script's line and the function.
local function counted(name, fn)
  boundary.name(fn, name)
  return function(...)
    enter(name)
    return fn(...)
  end
end

local function counted_wrap(wrap)
  return function(fn)
    local wrapped = wrap(fn)
    return function(...)
      enter("coroutine.wrap")
      return wrapped(...)
    end
  end
end

-- Modules may be loaded anew in the same state, whose functions were replaced already.
local registry = debug.getregistry()
local REAL = registry["moongate.depth"] or {
  gsub = string.gsub, sort = table.sort, load = load,
  resume = coroutine.resume, wrap = coroutine.wrap,
}
registry["moongate.depth"] = REAL

local public = getfenv(0) -- what the scripts have: src/lua/home.h

for _, globals in ipairs({ _G, public }) do
  globals.string.gsub = counted("string.gsub", REAL.gsub)
  globals.table.sort = counted("table.sort", REAL.sort)
  globals.load = counted("load", REAL.load)
end

--- In a state that serves: coroutines that scripts get at by other ways than their environment.
function M.install()
  public.coroutine.resume = counted("coroutine.resume", REAL.resume)
  public.coroutine.wrap = counted_wrap(REAL.wrap)
end

return M
