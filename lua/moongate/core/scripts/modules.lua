--- `require` and `package` of a project's scripts. What lies in the project is found where `read`
--- finds it, in the snapshot of a server; modules of the system are found as Lua does.
local boundary = require("moongate.core.boundary")
local public = getfenv(0) -- what the scripts have: src/lua/home.h
local package, require_system = public.package, public.require

local M = {}

local BLOCKING_MODULES = {
  ["socket"] = "ctx:http_request or another client of moongate",
  ["socket.http"] = "ctx:http_request",
  ["socket.core"] = "ctx:http_request",
  ["ssl"] = "ctx:http_request",
  ["ssl.https"] = "ctx:http_request",
}

local OWN = { "lua/?.lua", "lua/?/init.lua", "?.lua" }

-- A template of package.path as one of the project's folder, or nil if it leads out of it. What is
-- relative begins at the project, wherever the server was started.
local function inside(prefix, template)
  if template:sub(1, 1) ~= "/" then
    return (template:gsub("^%./", ""))
  elseif prefix ~= "" and template:sub(1, #prefix) == prefix then
    return template:sub(#prefix + 1)
  end
end

local function templates(prefix)
  local list = { unpack(OWN) }
  for template in package.path:gmatch("[^;]+") do
    list[#list + 1] = inside(prefix, template)
  end
  return list
end

-- What one project has of modules: { prefix, read, run, loaded, preload }.
local Project = {}
Project.__index = Project

function Project:find(name)
  local base = name:gsub("%.", "/")
  local tried = {}
  for _, template in ipairs(templates(self.prefix)) do
    local path = self.prefix .. template:gsub("?", base)
    local text = not tried[path] and self.read(path)
    tried[path] = true
    if text then
      return path, text
    end
  end
end

-- What loads the module, and what that is called with; nil: it is none of the project's.
function Project:loader_of(name)
  if rawget(self.preload, name) then
    return self.preload[name], name
  end
  local path, text = self:find(name)
  return path and self.run, path, text, name
end

-- A module may return its value, or leave it in package.loaded, as module() does.
local function value_of(name, loaded, returned, before)
  if returned ~= nil then
    return returned
  end
  local left = loaded[name]
  if left ~= nil and left ~= before then
    return left
  end
  return true
end

-- Its caller stands two levels above the script's line.
function Project:run_module(name, loader, ...)
  local loaded, before = self.loaded, package.loaded[name]
  boundary.enter("require", 3, loaded, name)
  local ok, value = pcall(loader, ...)
  boundary.leave()
  if not ok then
    loaded[name] = nil
    error(value, 0)
  end
  loaded[name] = value_of(name, loaded, value, before)
  return loaded[name]
end

local function check_name(name)
  if type(name) ~= "string" then
    error("require: a module's name is wanted", 3)
  elseif BLOCKING_MODULES[name] then
    error("module '" .. name .. "' blocks the loop: use " .. BLOCKING_MODULES[name], 3)
  end
end

local function is_framework(name)
  return name == "moongate" or name:match("^moongate%.")
end

-- What no script needs to know; a change in it would be every request's.
local function is_inside(name)
  return name == "moongate.native" or name:match("^moongate%.core%.") ~= nil
end

-- The server's own processes are apps too: core/acme/process.lua. `level` is that of the caller.
local function is_framework_at(level)
  return debug.getinfo(level + 1, "S").source:find("/moongate/core/", 1, true) ~= nil
end

---@param prefix string of the paths in the project: "" or ending in a slash
---@param read fun(path: string): string?
---@param run fun(path: string, text: string, name: string): any runs a module's text
---@return fun(name: string): any require
---@return table package
function M.new(prefix, read, run)
  local loaded = setmetatable({}, { __index = package.loaded })
  local preload = setmetatable({}, { __index = package.preload })
  local project = setmetatable({
    prefix = prefix, read = read, run = run, loaded = loaded, preload = preload,
  }, Project)

  local function require_project(name)
    if type(name) == "string" and rawget(loaded, name) ~= nil then
      return loaded[name]
    end
    check_name(name)
    if is_inside(name) and not is_framework_at(2) then
      error("module '" .. name .. "' belongs to the server: what scripts may use is in "
        .. 'require("moongate")', 2)
    elseif is_framework(name) then
      return require(name)
    end
    local loader, path, text, own = project:loader_of(name)
    if not loader then
      return require_system(name)
    elseif boundary.is_inside(loaded, name) then
      error("module '" .. name .. "' is required while it is loading (a circle of requires)", 2)
    end
    local value = project:run_module(name, loader, path, text, own)
    return value
  end

  return require_project, setmetatable({ loaded = loaded, preload = preload },
    { __index = package, __newindex = package })
end

-- As Lua's own, but for what lies in the project; where that is Moongate's own tree the framework
-- lies in it.
local function search_system(prefix, name)
  local list = {}
  for template in package.path:gmatch("[^;]+") do
    if is_framework(name) or not inside(prefix, template) then
      list[#list + 1] = template
    end
  end
  local path, tried = package.searchpath(name, table.concat(list, ";"))
  if not path then
    return tried
  end
  local chunk, err = loadfile(path)
  return chunk or error("error loading module '" .. name .. "' from file '" .. path .. "':\n\t"
    .. err, 0)
end

--- A state that serves one project alone: also modules of the system find nothing on the disk that
--- lies in the project.
function M.shut_out(prefix)
  local loaders = package.loaders
  loaders[#loaders - 2] = function(name) -- what looks in package.path, before the two for cpath
    return search_system(prefix, name)
  end
end

return M
