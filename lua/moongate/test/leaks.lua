--- What a spec's app leaves behind.
local native = require("moongate.native")
local sched = require("moongate.core.sched")
local scopes = require("moongate.core.scope")
local Future = require("moongate.future")

local M = {}

local MOST = 100 -- sentences

--- Remembers what was under way before the app.
function M.mark()
  local tasks, operations = sched.under_way()
  local known = {}
  for _, task in ipairs(tasks) do
    known[task] = true
  end
  for _, op in ipairs(operations) do
    known[op.future] = true
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
local function jobs_of(app)
  local jobs = {}
  for _, job in ipairs(app.served.jobs_under_way) do
    jobs[job.future] = true
  end
  return jobs
end

local function add_pending(found, scope, jobs)
  for _, future in ipairs(scopes.children(scope)) do
    if not future._operation and not future._job and not jobs[future] then
      found[#found + 1] = "a pending Future, made at " .. future:_where()
    end
  end
end

-- Those of a request that was cancelled went with it.
local function add_deferreds(found)
  for future, scope in pairs(Future._deferreds) do
    if future:state() == "pending" and not scope[scopes.CANCELLED] then
      found[#found + 1] = "a pending Future, made at " .. future:_where()
    end
  end
end

--- A list of sentences, one for each thing left behind.
function M.find(app)
  local found, jobs = {}, jobs_of(app)
  local tasks, operations = sched.under_way()
  for _, task in ipairs(tasks) do
    if not app.before[task] and not jobs[task.a] then
      found[#found + 1] = "a coroutine that waits at " .. place_of(task)
    end
  end
  for _, op in ipairs(operations) do
    local future = op.future
    if not app.before[future] and not future._internal and not future._job then
      found[#found + 1] = "an unfinished operation, made at " .. future:_where()
    end
  end
  add_pending(found, app.served.root, jobs)
  add_pending(found, app.served.root.shared, jobs)
  add_deferreds(found)
  for ctx in pairs(app.served.detached) do
    add_pending(found, ctx, jobs)
  end
  local open = native.test_connections() - #app.peers
  if open > 0 then
    found[#found + 1] = open .. " connections that the server still holds"
  end
  if #found > MOST then
    found[MOST] = (#found - MOST + 1) .. " more"
    for i = #found, MOST + 1, -1 do
      found[i] = nil
    end
  end
  return found
end

return M
