--- `moongate dev`: faults are shown to whoever asked, pages load themselves again when a file was
--- saved, requests are logged with what they awaited, and /.moongate/ lists routes and requests.
local info = require("moongate.core.info")
local errors = require("moongate.core.errors")
local fault = require("moongate.core.dev.fault")
local html = require("moongate.core.dev.html")
local trace = require("moongate.core.dev.trace")
local routes = require("moongate.core.app.routes")
local problem = require("moongate.core.request.problem")
local slots = require("moongate.core.request.slots")

local M = {}

local OVERVIEW, SCRIPT = trace.OWN, trace.OWN .. "reload.js"
local PHASE, STAGED, KIND, PLAIN = slots.PHASE, slots.STAGED, slots.KIND, slots.PLAIN
local TYPE, BODY = slots.TYPE, slots.BODY

local open = io.open -- scripts get another one

local function read_disk(path)
  local file = open(path, "rb")
  if not file then
    return nil
  end
  local text = file:read("*a")
  file:close()
  return text
end

-- --- who asks ---

-- How much of a type an Accept field wants, from 0 to 1; 0 if it does not name it.
local function quality(accept, wanted)
  for range in accept:gmatch("[^,]+") do
    if range:match("^%s*([^;%s]+)") == wanted then
      return tonumber(range:match(";%s*q=([%d.]+)")) or 1
    end
  end
  return 0
end

-- Browsers name HTML, clients of an API may name JSON; curl takes anything, and gets text.
local function wanted_by(ctx)
  local accept = (ctx.headers.accept or ""):lower()
  local page = quality(accept, "text/html")
  local json = math.max(quality(accept, "application/json"),
    quality(accept, "application/problem+json"))
  if page > 0 and page >= json then
    return "html"
  end
  return json > 0 and "json" or "text"
end

-- --- faults ---

-- Gives the project's sources by path; what a message may name beyond them is nobody's business.
local function reader(root, read)
  read = read or read_disk
  local prefix = root == "" and "" or (root:gsub("/$", "") .. "/")
  return function(path)
    if path:sub(1, 1) == "/" then
      if prefix == "" or path:sub(1, #prefix) ~= prefix then
        return nil
      end
      path = path:sub(#prefix + 1)
    end
    return not ("/" .. path .. "/"):find("/../", 1, true) and read(prefix .. path) or nil
  end
end

local function sorted_into(rows, prefix, values)
  local names = {}
  for name in pairs(values) do
    names[#names + 1] = name
  end
  table.sort(names)
  for _, name in ipairs(names) do
    rows[#rows + 1] = { prefix .. name, tostring(values[name]) }
  end
end

-- What is known of the request, but for its body.
local function details_of(ctx)
  local rows = {}
  if ctx.route.where then
    rows[1] = { "route", ctx.route.pattern .. ", " .. ctx.route.where }
  end
  sorted_into(rows, "ctx.params.", ctx.params)
  sorted_into(rows, "ctx.query.", ctx.query)
  sorted_into(rows, "", ctx.headers)
  return rows
end

local function fault_of(ctx, err, status, source_of)
  -- A code that says nothing more is left out.
  local message = errors.line(err):gsub(" %(error%)$", "")
  local traceback = errors.traceback(err)
  return {
    title = status .. " " .. ctx.method .. " " .. ctx.path,
    message = message,
    request = ctx.method .. " " .. ctx.target,
    frames = fault.frames(message, traceback, source_of),
    details = details_of(ctx),
    awaits = trace.awaits(ctx),
  }
end

local STAGES = {}

function STAGES.html(ctx, told)
  ctx:header("Content-Security-Policy", nil) -- the app's would keep the page from looking again
  ctx:html(fault.html(told))
end

function STAGES.text(ctx, told)
  ctx:text(fault.text(told))
end

function STAGES.json(ctx, told, err)
  problem.stage(ctx, err)
  local first = told.frames[1]
  ctx[BODY].detail = told.message
  ctx[BODY].at = first and first.path .. ":" .. first.line or nil
end

--- What stages an error's page: page(ctx, err, status) is true if it did, false for errors that are
--- the client's.
---@param root string
---@param read (fun(path: string): string?)?
function M.page(root, read)
  local source_of = reader(root, read)
  return function(ctx, err, status)
    if status < 500 then
      return false
    end
    ctx:status(status)
    ctx:header("Cache-Control", "no-store")
    STAGES[wanted_by(ctx)](ctx, fault_of(ctx, err, status, source_of), err)
    return true
  end
end

-- --- pages of the app ---

-- An HTML page gets a script that loads it again; in a file of its own, which a policy of 'self'
-- allows.
local function add_script(ctx)
  local is_page = ctx[PHASE] == STAGED and ctx[KIND] == PLAIN and type(ctx[BODY]) == "string"
    and type(ctx[TYPE]) == "string" and ctx[TYPE]:find("^text/html")
  if is_page and wanted_by(ctx) == "html" then
    ctx[BODY] = ctx[BODY] .. ('<script src="%s?g=%d"></script>\n'):format(SCRIPT, info.generation)
  end
end

local function watch(ctx, next)
  trace.follow(ctx)
  next()
  add_script(ctx)
end

-- --- pages of our own ---

local function answer_poll(is_fault)
  return function(ctx)
    ctx:header("Cache-Control", "no-store")
    return { generation = info.generation, fault = is_fault }
  end
end

local function answer_script(ctx)
  ctx:header("Cache-Control", "no-store")
  ctx:bytes("text/javascript", html.script())
end

local function rows_of_routes(app)
  local rows = {}
  for _, route in ipairs(app.routes) do
    if not trace.is_own(route.pattern) then
      local places = {}
      for _, fn in ipairs(route.middleware) do
        places[#places + 1] = fn ~= watch and routes.place_of(fn) or nil
      end
      rows[#rows + 1] = {
        table.concat(route.methods, ","), (route.host or "") .. route.pattern, route.name or "",
        route.where, table.concat(places, "\n"),
      }
    end
  end
  return rows
end

local function rows_of_requests()
  local rows = {}
  for i, each in ipairs(trace.last()) do
    rows[i] = {
      each.request, tostring(each.status), trace.time(each.seconds), each.route or "",
      table.concat(trace.lines(each.awaits), "\n"),
    }
  end
  return rows
end

local ROUTE_HEAD = { "Method", "Pattern", "Name", "Declared at", "Middleware" }
local REQUEST_HEAD = { "Request", "Status", "Time", "Route", "Awaits" }

local function answer_overview(app)
  return function(ctx)
    ctx:header("Cache-Control", "no-store")
    ctx:html(html.page("Moongate", "<h2>Routes</h2>"
      .. html.rows(rows_of_routes(app()), ROUTE_HEAD)
      .. "<h2>Last requests</h2>"
      .. html.rows(rows_of_requests(), REQUEST_HEAD)))
  end
end

--- app:freeze() with the pages of development; the app's own middleware does not guard them.
function M.freeze(app)
  local frozen
  app:get(html.POLL, answer_poll(false))
  app:get(SCRIPT, answer_script)
  app:get(OVERVIEW, answer_overview(function() return frozen end))
  app:on_response(trace.ended)
  frozen = app:freeze()
  for _, route in ipairs(frozen.routes) do
    if trace.is_own(route.pattern) then
      route.middleware = {}
    elseif route.middleware[1] or not route.proxied then -- what C relays alone it goes on to
      table.insert(route.middleware, 1, watch)
    end
  end
  return frozen
end

--- An app that answers everything with the fault that kept the real one from loading.
---@param message string
---@param page function of M.page
function M.fault_app(message, page)
  local app = require("moongate.app").new()
  app:get(html.POLL, answer_poll(true))
  app:not_found(function(ctx)
    page(ctx, message, 500)
  end)
  return app
end

return M
