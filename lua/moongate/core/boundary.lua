--- Names the function that an await cannot cross.
local native = require("moongate.native")
local sched = require("moongate.core.sched")

local M = {}

-- Who has barriers: the task that runs, so that they go with it however it ends; else this.
local no_task = { barrier = false }

-- LuaJIT yields across these, so they are never what stands in the way.
local CROSSED = { [pcall] = true, [xpcall] = true, [coroutine.resume] = true }

-- "string.gsub" says more than what the caller happens to call it.
local function library_names()
  local names = {}
  for _, library in ipairs({ "string", "table", "coroutine", "debug", "io", "os", "package" }) do
    for name, fn in pairs(_G[library]) do
      if type(fn) == "function" then
        names[fn] = library .. "." .. name
      end
    end
  end
  for name, fn in pairs(_G) do
    if type(fn) == "function" then
      names[fn] = name
    end
  end
  names[native.finalize] = "__gc"
  return names
end

local NAMES = library_names()

--- The name of a function of C that scripts know by a wrapper.
function M.name(fn, name)
  NAMES[fn] = name
end

local function info_at(co, level)
  if co then
    return debug.getinfo(co, level, "Slf")
  end
  local info = debug.getinfo(level + 2, "Slf") -- this function and M.find come first
  return info
end

--- What stands between `await` and its coroutine: a C function and the line that called it, or nil
--- if none is on the stack, as in a finalizer.
---@param level integer the stack level of the caller of await
---@param co thread? look through this coroutine instead of the running one
---@return string? name, string? where
function M.find(level, co)
  local name
  for i = level, level + 200 do
    local info = info_at(co, i)
    if not info then
      break
    end
    if name == "__gc" then
      return name
    elseif name and info.what ~= "C" then
      return name, info.source:gsub("^@", "") .. ":" .. info.currentline
    elseif info.what == "C" and not name and not CROSSED[info.func] then
      name = NAMES[info.func] or "a C function"
    end
  end
  return name
end

--- Until M.leave no await may cross the running function, as if it were one of C: a second caller
--- would find its work half done.
---@param name string
---@param level integer? the stack level of the line that called it
---@param owner table? whose `what` it works at, for M.is_inside
---@param what any?
function M.enter(name, level, owner, what)
  local where
  if level then
    local source, line = native.where(level + 1)
    where = (source or "?") .. ":" .. (line or 0)
  end
  local holder = sched.current or no_task
  holder.barrier = {
    name = name, where = where, owner = owner, what = what, outer = holder.barrier,
  }
end

function M.leave()
  local holder = sched.current or no_task
  holder.barrier = holder.barrier.outer
end

--- The name of such a function that is running, and the line that called it; nil if none is.
function M.entered()
  local barrier = (sched.current or no_task).barrier
  if barrier then
    return barrier.name, barrier.where
  end
end

--- Is such a function, which works at this, on the stack of whoever calls?
---@return boolean
function M.is_inside(owner, what)
  local barrier = (sched.current or no_task).barrier
  while barrier and not (barrier.owner == owner and barrier.what == what) do
    barrier = barrier.outer
  end
  return barrier ~= false
end

return M
