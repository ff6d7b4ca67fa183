--- A fault as a client of gRPC is told: HTTP 200, and in grpc-status how the call went.
local native = require("moongate.native")
local slots = require("moongate.core.request.slots")

local HANDLE, PHASE, STAGED = slots.HANDLE, slots.PHASE, slots.STAGED
local KIND, PLAIN, STATUS, TYPE = slots.KIND, slots.PLAIN, slots.STATUS, slots.TYPE
local BODY, FIELDS = slots.BODY, slots.FIELDS

local M = {}

--- Whether the request is a call of gRPC.
---@return boolean
function M.asks(ctx)
  local kind = native.request_header(ctx[HANDLE], "content-type") -- nil once the client is gone
  local rest = kind and kind:lower():match("^application/grpc(.*)$")
  return rest ~= nil and (rest == "" or rest:find("^[;+ ]") ~= nil)
end

--- Stages the answer.
---@param status integer what a client of HTTP would be told
---@param message string|nil a sentence
function M.stage(ctx, status, message)
  ctx[FIELDS] = ctx[FIELDS] or false
  ctx[KIND], ctx[STATUS], ctx[TYPE] = PLAIN, 200, "application/grpc"
  ctx[BODY], ctx[PHASE] = "", STAGED
  ctx:header("grpc-status", tostring(native.http.grpc_status(status)))
  ctx:header("grpc-message", ((message or native.http.status_phrase(status)):gsub("[^ -$&-~]",
    function(byte)
      return ("%%%02X"):format(byte:byte())
    end)))
end

return M
