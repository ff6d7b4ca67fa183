--- A request's life as a scope: it is under way, it may be cancelled, it ends.
---
--- The scope ends when the last byte of the answer is queued. What is in flight then may finish
--- within the handler's deadline, unless the scope was cancelled; on_close functions run in the
--- background.
local sched = require("moongate.core.sched")
local scopes = require("moongate.core.scope")
local errors = require("moongate.core.errors")
local slots = require("moongate.core.request.slots")
local timers = require("moongate.core.timer")
local ending = require("moongate.core.request.ending")
local retire = require("moongate.core.app.retire")
local Future = require("moongate.future")

local native = sched.native
local HANDLE, ROUTE, TASK = slots.HANDLE, slots.ROUTE, slots.TASK
local PHASE, OVER, KEPT = slots.PHASE, slots.OVER, slots.KEPT
local CHILDREN, CANCELLED, ENDED = scopes.CHILDREN, scopes.CANCELLED, scopes.ENDED
local ROOT, REST, ON_CLOSE = scopes.ROOT, scopes.REST, scopes.ON_CLOSE

local M = {}

local SLOTS = native.constants.slots -- so many a handle's low bits tell apart
local live = {} -- slot of the handle -> ctx of the request under way

-- --- under way ---

--- A request has come.
function M.begin(ctx)
  live[ctx[HANDLE] % SLOTS + 1] = ctx
  local retired = ctx[ROOT].served.retired
  if retired then
    retired.left = retired.left + 1
  end
end

--- The request of a handle, nil if it is over.
---@return moongate.Context?
function M.find(handle)
  local ctx = live[handle % SLOTS + 1]
  return ctx and ctx[HANDLE] == handle and ctx or nil
end

--- All that are under way.
---@return moongate.Context[]
function M.list()
  local list = {}
  for _, ctx in pairs(live) do
    if ctx then
      list[#list + 1] = ctx
    end
  end
  return list
end

--- Cancels the request's work, whoever answers it included.
function M.cancel(ctx, err)
  scopes.cancel(ctx, err)
  local task = ctx[TASK]
  if task and task ~= sched.current then
    ctx[TASK] = false
    Future._cancel_task(task, err)
  end
end

-- --- the end ---

-- What is still in flight may finish within the handler's deadline.
local function detach(ctx)
  local target = ctx[ROOT].served
  local detached = target.detached
  local seconds = (ctx[ROUTE].timeout or target.handler_seconds) - (native.now() - slots.start(ctx))
  local timer = timers.after(math.max(seconds, 0), function()
    scopes.cancel(ctx, errors.new("cancelled", "the request's deadline passed"))
  end)
  detached[ctx] = true
  target.detached_count = target.detached_count + 1
  scopes.finish(ctx, function()
    timers.stop(timer)
    detached[ctx] = nil
    target.detached_count = target.detached_count - 1
    if target.retired then
      retire.check(target)
    end
  end)
end

local function leave(ctx, retired)
  local slot = ctx[HANDLE] % SLOTS + 1
  if live[slot] == ctx then
    live[slot] = false
    if retired then
      retired.left = retired.left - 1
    end
  end
end

local function finish_rest(ctx, rest, why)
  if rest[KEPT] then
    ending.finish(ctx)
  end
  local fns = rest[ON_CLOSE]
  if fns then
    rest[ON_CLOSE] = false
    why = why or ctx[CANCELLED] or nil
    for _, fn in ipairs(fns) do
      ending.start(ctx, "an on_close function", fn, why)
    end
  end
  Future._end_scope(ctx)
end

--- The scope ends.
---@param why table? the error that on_close functions are told, else that of its cancellation
function M.finish(ctx, why)
  local target = ctx[ROOT].served
  leave(ctx, target.retired)
  ctx[PHASE] = OVER
  ctx[ENDED] = true
  if ctx[REST] then
    finish_rest(ctx, ctx[REST], why)
  end
  if ctx[CHILDREN] then
    if ctx[CANCELLED] then
      scopes.cancel(ctx) -- what app:on_error left behind
    else
      detach(ctx)
    end
  end
  if target.retired then
    retire.check(target)
  end
end

return M
