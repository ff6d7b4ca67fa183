--- A scope: the unit of cancellation. A request is one (its ctx), the app is one, each spec's app
--- too.
---
--- A scope is a table whose array slots have the fixed numbers below; ctx adds its own behind them
--- (core/request/slots.lua). Array slots, because a request's whole record is one allocation then;
--- what few scopes have is in a second array, its rest.
---
--- Who owns what: what ctx:... begins belongs to the request, and so does what and_then, all, race
--- and their like derive in it, as long as nobody else waits for that (core/future/handover.lua).
--- What moongate.spawn and moongate.after begin, and whatever else begins outside of a request,
--- belongs to the app (its root). What a request begins without its ctx (moongate.http,
--- moongate.sleep, ...) belongs to the app too, in its `shared` scope: others may await it, now or
--- later, so no request's end touches it; a reload waits for it as long as somebody else does.
--- moongate.future() belongs to nobody: nothing runs that could be stopped.
local M = {
  CHILDREN = 1, -- the newest of the pending Futures that die with the scope; false: none
  CANCELLED = 2, -- the error that every await raises; false while the scope lives
  ENDED = 3, -- true: it ended in good order; a function: likewise, to be told when nothing is left
  ROOT = 4, -- the scope of the app that it belongs to
  REST = 5, -- an array of what follows; false: there is nothing of it

  ON_CLOSE = 1, -- list of functions; false: none
  REJECTED = 2, -- list of rejected Futures that nobody has looked at; false: none
}

local CHILDREN, CANCELLED, ENDED, ROOT, REST = M.CHILDREN, M.CANCELLED, M.ENDED, M.ROOT, M.REST
local REJECTED = M.REJECTED
local FEW_REJECTED = 64 -- before those that somebody has looked at are forgotten

--- The scope of an app.
function M.new_root()
  local root = { false, false, false, false, false }
  root[ROOT] = root
  root.shared = { false, false, false, root, false }
  return root
end

--- What few scopes have, made if it is not there.
function M.rest(scope)
  local rest = scope[REST]
  if not rest then
    rest = { false, false, false, false, false, false, false, false, false, false, false }
    scope[REST] = rest
  end
  return rest
end

--- The scope of what is begun in `scope` without a ctx. A request that is over begins nothing that
--- others could know of.
function M.for_others(scope)
  local root = scope[ROOT]
  return (scope == root or scope[CANCELLED]) and scope or root.shared
end

--- Whether it is a request's.
function M.is_request(scope)
  local root = scope[ROOT]
  return scope ~= root and scope ~= root.shared
end

--- `future` is cancelled with the scope. It takes itself out when it settles. The children are
--- linked from the newest to the oldest.
function M.add(scope, future)
  local newest = scope[CHILDREN]
  if newest then
    newest._newer, future._older = future, newest
  end
  scope[CHILDREN] = future
end

local function take_out(scope, future)
  local newer, older = future._newer, future._older
  if newer then
    newer._older, future._newer = older, false
  elseif scope[CHILDREN] == future then
    scope[CHILDREN] = older
  else
    return -- it is out already
  end
  if older then
    older._newer, future._older = newer, false
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

--- The pending Futures of the scope, as a list, the newest first.
function M.children(scope)
  local list, future = {}, scope[CHILDREN]
  while future do
    list[#list + 1] = future
    future = future._older
  end
  return list
end

--- A rejected Future of this scope that has no consumer yet.
function M.reject(scope, future)
  local rest = M.rest(scope)
  local list = rest[REJECTED]
  if not list then
    list = { most = FEW_REJECTED }
    rest[REJECTED] = list
  elseif #list >= list.most then
    local kept = {}
    for i = 1, #list do
      if not list[i]._looked_at then
        kept[#kept + 1] = list[i]
      end
    end
    kept.most = FEW_REJECTED + 2 * #kept
    rest[REJECTED], list = kept, kept
  end
  list[#list + 1] = future
end

--- Cancels all that is pending in it, now and in future, with `err`. Of several errors the first
--- one counts.
function M.cancel(scope, err)
  if not scope[CANCELLED] and scope[CHILDREN] and M.is_request(scope) then
    M.hand_over(scope)
  end
  err = scope[CANCELLED] or err
  scope[CANCELLED] = err
  local future = scope[CHILDREN]
  while future do
    take_out(scope, future)
    if not future._uncancellable then
      future:_abandon(err)
    end
    future = scope[CHILDREN]
  end
end

--- Cancels what is pending in it and nobody waits for. The scope lives on.
function M.cancel_unwanted(scope, err)
  for _, future in ipairs(M.children(scope)) do
    if future._consumers == 0 and not future._uncancellable then
      future:_abandon(err)
    end
  end
end

--- Cancels all of an app but its requests.
function M.cancel_app(root, err)
  M.cancel(root, err)
  M.cancel(root.shared, err)
end

--- It ended in good order. With work in flight `on_empty()` is called when the last of it is done.
---@param scope table
---@param on_empty function|true
function M.finish(scope, on_empty)
  scope[ENDED] = on_empty
end

return M
