--- Stubs: replace the async calls of ctx. What the network would answer and nobody stubbed is
--- refused, showing the stub to write.
local context = require("moongate.context")
local database = require("moongate.database")
local Future = require("moongate.future")

local M = {}

local NETWORK = { http_request = true, query_cache = true, update_cache = true }
local methods = context.methods
local originals = {}
local current

local Maker = {}
Maker.__index = Maker

--- A value that makes a fresh Future at each call of the stub: `fn(ctx)`.
function M.maker(fn)
  return setmetatable({ make = fn }, Maker)
end

local function as_future(ctx, name, answer)
  local future = answer
  if getmetatable(answer) == Maker then
    future = answer.make(ctx)
  elseif getmetatable(answer) ~= Future then
    future = Future._new(ctx, 2)
    future:resolve(answer)
  end
  future.uncancellable = name == "update_cache" or nil
  return future
end

local function show(value)
  return type(value) == "string" and ("%q"):format(value) or tostring(value)
end

local SHORT = { query_database = "stub_database", query_cache = "stub_cache" }

local function stub_to_write(name, first)
  if SHORT[name] then
    return "app:" .. SHORT[name] .. "(" .. show(first) .. ", { ... })"
  end
  return "app:stub(\"" .. name .. "\", function(ctx, ...) return ... end)"
end

local function refuse(name, first, level)
  error("ctx:" .. name .. "(" .. show(first) .. ", ...) is not stubbed, and specs have no network; "
    .. "write for example:\n  " .. stub_to_write(name, first), level + 1)
end

-- What the spec has for this call, or nil.
local function answer_of(app, name, ctx, first, ...)
  local answer = app.stubs_for[name] and app.stubs_for[name][first]
  if type(answer) == "function" then
    return answer(...)
  elseif answer == nil and app.stubs[name] then
    return app.stubs[name](ctx, first, ...)
  end
  return answer
end

local function is_stubbed(app, name, first)
  return app.stubs[name] or (app.stubs_for[name] and app.stubs_for[name][first] ~= nil)
end

local function call(app, name, ctx, first, ...)
  app.calls[#app.calls + 1] = { name = name, first, ... }
  if is_stubbed(app, name, first) then
    return as_future(ctx, name, answer_of(app, name, ctx, first, ...))
  elseif NETWORK[name] then
    refuse(name, first, 2) -- who replaced it has made a tail call
  end
  return originals[name](ctx, first, ...)
end

-- Statements come here by whatever way they are made: of ctx, of a database, of a transaction.
local function call_statement(scope, level, sql, first, ...)
  local app, name = current, "query_database"
  app.calls[#app.calls + 1] = { name = name, sql, ... }
  if not is_stubbed(app, name, sql) then
    if not app.has_database then
      refuse(name, sql, level + 1)
    end
    return nil
  end
  local future = as_future(scope, name, answer_of(app, name, scope, sql, ...))
  return not first and future or future:and_then(function(rows)
    return rows[1]
  end)
end

local function replace(name)
  if name == "query_database" then
    return
  end
  originals[name] = originals[name] or methods[name]
  methods[name] = function(ctx, ...)
    return call(current, name, ctx, ...)
  end
end

--- Makes `app` the one whose stubs hold. Calls are recorded in app.calls. An app with a database is
--- asked of that what is not stubbed.
function M.install(app, has_database)
  app.stubs, app.stubs_for, app.has_database = {}, {}, has_database
  current = app
  database._stub = call_statement
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
    database._stub, current = false, nil
  end
end

return M
