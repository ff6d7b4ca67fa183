--- The onion: middleware around the handler, and the answer that is sent when it has unwound.
local scopes = require("moongate.core.scope")
local slots = require("moongate.core.request.slots")
local answer = require("moongate.core.request.answer")
local send = require("moongate.core.request.send").send

local ROUTE, TASK, PHASE = slots.ROUTE, slots.TASK, slots.PHASE
local STATUS, TYPE, OPEN, STAGED = slots.STATUS, slots.TYPE, slots.OPEN, slots.STAGED
local CANCELLED = scopes.CANCELLED
local stage_returned = answer.stage_returned

local M = {}

local call

local function call_middleware(ctx, list, i, handler)
  local called = false
  local middleware = list[i]
  local status, content_type -- of the answer that is staged beneath
  local a, b, c = middleware(ctx, function()
    if called then
      error("next() was called a second time by the same middleware", 2)
    end
    called = true
    call(ctx, list, i + 1, handler)
    status, content_type = ctx[STATUS], ctx[TYPE]
  end)
  if a ~= nil or b ~= nil or c ~= nil then
    -- The whole answer is replaced, but for what the middleware itself has set since.
    if status and ctx[STATUS] == status then
      ctx[STATUS] = 200
    end
    if content_type and ctx[TYPE] == content_type then
      ctx[TYPE] = false
    end
    stage_returned(ctx, "middleware", middleware, a, b, c)
  end
end

function call(ctx, list, i, handler)
  if list[i] then
    return call_middleware(ctx, list, i, handler)
  end
  local a, b, c = handler(ctx)
  if a ~= nil or b ~= nil or c ~= nil then
    stage_returned(ctx, "handler", handler, a, b, c)
  end
end

local function end_unanswered(ctx)
  ctx[TASK] = false
  if not ctx[CANCELLED] then
    error("the handler of " .. ctx[ROUTE].label
      .. " ended without an answer: return one, or call ctx:text, ctx:json, ...", 0)
  end
end

--- What the task of a request runs, whose route is chosen.
---@param task table a = ctx
function M.run(task)
  local ctx = task.a
  local route = ctx[ROUTE]
  ctx[TASK] = task
  if route.middleware[1] then
    call(ctx, route.middleware, 1, route.handler)
  else
    local a, b, c = route.handler(ctx)
    if a ~= nil or b ~= nil or c ~= nil then
      stage_returned(ctx, "handler", route.handler, a, b, c)
    end
  end
  if ctx[PHASE] == OPEN then
    return end_unanswered(ctx)
  end
  if ctx[PHASE] == STAGED and not ctx[CANCELLED] then
    send(ctx)
  end
  ctx[TASK] = false
end

return M
