--- Stubs: replace the async calls of ctx. What the network would answer and nobody stubbed is
--- refused, showing the stub to write.
local context = require("moongate.context")
local Future = require("moongate.future")

local M = {}

local NETWORK = { query_database = true, http_request = true, query_cache = true, update_cache = true }
local methods = context.methods
local originals = {}
local current

local Maker = {}
Maker.__index = Maker

--- A value that makes a fresh Future at each call of the stub.
function M.maker(fn)
  return setmetatable({ make = fn }, Maker)
end

local function as_future(ctx, answer)
  if getmetatable(answer) == Future then
    return answer
  elseif getmetatable(answer) == Maker then
    return answer.make()
  end
  local future = Future._new(ctx, 4)
  future:resolve(answer)
  return future
end

local function show(value)
  return type(value) == "string" and ("%q"):format(value) or tostring(value)
end

local function refuse(name, first)
  error("ctx:" .. name .. "(" .. show(first) .. ", ...) is not stubbed, and specs have no network; write for example:\n"
    .. "  app:stub(\"" .. name .. "\", function(ctx, ...) return ... end)", 3)
end

local function call(app, name, ctx, first, ...)
  app.calls[#app.calls + 1] = { name = name, first, ... }
  local by_argument = app.stubs_for[name] and app.stubs_for[name][first]
  if by_argument ~= nil then
    local answer = by_argument
    if type(answer) == "function" then
      answer = answer(...)
    end
    return as_future(ctx, answer)
  end
  local fn = app.stubs[name]
  if fn then
    return as_future(ctx, fn(ctx, first, ...))
  elseif NETWORK[name] then
    refuse(name, first)
  end
  return originals[name](ctx, first, ...)
end

local function replace(name)
  originals[name] = originals[name] or methods[name]
  methods[name] = function(ctx, ...)
    return call(current, name, ctx, ...)
  end
end

--- Makes `app` the one whose stubs hold. Calls are recorded in app.calls.
function M.install(app)
  app.stubs, app.stubs_for = {}, {}
  current = app
  for name in pairs(NETWORK) do
    replace(name)
  end
end

local function check_name(name)
  for _, known in ipairs(context.async) do
    if known == name then
      return
    end
  end
  error("stub: allowed are " .. table.concat(context.async, ", ") .. ", not " .. tostring(name), 4)
end

function M.set(app, name, fn)
  check_name(name)
  if type(fn) ~= "function" then
    local answer = fn
    fn = function()
      return answer
    end
  end
  app.stubs[name] = fn
  replace(name)
end

--- A stub for calls whose first argument is `first`.
function M.set_for(app, name, first, answer)
  app.stubs_for[name] = app.stubs_for[name] or {}
  app.stubs_for[name][first] = answer
  replace(name)
end

function M.remove(app)
  if current == app then
    for name, fn in pairs(originals) do
      methods[name] = fn
    end
    originals = {}
  end
end

return M
