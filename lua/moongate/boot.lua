--- Loads an app and hands it to the server. What src/gate/generation.c calls.
local sched = require("moongate.core.sched")
local app_class = require("moongate.app")
local env = require("moongate.core.env")
local serve = require("moongate.serve")
local files = require("moongate.files")

local M = {}

-- The message of a failed load: "file:line: what", without a traceback.
local function describe(err)
  return type(err) == "table" and (err.message or tostring(err)) or tostring(err)
end

---@param root string the project's folder
---@param path string the script that returns the app
---@param options table? handler_seconds, read
---@return table? served
---@return string? message with file and line
function M.load(root, path, options)
  options = options or {}
  local loader = env.new(root, options.read)
  sched.loading = true
  local ok, app = pcall(loader.run, path)
  sched.loading = false
  if not ok then
    return nil, describe(app)
  end
  if not app_class.is(app) then
    return nil, path .. ": the script must return the app it made with moongate.app()"
  end
  local frozen_ok, frozen = pcall(app.freeze, app)
  if not frozen_ok then
    return nil, describe(frozen)
  end
  return serve.prepare(frozen, { root = root, handler_seconds = options.handler_seconds }), nil
end

--- Serves it; `ready(ok, message)` is called when its on_start functions are through.
function M.start(served, ready)
  files.root = served.folder
  serve.start(served, ready)
end

--- Ends it; `done()` is called when its on_stop functions are through.
function M.stop(served, done)
  serve.stop(served, done)
end

local function place_of(middleware)
  local fn = type(middleware) == "table" and getmetatable(middleware).__call or middleware
  local info = debug.getinfo(fn, "S")
  return info.short_src:gsub("^.*/lua/", "") .. ":" .. info.linedefined
end

local function row(route)
  local places = {}
  for i, middleware in ipairs(route.middleware) do
    places[i] = place_of(middleware)
  end
  return {
    table.concat(route.methods, ","), route.pattern, route.name or "-", route.where,
    table.concat(places, " "),
  }
end

--- The table of routes as text.
---@return string
function M.routes(served)
  local rows = { { "METHOD", "PATTERN", "NAME", "DECLARED AT", "MIDDLEWARE" } }
  for _, route in ipairs(served.app.routes) do
    rows[#rows + 1] = row(route)
  end
  local widths = { 0, 0, 0, 0, 0 }
  for _, cells in ipairs(rows) do
    for i, cell in ipairs(cells) do
      widths[i] = math.max(widths[i], #cell)
    end
  end
  local lines = {}
  for _, cells in ipairs(rows) do
    local line = {}
    for i, cell in ipairs(cells) do
      line[i] = cell .. (" "):rep(widths[i] - #cell)
    end
    lines[#lines + 1] = (table.concat(line, "  "):gsub("%s+$", ""))
  end
  return table.concat(lines, "\n") .. "\n"
end

return M
