--- Answers to requests that no route takes: 404, 405, 501, OPTIONS. They belong to the app all the
--- same, so the middleware of the place they fall into runs around them:
---
--- - a preflight (Fetch, 3.2.2) is answered behind the middleware of the route that it asks for;
--- - OPTIONS, 405 and 501 of a path with routes: behind that of the group of these routes;
--- - 404, and 501 elsewhere: behind that of the group with the longest prefix of the path; else of
---   the app.
local native = require("moongate.native")
local slots = require("moongate.core.request.slots")

local M = {}

local ALLOWED, PARAMS = slots.ALLOWED, slots.PARAMS
local METHODS = native.constants.methods
local METHOD_OPTIONS, METHOD_UNKNOWN = METHODS.OPTIONS, METHODS.UNKNOWN
local REST = "__rest" -- the parameter for what follows a group's prefix

-- --- groups by their prefix ---

--- Keeps where a group begins. The first one of a prefix has it; one without a prefix has no place
--- of its own. What the matcher refuses is told with the group's first route.
---@param matcher userdata of native.router
---@param id integer
---@param host string?
function M.add_prefix(matcher, prefix, id, host)
  if prefix == "" and not host then
    return
  end
  matcher:add("GET", prefix .. "/*" .. REST, id, host) -- first: its parameters hold for all
  matcher:add("GET", prefix .. "/", id, host)
  if prefix ~= "" then
    matcher:add("GET", prefix, id, host)
  end
end

local function group_of(app, asked)
  local id, params = app.prefixes:match("GET", asked.path, asked.host)
  if not id then
    return app.middleware, {}
  end
  params[REST] = nil
  return app.groups[id], params
end

-- --- what answers ---

local function answer_none(ctx)
  ctx:fail(404, "nothing is served here")
end

local function allow(ctx)
  ctx:header("Allow", table.concat(native.method_names(slots.in_rest(ctx, ALLOWED)), ", "))
end

local function answer_method(ctx)
  allow(ctx)
  ctx:fail(405, "the method is not served here")
end

local function answer_options(ctx)
  allow(ctx)
  return 204
end

-- Nobody knows what else such a peer believes: nothing more is served to it.
local function answer_unknown(ctx)
  ctx.connection:close()
  ctx:fail(501, "the method is not known here")
end

-- --- choosing ---

---@class moongate.core.Asked what no route takes
---@field path string
---@field host string?
---@field allowed string[]? methods that the path has routes for; nil: it has none
---@field is_options boolean
---@field is_unknown boolean nobody knows the method
---@field wanted string? the method that a preflight asks for

-- The middleware around an answer about a path that has routes, and the path's parameters.
local function middleware_of_path(app, asked)
  local id, params
  if asked.wanted then
    id, params = app.router:match(asked.wanted, asked.path, asked.host)
  end
  if id then
    return app.by_id[id].middleware, params
  end
  for _, method in ipairs(asked.allowed) do
    id, params = app.router:match(method, asked.path, asked.host)
    if id then
      return app.by_id[id].group, params
    end
  end
  return group_of(app, asked)
end

local function route(label, middleware, handler)
  return { label = label, middleware = middleware, handler = handler }
end

--- The route in place of none, and its parameters.
---@param app table of app:freeze()
---@param asked moongate.core.Asked
---@return table route
---@return table<string, string> params
function M.plan(app, asked)
  local middleware, params
  if asked.allowed then
    middleware, params = middleware_of_path(app, asked)
  else
    middleware, params = group_of(app, asked)
  end
  if asked.is_unknown then
    return route("501", middleware, answer_unknown), params
  elseif not asked.allowed then
    return route("app:not_found", middleware, app.not_found or answer_none), params
  elseif asked.is_options then
    return route("OPTIONS", middleware, answer_options), params
  end
  return route("405", middleware, answer_method), params
end

--- The route in place of none. ALLOWED is the set of methods that its path has routes for.
---@param app table of app:freeze()
---@return table
function M.choose(app, ctx)
  local method, allowed = slots.method(ctx), slots.in_rest(ctx, ALLOWED)
  local is_options = method == METHOD_OPTIONS
  local chosen
  chosen, ctx[PARAMS] = M.plan(app, {
    path = ctx.path,
    host = ctx.host,
    allowed = allowed ~= 0 and native.method_names(allowed) or nil,
    is_options = is_options,
    is_unknown = method == METHOD_UNKNOWN,
    wanted = is_options and ctx.headers["access-control-request-method"] or nil,
  })
  return chosen
end

return M
