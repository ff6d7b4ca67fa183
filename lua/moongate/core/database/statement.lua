--- What everything that asks a database has in common: how a statement is started, or refused.
local native = require("moongate.native")
local check = require("moongate.core.check")
local errors = require("moongate.core.errors")
local decoders = require("moongate.core.database.decoders")
local constraint = require("moongate.core.database.constraint")
local settling = require("moongate.core.future.settle")
local suggest = require("moongate.core.suggest")
local Future = require("moongate.future")
local time = require("moongate.time")

local M = {}

settling.completions.database = constraint.complete

local NONE = 'no database is configured: database = "sqlite:build/var/app.db" in the configuration'

--- In specs: function(scope, level, sql, first, ...) -> the Future of what a statement is stubbed
--- with, or nil.
M.stub = false

-- --- what cannot be started ---

local function unknown(name)
  local names, known = native.database_names(), {}
  if #names == 0 then
    return NONE
  end
  for _, other in ipairs(names) do
    known[other] = true
  end
  return "there is no database '" .. name .. "'" .. suggest.for_name(name, known)
    .. "; configured: " .. table.concat(names, ", ")
end

--- The error of what a native function did not start.
---@param what "unknown"|"limit"|"closed"|"copied"|"error"
---@param where string "file:line" of the caller
---@return moongate.Error
function M.refusal(name, what, where)
  local code, reason, message = "database", "error", "the statement cannot be started"
  if what == "unknown" then
    message = unknown(name)
  elseif what == "limit" then
    reason, message = "limit", "too many statements wait for the database"
  elseif what == "closed" then
    code, reason, message = "closed", "closed", "the database or its transaction is closed"
  elseif what == "copied" then
    code, reason, message = "closed", "closed", "the copy was finished or closed"
  end
  return errors.new(code, message, { reason = reason, where = where })
end

local function rejected(scope, level, name, what, sql)
  local future = Future._new(scope, level + 1)
  local err = M.refusal(name, what, future:_where())
  err.statement = sql:sub(1, 500)
  Future._settle(future, "rejected", 1, err)
  return future
end

function M.fail_parameter(level, number, what)
  error("parameter $" .. number .. ": " .. what, level + 1)
end

function M.check_sql(level, sql)
  if type(sql) ~= "string" then
    error("the statement is wanted as a string, not " .. check.describe(sql), level + 1)
  end
  Future._refuse_loading("a database's statement", level + 1)
end

--- The Future of what a native function has started, or has not.
function M.started(scope, level, name, sql, handle, what, number, text)
  if handle then
    local future = time.operation(handle, scope, level + 1)
    decoders.heed(future, name)
    return future
  elseif what == "parameter" then
    M.fail_parameter(level + 1, number, text)
  end
  return (rejected(scope, level + 1, name, what, sql))
end

-- --- sessions ---

-- Sessions of rows that nobody can ask for any more. A finalizer only writes them down: it runs in
-- the middle of anything.
local abandoned = {}

--- `holder`, a Future, stands for a session: it is cancelled when nobody can reach `owner` any
--- more. So is whatever else has a `cancel`.
function M.guard(owner, holder)
  local guard = newproxy(true)
  getmetatable(guard).__gc = function()
    abandoned[#abandoned + 1] = holder
  end
  owner._guard = { guard, owner._guard }
end

--- To be called before anything is begun.
function M.sweep()
  if not abandoned[1] then
    return
  end
  local list = abandoned
  abandoned = {}
  for _, holder in ipairs(list) do
    holder:cancel("nobody reads the rows any more")
  end
end

return M
