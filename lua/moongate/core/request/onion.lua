--- The onion: middleware around the handler, and the answer that is sent when it has unwound.
local scopes = require("moongate.core.scope")
local slots = require("moongate.core.request.slots")
local returned = require("moongate.core.request.returned")
local places = require("moongate.core.places")
local send = require("moongate.core.request.send").send

local ROUTE, TASK, PHASE = slots.ROUTE, slots.TASK, slots.PHASE
local STATUS, TYPE, OPEN, STAGED = slots.STATUS, slots.TYPE, slots.OPEN, slots.STAGED
local BODY = slots.BODY
local CANCELLED = scopes.CANCELLED
local stage_returned = returned.stage

local M = {}

-- --- next() ---

-- A link is what next() of one middleware of one request knows; false in CTX: it was called. Each
-- is used once, since a script may keep its next() for ever. Compiled code cannot make closures, so
-- links are made in stock, beside it.
local CTX, INDEX, BENEATH_STATUS, BENEATH_TYPE, NEXT = 1, 2, 3, 4, 5
local STOCK = 128
local stock, stocked = {}, 0

local run_from

local function new_link()
  local link = { false, 0, false, false, false }
  link[NEXT] = function()
    local ctx = link[CTX]
    if not ctx then
      error("next() was called a second time by the same middleware", 2)
    end
    link[CTX] = false
    run_from(ctx, link[INDEX])
    link[BENEATH_STATUS], link[BENEATH_TYPE] = ctx[STATUS], ctx[TYPE]
  end
  return link
end

local function restock()
  for i = 1, STOCK do
    stock[i] = new_link()
  end
  stocked = STOCK
end

jit.off(restock) -- or it would be tried again and again
jit.off(new_link)

local function take_link(ctx, index)
  if stocked == 0 then
    restock()
  end
  local at = stocked
  stocked = at - 1 -- first: a stall may end the task anywhere
  local link = stock[at]
  stock[at] = false
  link[CTX], link[INDEX] = ctx, index
  return link
end

-- --- the way in and out ---

local function call_middleware(ctx, middleware, link)
  local a, b, c = middleware(ctx, link[NEXT])
  if a ~= nil or b ~= nil or c ~= nil then
    -- The whole answer is replaced, but for what the middleware itself has set since.
    local status, content_type = link[BENEATH_STATUS], link[BENEATH_TYPE]
    if status and ctx[STATUS] == status then
      ctx[STATUS] = 200
    end
    if content_type and ctx[TYPE] == content_type then
      ctx[TYPE] = false
    end
    stage_returned(ctx, "middleware", middleware, a, b, c)
  elseif link[CTX] and ctx[PHASE] == OPEN then
    ctx[BODY] = middleware -- which ended it without an answer, unless one comes yet
  end
end

-- Runs the middleware from `i` on, and the handler within.
function run_from(ctx, i)
  local route = ctx[ROUTE]
  local middleware = route.middleware[i]
  if middleware then
    return call_middleware(ctx, middleware, take_link(ctx, i + 1))
  end
  local handler = route.handler -- in a local: places.traceback looks for it
  local a, b, c = handler(ctx)
  if a ~= nil or b ~= nil or c ~= nil then
    stage_returned(ctx, "handler", handler, a, b, c)
  end
end

local function end_unanswered(ctx)
  ctx[TASK] = false
  if ctx[CANCELLED] then
    return
  elseif ctx[BODY] then
    error(places.declared(ctx[BODY]) .. ": this middleware neither called next() nor answered: "
      .. "return next(), or an answer", 0)
  end
  error(places.declared(ctx[ROUTE].handler) .. ": the handler of " .. ctx[ROUTE].label
    .. " ended without an answer: return one, or call ctx:text, ctx:json, ...", 0)
end

--- What the task of a request runs, whose route is chosen.
---@param task table a = ctx
function M.run(task)
  local ctx = task.a
  ctx[TASK] = task
  run_from(ctx, 1)
  if ctx[PHASE] == OPEN then
    return end_unanswered(ctx)
  end
  if ctx[PHASE] == STAGED and not ctx[CANCELLED] then
    send(ctx)
  end
  ctx[TASK] = false
end

return M
