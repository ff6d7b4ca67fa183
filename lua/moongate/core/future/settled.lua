--- Futures that are settled from the start, for calls that need not wait.
local errors = require("moongate.core.errors")
local scopes = require("moongate.core.scope")
local Future = require("moongate.future")

local M = {}

---@param level integer stack level of the caller's line
---@return moongate.Future of `value`
function M.resolved(scope, value, level)
  local future = Future._new(scope, level + 1)
  Future._settle(future, "resolved", 1, value)
  return future
end

---@param fields table? of the error
---@return moongate.Future
function M.rejected(scope, code, message, level, fields)
  local future = Future._new(scope, level + 1)
  fields = fields or {}
  fields.where = future:_where()
  Future._settle(future, "rejected", 1, errors.new(code, message, fields))
  return future
end

--- What is begun in a scope that is over.
---@return moongate.Future
function M.abandoned(scope, level)
  local future = Future._new(scope, level + 1)
  future:_abandon(scope[scopes.CANCELLED])
  return future
end

return M
