--- `moongate explain`: which route answers a request, through which middleware and within which
--- limits, and why the others do not.
local native = require("moongate.native")
local fallback = require("moongate.core.app.fallback")
local routes = require("moongate.core.app.routes")
local shown = require("moongate.core.text").shown

local M = {}

local OTHERS = 12 -- routes that did not match, of which it is told why

local url_decode = native.tools.url_decode

-- --- the request ---

-- Path, query and host of what was typed: a target or a whole URL.
local function split(target)
  target = target:gsub("#.*$", "")
  local host, rest = target:match("^%a[%w+.-]*://([^/?]*)(.*)$")
  target = rest or target
  local path, query = target:match("^([^?]*)%??(.*)$")
  return path == "" and "/" or path, query, host
end

local function segments_of(path)
  local list = {}
  for segment in path:sub(2):gmatch("([^/]*)/?") do
    list[#list + 1] = segment
  end
  if path:sub(-1) ~= "/" or path == "/" then
    list[#list] = nil -- gmatch finds an empty one behind the last
  end
  return list
end

local function quoted(text)
  return '"' .. text .. '"'
end

-- --- why not ---

-- Whether the matcher takes a path for a pattern that stands alone.
local function fits(pattern, path)
  local matcher = native.router.new()
  matcher:add("GET", pattern, 1)
  return matcher:match("GET", path) == 1
end

local function static_of(segment)
  return url_decode(segment) or segment
end

-- Why a segment of the path is none of the pattern's; nil if it is.
local function why_not_segment(wanted, given, n)
  local kind = wanted:match("^:[%a_][%w_]*<(%a+)>$")
  if wanted:sub(1, 1) == ":" then
    if given == "" then
      return ("segment %d is empty"):format(n)
    elseif kind and not fits("/:x<" .. kind .. ">", "/" .. given) then
      return ("segment %d, %s, is no %s"):format(n, quoted(given), kind)
    end
  elseif static_of(wanted) ~= static_of(given) then
    return ("segment %d is %s, not %s"):format(n, quoted(given), quoted(wanted))
  end
end

-- The first reason, and how many segments fit before it.
local function why_not_path(pattern, path)
  local wanted, given = segments_of(pattern), segments_of(path)
  for n, segment in ipairs(wanted) do
    if segment:sub(1, 1) == "*" then
      return "nothing is left of the path for " .. segment, n - 1
    elseif not given[n] then
      return ("the path ends before segment %d, %s"):format(n, quoted(segment)), n - 1
    end
    local why = why_not_segment(segment, given[n], n)
    if why then
      return why, n - 1
    end
  end
  return ("the path goes on with %s"):format(quoted("/" .. table.concat(given, "/", #wanted + 1))),
    #wanted
end

local function has_method(route, method)
  for _, name in ipairs(route.methods) do
    if name == method or method == "HEAD" and name == "GET" then
      return true
    end
  end
  return false
end

local function fits_host(declared, host)
  local matcher = native.router.new()
  matcher:add("GET", "/", 1, declared)
  return matcher:match("GET", "/", host) == 1
end

-- { route, why, rank }: the higher the rank, the nearer it was.
local function judge(route, method, path, chosen, host)
  if not fits(route.pattern, path) then
    local why, near = why_not_path(route.pattern, path)
    return { route = route, why = why, rank = near }
  elseif not has_method(route, method) then
    return { route = route, why = "the path fits, the method does not", rank = 1000 }
  elseif route.host and not fits_host(route.host, host) then
    return {
      route = route, why = "the path fits, the host does not: give a whole URL to ask for one",
      rank = 1500,
    }
  elseif route.host ~= chosen.host then
    return {
      route = route, rank = 2000,
      why = "fits as well, but " .. (chosen.host or "any host") .. " goes first: a host before "
        .. "wildcards, the longest of them first, then any host",
    }
  end
  return {
    route = route, rank = 2000,
    why = "fits as well, but " .. chosen.pattern .. " goes first: static segments before typed "
      .. "ones, those before plain ones, wildcards last",
  }
end

local function others_of(app, method, path, chosen, host)
  local list = {}
  for _, route in ipairs(app.routes) do
    if route ~= chosen then
      local found = judge(route, method, path, chosen, host)
      found.order = #list
      list[#list + 1] = found
    end
  end
  table.sort(list, function(a, b)
    return a.rank > b.rank or a.rank == b.rank and a.order < b.order
  end)
  return list
end

-- --- the lines ---

local function add(lines, name, value)
  lines[#lines + 1] = { name, value }
end

local function add_params(lines, name, params)
  local keys = {}
  for key in pairs(params or {}) do
    keys[#keys + 1] = key
  end
  table.sort(keys)
  for _, key in ipairs(keys) do
    local value = params[key]
    add(lines, name, key .. " = " .. (type(value) == "string" and quoted(value)
      or shown(value)))
    name = ""
  end
end

local function add_middleware(lines, middleware)
  local name = "middleware"
  for i, fn in ipairs(middleware) do
    add(lines, name, i .. ". " .. routes.place_of(fn))
    name = ""
  end
end

local function seconds_of(route, served)
  if route.timeout then
    return ("%g s, of the route"):format(route.timeout)
  elseif route.proxied and not route.middleware[1] then
    return "none, as long as it moves; app:proxy's own are below"
  end
  return ("%g s (timeouts.handler)"):format(served.handler_seconds)
end

local function bytes_text(bytes)
  for _, unit in ipairs({ { "G", 1024 ^ 3 }, { "M", 1024 ^ 2 }, { "K", 1024 } }) do
    if bytes >= unit[2] and bytes % unit[2] == 0 then
      return ("%d%s"):format(bytes / unit[2], unit[1])
    end
  end
  return ("%d bytes"):format(bytes)
end

local function add_limits(lines, route, served, facts)
  add(lines, "timeout", seconds_of(route, served))
  add(lines, "body", "at most " .. (route.body and bytes_text(route.body) .. ", of the route"
    or bytes_text(facts.body_bytes) .. " (limits.body)"))
  if route.stream_max then
    add(lines, "stream", ("at most %g s, of the route"):format(route.stream_max))
  end
end

local PLAN = { "strip", "path", "host", "connect", "first_byte", "idle", "total" }

local function add_upstream(lines, route)
  if not route.proxied then
    return
  end
  add(lines, "upstream", route.proxied.upstream .. (route.middleware[1] and ", asked by Lua"
    or ", asked without Lua"))
  local plan = route.proxied.plan
  for _, key in ipairs(PLAN) do
    if plan[key] then
      add(lines, "", key .. " = " .. tostring(plan[key]))
    end
  end
end

local function add_others(lines, others)
  local name = "not"
  for i, other in ipairs(others) do
    if i > OTHERS then
      add(lines, "", ("and %d more"):format(#others - OTHERS))
      break
    end
    add(lines, name, other.route.label .. ": " .. other.why)
    name = ""
  end
end

local function add_route(lines, route, served, facts)
  add(lines, "answered by", route.label .. (route.name and " (" .. route.name .. ")" or "")
    .. ", declared at " .. route.where)
  if route.files then
    add(lines, "files", "of " .. route.files.path
      .. (route.middleware[1] and "" or ", sent without Lua"))
  elseif not route.proxied then
    add(lines, "handler", routes.place_of(route.handler))
  end
  add_limits(lines, route, served, facts)
  add_upstream(lines, route)
end

-- --- what no route takes ---

local MEANS = {
  ["501"] = "501: nobody knows the method",
  ["app:not_found"] = "404: no route has this path",
  OPTIONS = "OPTIONS: 204, no route answers it",
  ["405"] = "405: the path has routes for other methods alone",
}

local function is_known(app, method)
  if native.constants.methods[method] then
    return true
  end
  for _, route in ipairs(app.routes) do
    if has_method(route, method) then
      return true
    end
  end
  return false
end

local function add_fallback(lines, app, method, path, host, allowed)
  local chosen, params = fallback.plan(app, {
    path = path, host = host, allowed = allowed, is_options = method == "OPTIONS",
    is_unknown = not is_known(app, method),
  })
  add(lines, "answered by", MEANS[chosen.label])
  if chosen.label == "app:not_found" and app.not_found then
    add(lines, "handler", "app:not_found, " .. routes.place_of(app.not_found))
  elseif allowed then
    add(lines, "allowed", table.concat(allowed, ", "))
  end
  add_params(lines, "params", params)
  add_middleware(lines, chosen.middleware)
end

--- All about one request.
---@param served table of serve.prepare
---@param method string
---@param target string a path with or without a query, or a URL
---@param facts { body_bytes: number } of the configuration
---@return string
function M.text(served, method, target, facts)
  local app, lines = served.app, {}
  local path, query, host = split(target)
  local id, params, allowed = app.router:match(method, path, host)
  local route = id and app.by_id[id]
  if route then
    add_route(lines, route, served, facts)
    add_params(lines, "params", params)
    add_middleware(lines, route.middleware)
  else
    add_fallback(lines, app, method, path, host, allowed)
  end
  if query ~= "" then
    add(lines, "query", query)
  end
  add_others(lines, others_of(app, method, path, route, host))
  return method .. " " .. (host or "") .. path .. "\n\n" .. routes.columns(lines)
end

return M
