--- What a spec's app leaves behind.
local native = require("moongate.native")
local sched = require("moongate.core.sched")
local scopes = require("moongate.core.scope")

local M = {}

--- Remembers what was under way before the app.
function M.mark()
  local tasks, operations = sched.under_way()
  local known = {}
  for _, task in ipairs(tasks) do
    known[task] = true
  end
  for _, op in ipairs(operations) do
    known[op.handle] = true
  end
  return known
end

local function place_of(task)
  for level = 0, 30 do
    local info = debug.getinfo(task.co, level, "Sl")
    if not info then
      break
    end
    if info.what ~= "C" and not info.source:find("lua/moongate/", 1, true) then
      return info.short_src .. ":" .. info.currentline
    end
  end
  return "?"
end

-- Jobs of app:every sleep for as long as the app lives; they are no leak.
local function is_job(app, task)
  for _, job in ipairs(app.served.jobs_under_way or {}) do
    if task.a == job then
      return true
    end
  end
  return false
end

--- A list of sentences, one for each thing left behind.
function M.find(app)
  local found = {}
  local tasks, operations = sched.under_way()
  for _, task in ipairs(tasks) do
    if not app.before[task] and not is_job(app, task) then
      found[#found + 1] = "a coroutine that waits at " .. place_of(task)
    end
  end
  local owned = {}
  for _, job in ipairs(app.served.jobs_under_way or {}) do
    owned[job] = true
  end
  for _, op in ipairs(operations) do
    local future = op.future
    if not app.before[op.handle] and not future.internal and not future.job then
      found[#found + 1] = "an unfinished operation, made at " .. future:_where()
    end
  end
  for future in pairs(app.served.root[scopes.CHILDREN] or {}) do
    if future:state() == "pending" and not future._operation and not future.job and not owned[future] then
      found[#found + 1] = "a pending Future, made at " .. future:_where()
    end
  end
  local open = native.test_connections() - #app.peers
  if open > 0 then
    found[#found + 1] = open .. " connections that the server still holds"
  end
  return found
end

return M
