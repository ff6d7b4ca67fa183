--- `moongate dev --record FILE`: what requests ask and are answered, and what servers, database,
--- cache and files say to the app meanwhile, as a spec.
local context = require("moongate.core.request.context")
local fields = require("moongate.core.headers")
local options = require("moongate.core.http.options")
local sched = require("moongate.core.sched")
local statements = require("moongate.core.database.statement")
local trace = require("moongate.core.dev.trace")
local writer = require("moongate.core.record.writer")
local log = require("moongate.log")
local Future = require("moongate.future")

local M = {}

local open = io.open -- scripts get another one

local BODY_MOST = 64 * 1024 -- of a request, beyond which it is not kept
local FILE_MOST = 4 * 1024 * 1024 -- beyond which nothing is added
local SUBJECTS = {
  http = require("moongate.http"), cache = require("moongate.cache"),
  files = require("moongate.files"),
}

local tapes = setmetatable({}, { __mode = "k" }) -- of requests that are under way

-- The tape of the request for which `scope` or the running task works; nil: none is recorded.
local function tape_of(scope)
  local task = sched.current
  return context.is(scope) and tapes[scope] or task and task.scope and tapes[task.scope] or nil
end

local function on_settled(reaction, future)
  local call = reaction.call
  call.over = true
  if future._state == "resolved" then
    call.value = Future._values(future)
  else
    call.err = future._value
  end
end

local function watch(call, future)
  if getmetatable(future) == Future then
    Future._react(future, { direct = on_settled, call = call, scope = Future._current_scope() })
  end
  return future
end

local function note(tape, subject, name, ...)
  local call = { subject = subject, name = name, n = select("#", ...), ... }
  if name == "http_request" then
    local ok, request = pcall(options.normalize, (...))
    call.request = ok and request or nil
  elseif name == "cached" then
    local make = call[3]
    call[3] = function()
      call.made = true
      return make()
    end
  end
  if name ~= "http_request" or call.request then
    tape.calls[#tape.calls + 1] = call
  end
  return call
end

local function record_calls(subject, calls)
  for name, real in pairs(calls) do
    if name ~= subject then -- ctx:cache() gives an object, whose calls count
      calls[name] = function(scope, level, ...)
        local tape = tape_of(scope)
        if not tape then
          return real(scope, level, ...)
        end
        local call = note(tape, subject, name, ...)
        return watch(call, (real(scope, level + 1, unpack(call, 1, call.n))))
      end
    end
  end
end

-- A statement is told of before it is started, and what it is started as right behind.
local function record_statements()
  local started, pending = statements.started, nil
  function statements.stub(scope, _, sql, first, ...)
    local tape = tape_of(scope)
    pending = tape and note(tape, "database", "query_database", sql, ...)
    if pending then
      pending.first = first
    end
  end
  function statements.started(scope, level, ...)
    local call = pending
    pending = nil
    local future = started(scope, level + 1, ...)
    return call and watch(call, future) or future
  end
end

local function middleware(ctx, next)
  local tape = {
    calls = {}, method = ctx.method, target = ctx.target, headers = fields.lowered(ctx.headers),
  }
  tapes[ctx] = tape
  if (ctx.length or 0) > 0 and ctx.length <= BODY_MOST then
    tape.body = ctx:body():try_await()
  end
  next()
  tape.answer = ctx.answer.body
end

local function read(path)
  local file = open(path, "r")
  local text = file and file:read("*a")
  return text, file and file:close()
end

-- A statement for the first row alone gives that; a stub of it gives all.
local function as_rows(tape)
  for _, call in ipairs(tape.calls) do
    if call.first then
      call.value, call.first = { call.value }, nil
    end
  end
end

local function on_response(path)
  return function(ctx, answer)
    local tape = tapes[ctx]
    if not tape or answer.aborted then
      return
    end
    tapes[ctx] = nil
    as_rows(tape)
    tape.status, tape.content_type = answer.status, answer.headers["content-type"]
    local before = read(path)
    if before and #before > FILE_MOST then
      return
    end
    local file, message = open(path, "w")
    if not file then
      log.error("--record: " .. message)
      return
    end
    file:write((writer.add(before, tape)))
    file:close()
  end
end

--- Records the requests to an app from now on.
---@param frozen table of app:freeze()
---@param path string the spec, to which each request is added
function M.install(frozen, path)
  for subject, module in pairs(SUBJECTS) do
    record_calls(subject, module.calls)
  end
  record_statements()
  for _, route in ipairs(frozen.routes) do
    if not route.files and not route.proxied and not trace.is_own(route.pattern) then
      route.middleware = { middleware, unpack(route.middleware) }
    end
  end
  frozen.on_response = { on_response(path), unpack(frozen.on_response or {}) }
end

return M
