--- The environment of app code: reads see the standard globals, an accidental global is an error,
--- and calls that would block the loop are refused in handlers, naming the way that does not.
local sched = require("moongate.core.sched")
local coroutines = require("moongate.core.coroutines")
local boundary = require("moongate.core.boundary")
local log = require("moongate.log")

local M = {}

local BLOCKING_MODULES = {
  ["socket"] = "ctx:http_request or another client of moongate",
  ["socket.http"] = "ctx:http_request",
  ["socket.core"] = "ctx:http_request",
  ["ssl"] = "ctx:http_request",
  ["ssl.https"] = "ctx:http_request",
}

local function refused_in_handlers(library, name, instead)
  local fn = library[name]
  return function(...)
    if sched.current then
      error(instead, 2)
    end
    return fn(...)
  end
end

local function guarded(library, refusals)
  local copy = setmetatable({}, { __index = library })
  for name, instead in pairs(refusals) do
    copy[name] = refused_in_handlers(library, name, instead)
  end
  return copy
end

local STOPS = " would stop every request of this worker: "
local BEHIND_HTTP = "put the work behind an HTTP service and await ctx:http_request"

-- What replaces globals in app code.
local function overrides(require_fn)
  return {
    coroutine = coroutines.library,
    print = log.print,
    require = require_fn,
    os = guarded(os, {
      execute = "os.execute" .. STOPS .. BEHIND_HTTP,
      exit = "os.exit would end the server: raise an error, or answer with ctx:fail",
    }),
    io = guarded(io, {
      popen = "io.popen" .. STOPS .. BEHIND_HTTP,
      read = "io.read" .. STOPS .. "await ctx:read_file(path)",
    }),
  }
end

local function new_globals(require_fn)
  local own = overrides(require_fn)
  local env = {}
  own._G = env
  return setmetatable(env, {
    __index = function(_, key)
      local value = own[key]
      if value == nil then
        value = _G[key]
      end
      return value
    end,
    __newindex = function(_, key)
      error("accidental global '" .. tostring(key) .. "': declare it with 'local'", 2)
    end,
  })
end

local function read_disk(path)
  local file = io.open(path, "rb")
  if not file then
    return nil
  end
  local text = file:read("*a")
  file:close()
  return text
end

--- A loader for one project. `read(path)` returns a file's text or nil; by default from the disk.
---@param root string the project's folder, "" for the current one
---@param read (fun(path: string): string?)?
function M.new(root, read)
  read = read or read_disk
  local prefix = root == "" and "" or (root:gsub("/$", "") .. "/")
  local loaded, loading = {}, {}
  local globals

  local function display(path)
    return "@" .. (path:sub(1, #prefix) == prefix and path:sub(#prefix + 1) or path)
  end

  local function load_text(path, text, ...)
    local chunk, err = loadstring(text, display(path))
    if not chunk then
      error(err, 0)
    end
    return setfenv(chunk, globals)(...)
  end

  local function find(name)
    local base = name:gsub("%.", "/")
    for _, template in ipairs({ "lua/?.lua", "lua/?/init.lua", "?.lua" }) do
      local path = prefix .. template:gsub("?", base)
      local text = read(path)
      if text then
        return path, text
      end
    end
  end

  local function require_project(name)
    if type(name) ~= "string" then
      error("require: a module's name is wanted", 2)
    end
    if loaded[name] ~= nil then
      return loaded[name]
    end
    if name:match("^moongate$") or name:match("^moongate%.") then
      return require(name)
    end
    if BLOCKING_MODULES[name] then
      error("module '" .. name .. "' blocks the loop: use " .. BLOCKING_MODULES[name], 2)
    end
    local path, text = find(name)
    if not path then
      return require(name)
    end
    if loading[name] then
      error("module '" .. name .. "' is required while it is loading (a circle of requires)", 2)
    end
    loading[name] = true
    boundary.enter("require", 2)
    local ok, value = pcall(load_text, path, text, name)
    boundary.leave()
    loading[name] = nil
    if not ok then
      error(value, 0)
    end
    loaded[name] = value == nil and true or value
    return loaded[name]
  end

  globals = new_globals(require_project)

  return {
    globals = globals,
    --- Runs a script of the project; relative paths are against the root. Raises with file:line.
    run = function(path)
      if path:sub(1, 1) ~= "/" then
        path = prefix .. path
      end
      local text = read(path)
      if not text then
        error(display(path):sub(2) .. ": the file cannot be read", 0)
      end
      return load_text(path, text)
    end,
  }
end

return M
