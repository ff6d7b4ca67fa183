--- The project that specs belong to: the nearest folder above them that has conf/moongate.lua or
--- lua/app.lua. So specs find its modules and its app wherever they are run from.
local M = {}

local MARKS = { "conf/moongate.lua", "lua/app.lua" }
local APP = "lua/app.lua" -- unless the configuration names another one
local LEVELS = 40

--- The project's folder with a slash at its end; "" is the working directory. nil: none was found.
---@type string?
M.folder = nil

--- Whether there is a file of that path that can be read.
---@param path string
---@return boolean
function M.exists(path)
  local file = io.open(path, "r")
  if file then
    file:close()
  end
  return file ~= nil
end
local exists = M.exists

local function has_mark(folder)
  for _, mark in ipairs(MARKS) do
    if exists(folder .. mark) then
      return true
    end
  end
  return false
end

--- The project's folder above `path`, a file or folder as it is named; nil if there is none.
---@param path string
---@return string?
function M.find(path)
  local folder = path:gsub("/*$", "/"):gsub("^%./+", "")
  for _ = 1, LEVELS do
    if has_mark(folder) then
      return folder
    elseif folder == "" or folder:find("^%.%./") then
      folder = "../" .. folder
    elseif folder == "/" then
      return nil
    else
      folder = folder:gsub("[^/]*/$", "", 1)
    end
  end
end

-- The project's own modules come first, as they do in a server. (In Moongate's own tree they lie
-- beside the framework, which is found already.)
local function add_modules(folder)
  local places = folder .. "lua/?.lua;" .. folder .. "lua/?/init.lua;"
  if not package.path:find(places, 1, true) and not exists(folder .. "lua/moongate/init.lua") then
    package.path = places .. package.path
  end
end

--- Specs below `path` are about to run. The first project that is found counts.
---@param path string
function M.enter(path)
  M.folder = M.folder or M.find(path)
  if M.folder then
    add_modules(M.folder)
  end
end

-- What busted was told, or the spec that is being loaded.
local function spec_under_way()
  for level = 2, 60 do
    local info = debug.getinfo(level, "S")
    if not info then
      break
    end
    local path = info.source:match("^@(.*_spec%.lua)$")
    if path then
      return path
    end
  end
  return "."
end

--- Enters the project of the specs that `moongate test` was told of; where plain busted runs, of
--- the spec that asks.
function M.enter_here()
  local specs = package.loaded["moongate.specs"]
  M.enter(specs and specs.path or spec_under_way())
end

local function configuration_of(path)
  local native = require("moongate.native")
  local text, message = native.test_configuration(path)
  if not text then
    error(message, 0)
  end
  return native.json.decode(text)
end

local KEPT = { "limits", "timeouts", "trusted_proxies", "forwarded", "upstreams", "proxy" }

-- What of a configuration file holds in specs too: how requests are taken.
local function kept(configuration)
  local options = {}
  for _, name in ipairs(KEPT) do
    options[name] = configuration[name]
  end
  return options
end

--- The path of the project's app.
---@return string
function M.app()
  local folder = M.folder or require("moongate.core.check").fail("test.app: a script is wanted: "
    .. "no folder above the specs has conf/moongate.lua or lua/app.lua")
  local path = folder .. MARKS[1]
  return folder .. (exists(path) and configuration_of(path).app or APP)
end

--- What the project's configuration says of how requests are taken, as options of test.app.
---@param file string|true the configuration file; true: conf/moongate.lua
---@return table
function M.options(file)
  return kept(configuration_of((M.folder or "") .. (file == true and MARKS[1] or file)))
end

return M
