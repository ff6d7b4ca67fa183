--- Finalizers of scripts: the functions under __gc of a proxy or given to ffi.
---
--- The collector calls them in the middle of anything, with hooks asleep, and LuaJIT raises their
--- errors out of whatever made it collect. So what is registered here only writes the object down;
--- the finalizer itself runs behind, as a task of its own: protected, watched and logged like any
--- other code of a script. collectgarbage() runs at once those that it has found.
local native = require("moongate.native")
local sched = require("moongate.core.sched")
local errors = require("moongate.core.errors")
local strings = require("moongate.core.scripts.strings")
local Future = require("moongate.future")
local log = require("moongate.log")

local M = {}

local IN_A_TURN = 1000 -- finalizers before the loop may look at its sockets again

local getmetatable, setmetatable, getinfo = debug.getmetatable, setmetatable, debug.getinfo
local pcall, rawget, rawset, type = pcall, rawget, rawset, type
local finalize, turn_soon = native.finalize, native.turn_soon

-- Modules may be loaded anew in the same state, whose functions were replaced already.
local registry = debug.getregistry()
local REAL = registry["moongate.finalizers"] or {
  newproxy = newproxy, collectgarbage = collectgarbage,
  debug_setmetatable = debug.setmetatable, debug_getmetatable = debug.getmetatable,
}
registry["moongate.finalizers"] = REAL

local functions, objects, first, last = {}, {}, 1, 0 -- what the collector has found
local live = setmetatable({}, { __mode = "k" }) -- object -> its finalizer, for M.close
local closed = false -- the state is about to be closed, and all is done

-- --- running ---

local function tell(fn, err)
  local info = type(fn) == "function" and getinfo(fn, "S")
  local where = info and (info.source:gsub("^@", "") .. ":" .. info.linedefined) or type(fn)
  log.failure("the finalizer at " .. where .. " failed", errors.wrap(err))
end

local function take()
  local fn, object = functions[first], objects[first]
  functions[first], objects[first] = nil, nil
  first = first + 1
  live[object] = nil
  return fn, object
end

local running -- the finalizer that runs

-- Through C, which no await can cross.
local function run_some(most)
  while first <= last and most > 0 do
    local fn, object = take()
    running, most = fn, most - 1
    local ok, err = pcall(finalize, fn, object)
    if not ok then
      pcall(tell, fn, err) -- there is no log any more once the state is closed
    end
  end
end

local start

-- Once the loop has looked at its sockets.
local function go_on()
  if first <= last then
    sched.collected = start
    turn_soon()
  end
end

local function run()
  run_some(IN_A_TURN)
  go_on()
end

-- It was made to end; the others are not to blame.
local function failed(_, err)
  tell(running, err)
  go_on()
end

function start()
  sched.start_soon(Future._current_root(), run, failed)
end

-- --- in the collector ---

local function note(fn, object)
  turn_soon() -- raises once the scripts are severed from the loop
  last = last + 1
  functions[last], objects[last] = fn, object
  sched.collected = start
end

local function deferred(fn)
  return function(object)
    if (closed and live[object]) or pcall(note, fn, object) then
      return
    end
    pcall(fn, object)
  end
end

-- --- what scripts get at ---

local facades = setmetatable({}, { __mode = "k" }) -- metatable of userdata -> what stands for it
local behind = setmetatable({}, { __mode = "k" }) -- the other way round

-- What scripts get for a userdata's metatable: a finalizer that they put there is deferred.
local function facade_of(meta)
  local facade = facades[meta]
  if facade then
    return facade
  end
  local given = rawget(meta, "__gc")
  facade = setmetatable({}, {
    __index = function(_, key)
      if key == "__gc" then
        return given
      end
      return rawget(meta, key)
    end,
    __newindex = function(_, key, value)
      if key == "__gc" then
        given = value
        value = value ~= nil and deferred(value) or nil
      end
      rawset(meta, key, value)
    end,
  })
  facades[meta], behind[facade] = facade, meta
  if rawget(meta, "__metatable") == nil then
    rawset(meta, "__metatable", facade)
  end
  return facade
end

local function proxy(like)
  local object = REAL.newproxy(like)
  local meta = getmetatable(object)
  if meta then
    facade_of(meta)
    live[object] = true
  end
  return object
end

local function set_metatable(value, meta)
  if type(value) == "userdata" and type(meta) == "table" then
    meta = behind[meta] or meta
    if not facades[meta] then
      local finalizer = rawget(meta, "__gc")
      facade_of(meta).__gc = finalizer
    end
  end
  return REAL.debug_setmetatable(value, meta)
end

local function get_metatable(value)
  if type(value) == "string" and strings.facade() then
    return strings.facade()
  end
  local meta = REAL.debug_getmetatable(value)
  return facades[meta] or meta
end

local function collect(what, ...)
  if what ~= nil and what ~= "collect" and what ~= "step" then
    return REAL.collectgarbage(what, ...)
  end
  local result = REAL.collectgarbage(what, ...)
  run_some(math.huge)
  return result
end

local function is_plain(finalizer)
  return finalizer == nil or type(finalizer) == "cdata" -- of C: it raises nothing
end

local function guard_ffi(ffi)
  REAL.ffi_gc, REAL.ffi_metatype = REAL.ffi_gc or ffi.gc, REAL.ffi_metatype or ffi.metatype
  ffi.gc = function(object, finalizer)
    return REAL.ffi_gc(object, is_plain(finalizer) and finalizer or deferred(finalizer))
  end
  ffi.metatype = function(kind, meta)
    if type(meta) == "table" and not is_plain(rawget(meta, "__gc")) then
      local copy = {}
      for key, value in next, meta do
        copy[key] = value
      end
      copy.__gc = deferred(meta.__gc)
      meta = copy
    end
    return REAL.ffi_metatype(kind, meta)
  end
end

-- --- the end ---

--- Before the state is closed, when nobody may take long any more: runs what is left.
function M.close()
  closed = true
  run_some(math.huge)
  for object in next, live do
    local finalizer = facade_of(getmetatable(object)).__gc
    if finalizer ~= nil then
      pcall(finalize, finalizer, object)
    end
  end
end

local public = getfenv(0) -- what the scripts have: src/lua/home.h
public.newproxy, public.collectgarbage = proxy, collect
public.debug.setmetatable, public.debug.getmetatable = set_metatable, get_metatable
facade_of(getmetatable(io.stdout))
guard_ffi(require("ffi"))

return M
