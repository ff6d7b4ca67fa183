--- The environment of app code: reads see the standard globals, an accidental global is an error,
--- and calls that would harm or block the server are refused, naming the way that does not.
local check = require("moongate.core.check")
local coroutines = require("moongate.core.coroutines")
local guard = require("moongate.core.scripts.guard")
local handlers = require("moongate.core.scripts.handlers")
local missing = require("moongate.core.future.missing")
local modules = require("moongate.core.scripts.modules")
local places = require("moongate.core.places")
local template = require("moongate.template")
local suggest = require("moongate.core.suggest")
local log = require("moongate.log")

local M = {}

-- What code for several versions of Lua, or several hosts, asks for: nil is the answer it wants.
local PROBED = {
  _ENV = true, arg = true, bit32 = true, love = true, ngx = true, utf8 = true, vim = true,
  warn = true,
}

-- What examples of other frameworks, and halves of our own, have without saying from where.
local MEANT = {
  moongate = 'local moongate = require("moongate")',
  ctx = "a handler is given it: function(ctx) ... end",
}

local public = getfenv(0) -- not the framework's own: src/lua/home.h

local function new_globals(own)
  local env = {}
  own._G = env
  return setmetatable(env, {
    __index = function(_, key)
      local value = own[key]
      if value == nil then
        value = public[key]
      end
      if value == nil and not PROBED[key] then
        error("undefined global '" .. tostring(key) .. "'" .. suggest.for_name(key, own, public)
          .. ": " .. (MEANT[key] or "a local of that name does not reach here, or was never made"),
          2)
      end
      return value
    end,
    __newindex = function(_, key)
      error("accidental global '" .. tostring(key) .. "': declare it with 'local'", 2)
    end,
    -- What scripts may change without harm: modules for strictness look for one and write to it.
    __metatable = {},
  })
end

local open = io.open -- scripts get another one

local function read_disk(path)
  local file = open(path, "rb")
  if not file then
    return nil
  end
  local text = file:read("*a")
  file:close()
  return text
end

-- The functions that make code of text: what they make sees what the scripts see, and files of the
-- project come from where the scripts come from.
local function loaders(globals, full, read, display)
  local function given(chunk, err)
    return chunk and setfenv(chunk, globals), err
  end
  local function load_file(path, mode, ...)
    local text = type(path) == "string" and read(full(path))
    if text then
      return load(text, display(full(path)), mode, select("#", ...) > 0 and ... or globals)
    elseif select("#", ...) > 0 then
      return loadfile(path, mode, ...)
    end
    return given(loadfile(path, mode))
  end
  return {
    load = function(text, name, mode, ...)
      if select("#", ...) > 0 then
        return load(text, name, mode, ...)
      end
      return given(load(text, name, mode))
    end,
    loadstring = function(text, name)
      return given(loadstring(text, name))
    end,
    loadfile = load_file,
    dofile = function(path)
      local chunk, err = load_file(path)
      if not chunk then
        (err:find("^cannot ") and check.fail or error)(err, 0)
      end
      return chunk()
    end,
  }
end

--- A loader for one project. `read(path)` returns a file's text or nil; by default from the disk.
---@param root string the project's folder, "" for the current one
---@param read (fun(path: string): string?)?
function M.new(root, read)
  read = read or read_disk
  local prefix = M.prefix(root)
  local globals

  local function display(path)
    return "@" .. (path:sub(1, #prefix) == prefix and path:sub(#prefix + 1) or path)
  end

  local function full(path)
    return path:sub(1, 1) == "/" and path or prefix .. path
  end

  local function load_text(path, text, ...)
    local chunk, err = loadstring(text, display(path))
    if not chunk then
      error(err, 0)
    end
    return setfenv(chunk, globals)(...)
  end

  template._begin(function(path)
    local text = read(full(path))
    return text, display(full(path)):sub(2)
  end)
  local own = guard.overrides()
  places.know(own.io or public.io, "io")
  places.know(own.os or public.os, "os")
  own.pairs, own.ipairs = missing.refusing(pairs), missing.refusing(ipairs)
  own.coroutine, own.print = coroutines.library, log.print
  own.xpcall = handlers.xpcall
  own.require, own.package = modules.new(prefix, read, load_text)
  globals = new_globals(own)
  for name, fn in pairs(loaders(globals, full, read, display)) do
    own[name] = fn
  end

  return {
    globals = globals,
    --- Runs a script of the project; relative paths are against the root. Raises with file:line.
    run = function(path)
      path = full(path)
      local text = read(path)
      if not text then
        error(display(path):sub(2) .. ": the file cannot be read", 0)
      end
      return load_text(path, text)
    end,
  }
end

--- What the paths of a project begin with.
---@param root string its folder, "" for the current one
function M.prefix(root)
  return root == "" and "" or (root:gsub("/$", "") .. "/")
end

return M
