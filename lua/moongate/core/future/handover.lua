--- What a request derived from the Futures of others (with and_then, all, race, ...) ends with it,
--- unless somebody else waits for that: then it is the app's from now on, with all that it waits
--- for.
local scopes = require("moongate.core.scope")

local CANCELLED, ROOT = scopes.CANCELLED, scopes.ROOT

local function is_derived(future)
  return future._reaction or future._group
end

-- Whether anything outside of the scope waits for it.
local function is_wanted(future, scope)
  local node = future._first
  while node do
    if node.scope ~= scope and not node.scope[CANCELLED] then
      return true
    end
    node = node.behind
  end
  return false
end

local function follow(list, reaction, heir)
  reaction.scope = heir
  list[#list + 1] = reaction.future or nil
  local task = reaction.task -- of the callback that runs
  if task and task.a == reaction then
    task.scope = heir
    list[#list + 1] = task.waiting or nil
  end
end

-- It, and behind it in the list what it waits for.
local function pass_on(list, future, scope, heir)
  scopes.remove(scope, future)
  future._scope = heir
  scopes.add(heir, future)
  if future._reaction then
    follow(list, future._reaction, heir)
  end
  for _, reaction in ipairs(future._group and future._group.reactions or {}) do
    follow(list, reaction, heir)
  end
end

--- To be called before a request's scope is cancelled.
function scopes.hand_over(scope)
  local list = {}
  for _, future in ipairs(scopes.children(scope)) do
    if is_derived(future) and is_wanted(future, scope) then
      list[#list + 1] = future
    end
  end
  local i = 1
  while list[i] do
    local future = list[i]
    if future._scope == scope and future._state == "pending" and is_derived(future) then
      pass_on(list, future, scope, scope[ROOT].shared)
    end
    i = i + 1
  end
end
