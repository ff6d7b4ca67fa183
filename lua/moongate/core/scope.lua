--- A scope: the unit of cancellation. A request is one (its ctx), the app is one, each spec's app
--- too.
---
--- A scope is a table whose array slots have the fixed numbers below; ctx adds its own behind them
--- (context.lua). Array slots, because a request's whole record is then one allocation.
local M = {
  CHILDREN = 1, -- the pending Futures that die with the scope
  CANCELLED = 2, -- the error that every await raises; false while the scope lives
  ON_CLOSE = 3, -- list of functions; false: none
  REJECTED = 4, -- list of rejected Futures that nobody has looked at; false: none
  ENDED = 5, -- true: it ended in good order; a function: likewise, to be told when nothing is left
  ROOT = 6, -- the scope of the app that it belongs to
}

local CHILDREN, CANCELLED, REJECTED, ENDED, ROOT = 1, 2, 4, 5, 6

--- The scope of an app, to which everything belongs that no request started.
function M.new_root()
  local scope = { false, false, false, false, false, false }
  scope[ROOT] = scope
  return scope
end

-- CHILDREN holds false, the one Future that there is (most requests wait for one at a time), or a
-- set of several, which has no metatable.
local function is_set(children)
  return getmetatable(children) == nil
end

--- `future` is cancelled with the scope. It takes itself out when it settles.
function M.add(scope, future)
  local children = scope[CHILDREN]
  if not children then
    scope[CHILDREN] = future
  elseif is_set(children) then
    children[future] = true
  else
    scope[CHILDREN] = { [children] = true, [future] = true }
  end
end

local function take_out(scope, future)
  local children = scope[CHILDREN]
  if children == future then
    scope[CHILDREN] = false
  elseif children and is_set(children) then
    children[future] = nil
    if next(children) == nil then
      scope[CHILDREN] = false
    end
  end
end

function M.remove(scope, future)
  take_out(scope, future)
  local on_empty = scope[ENDED]
  if on_empty and on_empty ~= true and not scope[CHILDREN] then
    scope[ENDED] = true
    on_empty()
  end
end

--- The pending Futures of the scope, as a list.
function M.children(scope)
  local children, list = scope[CHILDREN], {}
  if children and is_set(children) then
    for future in pairs(children) do
      list[#list + 1] = future
    end
  elseif children then
    list[1] = children
  end
  return list
end

--- A rejected Future of this scope that has no consumer yet.
function M.reject(scope, future)
  local list = scope[REJECTED]
  if not list then
    list = {}
    scope[REJECTED] = list
  end
  list[#list + 1] = future
end

--- Cancels all that is pending in it, now and in future, with `err`. Of several errors the first
--- one counts.
function M.cancel(scope, err)
  err = scope[CANCELLED] or err
  scope[CANCELLED] = err
  while scope[CHILDREN] do
    for _, future in ipairs(M.children(scope)) do
      take_out(scope, future)
      if not future.uncancellable then
        future:_abandon(err)
      end
    end
  end
end

--- It ended in good order. With work in flight `on_empty()` is called when the last of it is done.
---@param scope table
---@param on_empty function|true
function M.finish(scope, on_empty)
  scope[ENDED] = on_empty
end

return M
