--- The folder that a spec gives for what its app writes: { files = "tmp" }. A path of the project
--- is written below it instead, and what lies there is read before what the project has.
local answer = require("moongate.core.request.answer")
local files = require("moongate.files")
local project = require("moongate.test.project")

local M = {}

-- The calls that change files, and how many paths each takes.
local PATHS = {
  write_file = 1, delete_file = 1, delete_folder = 1, make_folder = 1, rename_file = 2,
}

local current -- the folder, without a slash at its end; nil: there is none
local resolve, resolve_in_app = files.resolve, answer.resolve

local function is_below(path)
  return path == current or path:sub(1, #current + 1) == current .. "/"
end

-- Where `path` lies in the folder, and whether that is another place than it names; nil: outside.
local function place(path)
  local whole = resolve(path)
  if ("/" .. path .. "/"):find("/../", 1, true) then
    return nil
  elseif is_below(whole) then
    return whole, false
  elseif path:sub(1, 1) ~= "/" then
    return current .. "/" .. path, true
  end
end

local function for_reading(path)
  if current then
    local inside, moved = place(path)
    return moved and project.exists(inside) and inside
  end
end

function files.resolve(path)
  return for_reading(path) or resolve(path)
end

function answer.resolve(ctx, path)
  return for_reading(path) or resolve_in_app(ctx, path)
end

--- The folder of the app from now on; nil: none.
---@param path string?
function M.install(path)
  current = path and path:gsub("/+$", "")
end

--- Whether the call of that name changes files, and there is no folder for that.
---@return boolean
function M.refuses(name)
  return PATHS[name] ~= nil and current == nil
end

local function for_writing(name, path, level)
  if type(path) ~= "string" or path == "" then
    return path -- the real call tells
  end
  local inside, moved = place(path)
  if not inside then
    error(("%s: %s lies outside of the spec's folder, %s"):format(name, path, current), level + 1)
  end
  return inside, moved
end

-- Those above a file that is moved are there in the project only.
local function with_folders(options)
  local all = { make_folders = true }
  for key, value in pairs(options or {}) do
    all[key] = value
  end
  return all
end

--- What the call of that name gets instead of these arguments.
---@param level integer of the caller's line
function M.arguments(name, level, first, second, ...)
  if not PATHS[name] then
    return first, second, ...
  end
  local path, moved = for_writing(name, first, level + 1)
  if name == "write_file" and moved then
    return path, second, with_folders((...))
  elseif PATHS[name] == 2 then
    second = for_writing(name, second, level + 1)
  end
  return path, second, ...
end

return M
