--- What apps have logged as faults, printed when a spec fails: why it failed stands there more
--- often than in what it asserts. On standard error, so that formats for machines stay whole.
local M = {}

local MOST = 20 -- faults of one spec

local faults = {}

--- Keeps a line of an app's log if it tells of a fault.
---@param level string
---@param message string
function M.note(level, message)
  if level == "error" or level == "warn" then
    faults[#faults + 1] = level .. ": " .. message
  end
end

local function full_name(element, parent)
  local busted = package.loaded["busted"]
  local names = { element.name }
  while parent and parent.descriptor == "describe" do
    table.insert(names, 1, parent.name)
    parent = busted.parent(parent)
  end
  return table.concat(names, " ")
end

--- The faults since the last call, as text for people.
---@param name string of the spec
---@return string? nil: there were none
function M.take(name)
  local list = faults
  faults = {}
  if not list[1] then
    return nil
  end
  local lines = { "\nLogged in: " .. name }
  for i = 1, math.min(#list, MOST) do
    lines[#lines + 1] = "  " .. list[i]:gsub("\n", "\n  ")
  end
  if #list > MOST then
    lines[#lines + 1] = "  ... and " .. #list - MOST .. " more"
  end
  return table.concat(lines, "\n") .. "\n"
end

local function on_test_end(element, parent, status)
  local text = M.take(full_name(element, parent))
  if text and (status == "failure" or status == "error") then
    io.stdout:flush()
    io.stderr:write(text)
  end
  return nil, true
end

--- Listens to busted, if that runs here.
function M.listen()
  local busted = package.loaded["busted"]
  if busted and busted.subscribe then
    busted.subscribe({ "test", "end" }, on_test_end)
  end
end

return M
