--- What scripts may not do to the process that they share with every request: end it, change it as
--- a whole, wait where nobody else can go on, or take away what watches over them.
---
--- Each refusal raises at the script's own line and names the way that does not. The table below is
--- the whole list; README.md tells it to those who write scripts.
local check = require("moongate.core.check")
local places = require("moongate.core.places")
local scopes = require("moongate.core.scope")
local sched = require("moongate.core.sched")

local M = {}

local STOPS = " would stop every request of this worker: "

local getinfo = debug.getinfo

local function refused(text)
  return function()
    check.fail(text)
  end
end

-- Whoever loads scripts may wait: no request does.
local function while_loading(fn, text)
  return function(...)
    if not sched.loading then
      check.fail(text)
    end
    return fn(...)
  end
end

-- What the disk keeps waiting keeps every request waiting.
local function outside_of_handlers(fn, name, instead)
  return function(...)
    local task = sched.current
    if task and scopes.is_request(task.scope) then
      check.fail(name .. STOPS .. instead)
    end
    return fn(...)
  end
end

-- --- the libraries ---

local FILES = "await ctx:read_file(path) or ctx:write_file(path, data), or read it while the app "
  .. "loads"
local PIECES = "for piece in ctx:file_chunks(path) do ... end"
local BEHIND_HTTP = "put the work behind an HTTP service and await ctx:http_request"

local function os_refusals(library)
  local setlocale = library.setlocale
  return {
    exit = refused("os.exit would end the server: raise an error, or answer with ctx:fail"),
    execute = while_loading(library.execute, "os.execute" .. STOPS .. BEHIND_HTTP),
    remove = outside_of_handlers(library.remove, "os.remove", "await ctx:delete_file(path)"),
    rename = outside_of_handlers(library.rename, "os.rename", "await ctx:rename_file(from, to)"),
    tmpname = outside_of_handlers(library.tmpname, "os.tmpname",
      "name a file by moongate.uuid() and await ctx:write_file(path, data)"),
    setlocale = function(locale, category)
      if locale ~= nil then
        check.fail("os.setlocale would change how the whole server writes numbers: format them "
          .. "yourself")
      end
      return setlocale(locale, category)
    end,
  }
end

local function io_refusals(library)
  return {
    open = outside_of_handlers(library.open, "io.open", FILES),
    lines = outside_of_handlers(library.lines, "io.lines", PIECES),
    input = outside_of_handlers(library.input, "io.input", FILES),
    output = outside_of_handlers(library.output, "io.output", FILES),
    tmpfile = outside_of_handlers(library.tmpfile, "io.tmpfile", FILES),
    popen = while_loading(library.popen, "io.popen" .. STOPS .. BEHIND_HTTP),
    read = while_loading(library.read, "io.read" .. STOPS .. "await ctx:read_file(path)"),
  }
end

-- A function of C or of the framework: what it keeps is not the script's.
local function is_foreign(fn)
  local info = type(fn) == "function" and getinfo(fn, "S")
  return info and (info.what == "C" or places.is_framework(info.source))
end

-- The function that runs at `level` of the caller's caller, nil if there is none.
local function function_at(level, thread)
  local info = thread and getinfo(thread, level, "f") or not thread and getinfo(level + 2, "f")
  return info and info.func
end

local function check_own(what, fn)
  if is_foreign(fn) then
    check.fail(what .. ": this function belongs to the server, not to a script")
  end
end

-- Of a stack: `...` is [thread,] level, ... as for debug.getlocal.
local function on_stack(what, fn)
  return function(thread, level, ...)
    if type(thread) == "thread" then
      check_own(what, type(level) == "number" and function_at(level, thread))
      return fn(thread, level, ...)
    end
    local own = type(thread) == "number"
    check_own(what, own and function_at(thread) or not own and thread)
    local a, b = fn(own and thread + 1 or thread, level, ...) -- no tail call: it would lose a level
    return a, b
  end
end

local function on_function(what, fn)
  return function(target, ...)
    check_own(what, target)
    return fn(target, ...)
  end
end

local public = getfenv(0) -- what the scripts have; _G is the framework's: src/lua/home.h

-- The environment of what belongs to the server is not a script's.
local function get_env(real)
  local own = _G
  return function(target)
    target = target == nil and 1 or target
    local level = type(target) == "number" and target > 0
    local env = real(level and target + 1 or target) -- no tail call, as above
    return env == own and public or env
  end
end

local OWN_METATABLE = { table = true, userdata = true }

local function debug_refusals(library)
  local join, setmetatable = library.upvaluejoin, library.setmetatable
  return {
    sethook = refused("debug.sethook would switch off the guards against endless loops"),
    getregistry = refused("debug.getregistry: nothing in it belongs to a script"),
    debug = refused("debug.debug would wait for a terminal that the server does not have"),
    getlocal = on_stack("debug.getlocal", library.getlocal),
    setlocal = on_stack("debug.setlocal", library.setlocal),
    getupvalue = on_function("debug.getupvalue", library.getupvalue),
    setupvalue = on_function("debug.setupvalue", library.setupvalue),
    setfenv = on_function("debug.setfenv", library.setfenv),
    getfenv = get_env(library.getfenv),
    upvaluejoin = function(fn, n, other, m)
      check_own("debug.upvaluejoin", fn)
      check_own("debug.upvaluejoin", other)
      return join(fn, n, other, m)
    end,
    setmetatable = function(value, metatable)
      if not OWN_METATABLE[type(value)] then
        check.fail("debug.setmetatable: every " .. type(value)
          .. " of the server would change: only tables and userdata have one of their own")
      end
      return setmetatable(value, metatable)
    end,
  }
end

local function jit_refusals(library)
  local on = library.on
  return {
    on = function(...)
      if select("#", ...) > 0 or not sched.loading then
        return on(...)
      end
      -- Loading is interpreted, so that it can be ended; code is compiled once the app serves.
    end,
  }
end

local LIBRARIES = { os = os_refusals, io = io_refusals, debug = debug_refusals, jit = jit_refusals }

local function global_refusals(globals)
  local collectgarbage, setfenv = globals.collectgarbage, globals.setfenv
  return {
    collectgarbage = function(what, ...)
      if what == "stop" then
        check.fail('collectgarbage("stop") would let memory grow until requests are refused: '
          .. 'collectgarbage("setpause", n) is allowed')
      end
      return collectgarbage(what, ...)
    end,
    setfenv = function(target, env)
      if target == 0 then
        check.fail("setfenv(0) would change a coroutine that other requests go on with: "
          .. "give the function its environment")
      end
      local level = type(target) == "number"
      check_own("setfenv", level and function_at(target) or not level and target)
      local fn = setfenv(level and target + 1 or target, env) -- no tail call, as above
      return fn
    end,
    getfenv = get_env(globals.getfenv),
  }
end

local installed = false

--- What stands for the libraries in the globals of scripts.
---@return table<string, table|function>
function M.overrides()
  if installed then
    return {} -- the real ones will do
  end
  local list = global_refusals(_G)
  for name, refusals in pairs(LIBRARIES) do
    local copy = {}
    for key, value in pairs(_G[name]) do
      copy[key] = value
    end
    for key, fn in pairs(refusals(_G[name])) do
      copy[key] = fn
    end
    list[name] = copy
  end
  return list
end

-- --- a state that serves ---

local PROFILER = "the profiler is used to notice stalls"
local FFI = "ffi reaches past every guard, and a mistake in it ends the whole worker: it is given "
  .. "to scripts if the configuration says ffi = true"
local LOADLIB = "package.loadlib reaches whatever a library of C can do: require it as a module, "
  .. "or let the configuration say ffi = true"

local function replace(library, functions)
  for key, fn in pairs(functions) do
    library[key] = fn
  end
end

--- Once the framework itself has what it needs: the real libraries refuse too, by whatever way a
--- script gets at them. Not for specs, whose runner needs them.
---@param allow_ffi boolean
function M.install(allow_ffi)
  installed = true
  for name, refusals in pairs(LIBRARIES) do
    replace(public[name], refusals(public[name]))
  end
  replace(public, global_refusals(public))
  replace(require("jit.profile"), { start = refused(PROFILER), stop = function() end })
  if not allow_ffi then
    package.loaded.ffi = nil
    package.preload.ffi = refused(FFI)
    replace(public.package, { loadlib = refused(LOADLIB) })
  end
end

return M
