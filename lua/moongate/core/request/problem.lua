--- The answer that an error becomes: its status, and problem+json.
local native = require("moongate.native")
local errors = require("moongate.core.errors")
local slots = require("moongate.core.request.slots")
local answer = require("moongate.core.request.answer")
local grpc = require("moongate.core.request.grpc")

local HANDLE, PHASE, STAGED = slots.HANDLE, slots.PHASE, slots.STAGED
local KIND, PLAIN, STATUS, TYPE = slots.KIND, slots.PLAIN, slots.STATUS, slots.TYPE
local BODY, FIELDS = slots.BODY, slots.FIELDS
local field, raw, is_status = errors.field, errors.raw, answer.is_status

local M = {}

local STATUS_OF_CODE = {
  timeout = 504, limit = 413, dns = 502, denied = 502, connect = 502, tls = 502, closed = 502,
  protocol = 502,
  database = 503, cache = 503, reload = 503, stall = 503, memory = 503,
}

-- Why a Redis cannot be asked now, unlike what a server refuses.
local AWAY = { down = true, closed = true, limit = true, timeout = true }

-- What another moment would not make better is a fault of the script.
local OWN_FAULT = { constraint = true, syntax = true, readonly = true, error = true }

--- Any table may carry one of the codes; only an error of our own class says a status of its own,
--- and a script may have changed that.
---@param err any
---@return integer
function M.status_of(err)
  local code = raw(err, "code")
  if code == "status" then
    local status = field(err, "status")
    return is_status(status) and status >= 400 and status or 500
  elseif code == "database" and OWN_FAULT[raw(err, "reason")] then
    return 500
  elseif code == "redis" and AWAY[raw(err, "reason")] then
    return 503
  elseif code == "limit" and raw(err, "url") then
    return 502 -- another server's body
  elseif code == "limit" and (raw(err, "path") or raw(err, "operations")) then
    return 500 -- a file, or what the script began
  end
  return STATUS_OF_CODE[code] or 500
end

local DETAILS = {
  stall = "the handler did not finish",
  reload = "the server's scripts were reloaded",
  memory = "the scripts' memory is used up",
}

--- Stages RFC 9457 problem+json, or what a client of gRPC understands.
---@param err any
function M.stage(ctx, err)
  local status, code = M.status_of(err), errors.code(err)
  if grpc.asks(ctx) then
    local told = code == "status" and err.message ~= "" and err.message
    return grpc.stage(ctx, status, told or DETAILS[code])
  end
  local problem = {
    type = "about:blank",
    title = native.http.status_phrase(status),
    status = status,
    request_id = native.request_id(ctx[HANDLE]), -- nil once the client is gone
  }
  if code == "status" then
    problem.detail = err.message ~= "" and err.message or nil
    for key, value in next, err.details or {} do
      problem[key] = value
    end
  elseif status == 504 then
    problem.detail = "no answer in time"
  else
    problem.detail = DETAILS[code]
  end
  ctx[FIELDS] = ctx[FIELDS] or false
  ctx[KIND], ctx[STATUS], ctx[TYPE] = PLAIN, status, "application/problem+json"
  ctx[BODY], ctx[PHASE] = problem, STAGED
  for name, value in next, field(err, "fields") or {} do
    ctx:header(name, value)
  end
  if status == 426 and field(err, "upgrade") then
    answer.demand_upgrade(ctx, field(err, "upgrade"))
  end
  if code == "memory" then
    answer.set_own(ctx, "Retry-After", "1")
  end
end

return M
