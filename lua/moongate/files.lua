--- Files, through the thread pool: ctx:read_file, and moongate.files for work without a request.
local native = require("moongate.native")
local Future = require("moongate.future")
local time = require("moongate.time")

local M = {}

local READ_MAX = 16 * 1024 * 1024

--- The project's folder, against which paths are; set when an app is served.
M.root = ""

---@param path string
---@return string
function M.resolve(path)
  if path:sub(1, 1) == "/" or M.root == "" then
    return path
  end
  return M.root .. "/" .. path
end

--- What ctx has: functions of (scope, level, ...).
M.calls = {}

--- A whole file's content.
---@param path string against the project's folder
---@param options table? max: largest size in bytes (default 16 MiB)
---@return moongate.Future of a string
function M.calls.read_file(scope, level, path, options)
  if type(path) ~= "string" then
    error("read_file: a path is wanted", level + 1)
  end
  Future._refuse_loading("read_file", level + 1)
  local max = options and options.max or READ_MAX
  return (time.operation(native.read_file(M.resolve(path), max), scope, level + 1))
end

for name, fn in pairs(M.calls) do
  M[name] = function(...)
    return (fn(Future._current_scope(), 2, ...))
  end
end

return M
