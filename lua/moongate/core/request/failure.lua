--- What becomes of a request whose handler fails, or is made to end.
---
--- The request's scope is cancelled, and somebody else answers, once: app:on_error in a task of its
--- own, else problem+json. If that fails too, the answer of last resort runs nobody's code.
local sched = require("moongate.core.sched")
local scopes = require("moongate.core.scope")
local errors = require("moongate.core.errors")
local slots = require("moongate.core.request.slots")
local answer = require("moongate.core.request.answer")
local problem = require("moongate.core.request.problem")
local returned = require("moongate.core.request.returned")
local lifetime = require("moongate.core.request.lifetime")
local send = require("moongate.core.request.send").send
local streams = require("moongate.core.stream")
local log = require("moongate.log")

local native = sched.native
local HANDLE, ROUTE, TASK = slots.HANDLE, slots.ROUTE, slots.TASK
local PHASE, KIND, STATUS, TYPE = slots.PHASE, slots.KIND, slots.STATUS, slots.TYPE
local BODY, FIELDS, ANSWERING, PLAIN = slots.BODY, slots.FIELDS, slots.ANSWERING, slots.PLAIN
local OPEN, STAGED, COMMITTED, OVER = slots.OPEN, slots.STAGED, slots.COMMITTED, slots.OVER
local TUNNEL, CANCELLED, ROOT = slots.TUNNEL, scopes.CANCELLED, scopes.ROOT
local status_of, stage_problem = problem.status_of, problem.stage
local stage_returned, finish = returned.stage, lifetime.finish

local ON_ERROR_SECONDS = 1 -- for app:on_error, once the handler's deadline has passed

local M = {}

-- --- telling ---

-- Of an answer that the handler chose, and of a method that nobody knows (501), the log says
-- nothing: any client can have those.
local function is_no_fault(err)
  if errors.field(err, "told") then -- the log has it already, or need not
    return true
  end
  local status = status_of(err)
  return errors.code(err) == "status" and (status < 500 or status == 501)
end

local function log_failure(ctx, err)
  if is_no_fault(err) then
    return
  end
  log.failure("the handler of " .. ctx[ROUTE].label .. " failed", err, {
    request_id = native.request_id(ctx[HANDLE]),
    route = ctx[ROUTE].name or ctx[ROUTE].pattern,
  })
end

-- Whether the task died of the end of its request, which is no failure.
local function is_own_end(task, err)
  return err == task.a[CANCELLED] or err == task.cancelled
end

-- Where memory is short for the handler it is for whoever tells of it too: that is one failure.
local function is_same_want(a, b)
  return errors.code(a) == "memory" and errors.code(b) == "memory"
end

-- --- answering ---

-- What is said of content that is not sent.
local OF_CONTENT = {
  ["accept-ranges"] = true, etag = true, expires = true, ["last-modified"] = true,
  ["content-disposition"] = true, ["content-encoding"] = true, ["content-language"] = true,
  ["content-location"] = true, ["content-range"] = true, ["content-digest"] = true,
  ["repr-digest"] = true, digest = true,
}

local function is_of_content(name, value, is_fault)
  if name == "cache-control" then -- "no-store" and "private" are as true of an error
    value = value:lower()
    return value:find("max-age", 1, true) or value:find("public", 1, true)
      or value:find("immutable", 1, true)
  end
  return OF_CONTENT[name] or is_fault and name == "set-cookie"
end

-- Fields that described the failed handler's content are not true of the error in its place, and a
-- fault is no reason to be logged in.
local function without_content(fields, is_fault)
  local kept = { kept = fields.kept }
  for i = 1, #fields, 2 do
    local name, value = fields[i], fields[i + 1]
    if (fields.kept and fields.kept[value]) or not is_of_content(name:lower(), value, is_fault) then
      kept[#kept + 1] = name
      kept[#kept + 1] = value
    end
  end
  return kept
end

local function clear_answer(ctx, err)
  answer.leave_relayed(ctx)
  ctx[PHASE], ctx[KIND], ctx[STATUS], ctx[TYPE], ctx[BODY] = OPEN, PLAIN, 200, false, false
  if ctx[FIELDS] then
    ctx[FIELDS] = without_content(ctx[FIELDS], status_of(err) >= 500)
  end
end

local function call_on_error(ctx, script, err)
  ctx[STATUS] = status_of(err)
  local a, b, c = script(ctx, err)
  if a ~= nil or b ~= nil or c ~= nil then
    stage_returned(ctx, "on_error function", script, a, b, c)
  end
end

-- What app:on_error maps to an answer that is the client's own matter is nobody's fault.
local function log_unless_mapped(task)
  local ctx = task.a
  if not (ctx[PHASE] == STAGED and ctx[STATUS] < 500) then
    task.c = false
    log_failure(ctx, task.b)
  end
end

-- In a task of its own: ctx's scope is cancelled, this task is not. task.c: the error is to be
-- logged yet.
local function answer_error(task)
  local ctx, err = task.a, task.b
  local served = ctx[ROOT].served
  local app, page = served.app, served.page
  task.shielded = true
  ctx[TASK] = task
  clear_answer(ctx, err)
  if app.on_error then
    call_on_error(ctx, app.on_error, err)
  end
  if task.c then
    log_unless_mapped(task)
  end
  if ctx[PHASE] == OPEN and not (page and page(ctx, err, status_of(err))) then
    stage_problem(ctx, err)
  end
  if ctx[PHASE] == STAGED then
    send(ctx)
  end
  ctx[TASK] = false
end

--- What ctx cannot do any more C does: it answers 500, or cuts what is under way.
---@param why table the error that on_close functions are told
function M.give_up(ctx, why)
  if ctx[KIND] == TUNNEL and ctx[PHASE] == COMMITTED then
    streams.release(ctx[BODY], true)
  else
    native.give_up(ctx[HANDLE])
  end
  finish(ctx, why)
end
local give_up = M.give_up

-- The answer of last resort, which runs nobody's code.
local function answer_plainly(ctx, err)
  if ctx[PHASE] == COMMITTED then
    return give_up(ctx, err)
  end
  clear_answer(ctx, err)
  local code = errors.code(err)
  code = (code == "timeout" or code == "reload" or code == "memory") and code or "error"
  ctx[FIELDS] = code == "reload" and { "Retry-After", "1" }
  stage_problem(ctx, errors.new(code, "app:on_error failed"))
  native.respond(ctx[HANDLE], ctx[STATUS], ctx[TYPE], ctx[FIELDS], ctx[BODY])
  give_up(ctx, err) -- if that did not end it
end

-- What ctx:fail said in app:on_error.
local function answer_status(task)
  local ctx, err = task.a, task.b
  task.shielded = true
  ctx[TASK] = task
  clear_answer(ctx, err)
  stage_problem(ctx, err)
  send(ctx)
  ctx[TASK] = false
end

-- What was staged cannot be sent.
local function status_failed(task, err)
  local ctx = task.a
  ctx[TASK] = false
  if ctx[PHASE] ~= OVER then
    log_failure(ctx, err)
    answer_plainly(ctx, err)
  end
end

-- on_error itself failed, or what it staged cannot be sent.
local function answer_failed(task, err)
  local ctx = task.a
  local on_purpose = errors.code(err) == "status" and not is_own_end(task, err)
  ctx[TASK] = false
  if task.c and not (on_purpose and status_of(err) < 500) then
    log_failure(ctx, task.b)
  end
  if ctx[PHASE] == OVER then
    return
  elseif on_purpose and ctx[PHASE] ~= COMMITTED then
    return sched.start(ctx, answer_status, status_failed, ctx, err)
  elseif not (is_own_end(task, err) or is_same_want(task.b, err)) then
    log_failure(ctx, err)
  end
  answer_plainly(ctx, err)
end

-- `unlogged`: nobody was told of the error yet.
local function start_answer(ctx, err, unlogged)
  scopes.rest(ctx)[ANSWERING] = true
  sched.start(ctx, answer_error, answer_failed, ctx, err, unlogged)
end

-- Whether app:on_error is asked first.
local function may_be_mapped(ctx)
  return ctx[ROOT].served.app.on_error and ctx[PHASE] ~= COMMITTED and ctx[PHASE] ~= OVER
    and not slots.in_rest(ctx, ANSWERING)
end

-- --- why ---

--- The task of the handler failed with `err`.
---@param task table a = ctx
function M.failed(task, err)
  local ctx = task.a
  ctx[TASK] = false
  local unlogged = not is_own_end(task, err)
  if unlogged and not may_be_mapped(ctx) then
    unlogged = false
    log_failure(ctx, err)
  end
  if ctx[PHASE] == OVER or slots.in_rest(ctx, ANSWERING) then
    return
  end
  scopes.cancel(ctx, errors.new("cancelled", "the handler failed", { cause = err }))
  if ctx[PHASE] == COMMITTED then
    return give_up(ctx, err)
  end
  start_answer(ctx, err, unlogged)
end

--- The handler is not waited for any longer: `err` is answered in its place, if need be at once.
---@param why string what the handler is told
function M.overrule(ctx, err, why)
  local answering = slots.in_rest(ctx, ANSWERING)
  lifetime.cancel(ctx, errors.new("cancelled", why, { cause = err }))
  log_failure(ctx, err)
  if answering then -- app:on_error takes too long as well
    return answer_plainly(ctx, err)
  end
  native.set_deadline(ctx[HANDLE], ON_ERROR_SECONDS)
  start_answer(ctx, err, false)
end

return M
