--- What a handler or middleware returns, as the answer.
local answer = require("moongate.core.request.answer")
local places = require("moongate.core.places")
local slots = require("moongate.core.request.slots")
local text = require("moongate.core.text")
local Future = require("moongate.future")

local PHASE, KIND, STATUS = slots.PHASE, slots.KIND, slots.STATUS
local TYPE, BODY = slots.TYPE, slots.BODY
local STAGED, PLAIN, RELAY = slots.STAGED, slots.PLAIN, slots.RELAY
local is_status, stage, check_open = answer.is_status, answer.stage, answer.check_open

local M = {}

local function shown(ctx, value)
  local meta = type(value) == "table" and getmetatable(value)
  if value == nil or type(value) == "number" or type(value) == "boolean" then
    return text.shown(value)
  elseif meta == getmetatable(ctx) then
    return "ctx"
  elseif meta == answer.Relayed then
    return "what ctx:proxy gave, in whose place another answer is staged"
  end
  return "a " .. type(value)
end

local function refuse_future(what, fn, future)
  local place = places.tail_place(fn, future._what)
  error(place .. ": the " .. what .. " returned " .. Future._missing(future, fn), 0)
end

-- The mistakes that are made most.
local function advice(a, b, c)
  if type(b) == "number" and (type(a) == "string" or type(a) == "table") then
    return ": the status comes first, as in return " .. text.shown(b) .. ', "text"'
  elseif c ~= nil then
    return ": a third value has no place: fields are set by ctx:header(name, value)"
  elseif b ~= nil and (type(a) == "string" or type(a) == "table") then
    return ": of a call that gives several values put the first one into parentheses, as in "
      .. "return (ws:receive():await())"
  end
  return "; allowed are a string, a table, a status from 200 to 599 alone or with one of these "
    .. "behind it, and nothing once ctx has the answer"
end

local function refuse_returned(ctx, what, fn, a, b, c)
  for _, value in pairs({ a, b, c }) do -- whichever of them there are
    if getmetatable(value) == Future then
      refuse_future(what, fn, value)
    end
  end
  local values = shown(ctx, a)
  if b ~= nil or c ~= nil then
    values = values .. ", " .. shown(ctx, b)
  end
  if c ~= nil then
    values = values .. ", " .. shown(ctx, c)
  end
  error(places.returned_at(fn, c ~= nil and 3 or b ~= nil and 2 or 1) .. ": the " .. what
    .. " returned " .. values .. advice(a, b, c), 0)
end

local function is_body(ctx, value)
  if type(value) ~= "table" then
    return type(value) == "string"
  end
  local meta = getmetatable(value)
  return meta ~= Future and meta ~= answer.Relayed and meta ~= getmetatable(ctx)
end

--- Stages what `fn`, a "handler" or a "middleware", returned. Not all of it is nil.
function M.stage(ctx, what, fn, a, b, c)
  check_open(ctx, -1)
  local relayed = ctx[KIND] == RELAY and ctx[PHASE] == STAGED and ctx[BODY]
  if relayed and c == nil and (a == relayed and b == nil or is_status(a) and b == relayed) then
    ctx[STATUS] = a == relayed and ctx[STATUS] or a -- what ctx:proxy gave is staged already
    return
  end
  local has_status = type(a) == "number"
  local body = a
  if has_status then
    body = b == nil and "" or b
  end
  if c ~= nil or (has_status and not is_status(a)) or (not has_status and b ~= nil)
    or not is_body(ctx, body) then
    refuse_returned(ctx, what, fn, a, b, c)
  end
  if has_status then
    ctx[STATUS] = a
  end
  if type(body) == "table" then
    stage(ctx, PLAIN, ctx[TYPE] or "application/json", body)
  else
    stage(ctx, PLAIN, ctx[TYPE] or (body ~= "" and "text/plain; charset=utf-8") or false, body)
  end
end

return M
