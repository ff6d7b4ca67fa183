--- The routes of an app as a table for people.
local places = require("moongate.core.places")

local M = {}

--- "file:line" where a middleware or handler is declared: of a script against the project, of the
--- framework as it is required.
---@param fn function|table
---@return string
function M.place_of(fn)
  local place = places.declared(fn)
  local frame = places.FRAMEWORK:gsub("^@", "")
  if place:sub(1, #frame) == frame then
    return "moongate/" .. place:sub(#frame + 1)
  end
  return (place:gsub("^.*/lua/", ""))
end

--- One row for each route: methods, pattern, name, place, middleware.
---@param app table of app:freeze()
---@return string[][]
function M.rows(app)
  local rows = {}
  for i, route in ipairs(app.routes) do
    local middleware = {}
    for n, fn in ipairs(route.middleware) do
      middleware[n] = M.place_of(fn)
    end
    rows[i] = {
      table.concat(route.methods, ","), (route.host or "") .. route.pattern, route.name or "-",
      route.where, table.concat(middleware, " "),
    }
  end
  return rows
end

--- Rows under each other, in columns as wide as need be.
---@param rows string[][]
---@return string
function M.columns(rows)
  local widths = {}
  for _, cells in ipairs(rows) do
    for i, cell in ipairs(cells) do
      widths[i] = math.max(widths[i] or 0, #cell)
    end
  end
  local lines = {}
  for n, cells in ipairs(rows) do
    local line = {}
    for i, cell in ipairs(cells) do
      line[i] = cell .. (" "):rep(widths[i] - #cell)
    end
    lines[n] = table.concat(line, "  "):gsub("%s+$", "") .. "\n"
  end
  return table.concat(lines)
end

---@param app table of app:freeze()
---@return string
function M.text(app)
  local rows = M.rows(app)
  table.insert(rows, 1, { "METHOD", "PATTERN", "NAME", "DECLARED AT", "MIDDLEWARE" })
  return M.columns(rows)
end

return M
