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
local lifetime = require("moongate.core.request.lifetime")
local send = require("moongate.core.request.send").send
local streams = require("moongate.core.stream")
local log = require("moongate.log")

local native = sched.native
local HANDLE, ROUTE, TASK, APP = slots.HANDLE, slots.ROUTE, slots.TASK, slots.APP
local PHASE, KIND, STATUS, TYPE = slots.PHASE, slots.KIND, slots.STATUS, slots.TYPE
local BODY, FIELDS, ANSWERING, PLAIN = slots.BODY, slots.FIELDS, slots.ANSWERING, slots.PLAIN
local OPEN, STAGED, COMMITTED, OVER = slots.OPEN, slots.STAGED, slots.COMMITTED, slots.OVER
local TUNNEL, CANCELLED = slots.TUNNEL, scopes.CANCELLED
local status_of, stage_problem = problem.status_of, problem.stage
local stage_returned, finish = answer.stage_returned, lifetime.finish

local ON_ERROR_SECONDS = 1 -- for app:on_error, once the handler's deadline has passed

local M = {}

-- --- telling ---

-- Of an answer that the handler chose, and of a method that nobody knows (501), the log says
-- nothing: any client can have those.
local function is_no_fault(err)
  if errors.field(err, "told") then -- the log has it from C
    return true
  end
  local status = status_of(err)
  return errors.code(err) == "status" and (status < 500 or status == 501)
end

local function log_failure(ctx, err)
  if is_no_fault(err) then
    return
  end
  local code = errors.code(err)
  local what = "the handler of " .. ctx[ROUTE].label .. " failed"
  if code == "cancelled" then
    what = what .. ", for it awaited a Future that was cancelled, made at the line named here"
  end
  log.failure(what, err, {
    request_id = native.request_id(ctx[HANDLE]),
    route = ctx[ROUTE].name or ctx[ROUTE].pattern,
  })
end

-- Whether the task died of the end of its request, which is no failure.
local function is_own_end(task, err)
  return err == task.a[CANCELLED] or err == task.cancelled
end

-- --- answering ---

local function clear_answer(ctx)
  ctx[PHASE], ctx[KIND], ctx[STATUS], ctx[TYPE], ctx[BODY] = OPEN, PLAIN, 200, false, false
end

local function call_on_error(ctx, script, err)
  ctx[STATUS] = status_of(err)
  local a, b, c = script(ctx, err)
  if a ~= nil or b ~= nil or c ~= nil then
    stage_returned(ctx, "on_error function", script, a, b, c)
  end
end

-- In a task of its own: ctx's scope is cancelled, this task is not.
local function answer_error(task)
  local ctx, err = task.a, task.b
  local app, page = ctx[APP].app, ctx[APP].page
  task.shielded = true
  ctx[TASK] = task
  clear_answer(ctx)
  if app.on_error then
    call_on_error(ctx, app.on_error, err)
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
  clear_answer(ctx)
  local code = errors.code(err)
  code = (code == "timeout" or code == "reload") and code or "error"
  ctx[FIELDS] = code == "reload" and { "Retry-After", "1" }
  stage_problem(ctx, errors.new(code, "app:on_error failed"))
  native.respond(ctx[HANDLE], ctx[STATUS], ctx[TYPE], ctx[FIELDS], ctx[BODY])
  give_up(ctx, err) -- if that did not end it
end

-- on_error itself failed, or what it staged cannot be sent.
local function answer_failed(task, err)
  local ctx = task.a
  ctx[TASK] = false
  if ctx[PHASE] ~= OVER then
    if not is_own_end(task, err) then
      log_failure(ctx, err)
    end
    answer_plainly(ctx, err)
  end
end

local function start_answer(ctx, err)
  ctx[ANSWERING] = true
  sched.start(ctx, answer_error, answer_failed, ctx, err)
end

-- --- why ---

--- The task of the handler failed with `err`.
---@param task table a = ctx
function M.failed(task, err)
  local ctx = task.a
  ctx[TASK] = false
  if not is_own_end(task, err) then
    log_failure(ctx, err)
  end
  if ctx[PHASE] == OVER or ctx[ANSWERING] then
    return
  end
  scopes.cancel(ctx, errors.new("cancelled", "the handler failed", { cause = err }))
  if ctx[PHASE] == COMMITTED then
    return give_up(ctx, err)
  end
  start_answer(ctx, err)
end

--- The handler is not waited for any longer: `err` is answered in its place, if need be at once.
---@param why string what the handler is told
function M.overrule(ctx, err, why)
  local answering = ctx[ANSWERING]
  lifetime.cancel(ctx, errors.new("cancelled", why, { cause = err }))
  log_failure(ctx, err)
  if answering then -- app:on_error takes too long as well
    return answer_plainly(ctx, err)
  end
  native.set_deadline(ctx[HANDLE], ON_ERROR_SECONDS)
  start_answer(ctx, err)
end

return M
