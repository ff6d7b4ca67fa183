--- A connection to another server that a script asks for, of whatever protocol: under way, and what
--- has come of it, which ends with the coroutine that asked and with that one's scope, unless it is
--- detached: then it is the scripts'. For moongate.tcp and moongate.websocket.
local check = require("moongate.core.check")
local errors = require("moongate.core.errors")
local sched = require("moongate.core.sched")
local files = require("moongate.files")
local Future = require("moongate.future")
local time = require("moongate.time")

local M = {}

-- --- what is asked for ---

function M.boolean(name, value)
  return check.type(name, value, "boolean")
end

function M.text(name, value)
  check.string(name, value)
  if value == "" or value:find("\0", 1, true) then
    check.fail(name .. ": it is empty or holds a NUL")
  end
  return value
end

function M.path(name, value)
  return files.resolve(M.text(name, value))
end

--- One network or name, or a list of them; src/client/rules.c knows which there are.
function M.rules(name, value)
  local list = type(value) == "table" and value or { value }
  if not check.is_list(list) then
    check.fail(name .. ': a list of networks and names as "10.0.0.0/8", "private" is wanted')
  end
  for _, each in ipairs(list) do
    M.text(name, each)
  end
  return value
end

-- --- the way to it ---

---@class moongate.Connecting.Kind
---@field what string the name of the call
---@field make fun(given: any, opened: any): table what scripts get; has `guard`, `held` from here
---@field drop fun(opened: any) nobody wants it any more
---@field release fun(made: table, failed: boolean) nothing is left of it; cannot fail
---@field begin nil|fun(made: table, scope: table) it ends with the scope from here on

-- A connection under way, in the scheduler's eyes: told when its operation has finished.
local Connecting = {}
Connecting.__index = Connecting

function Connecting:_where()
  return self.future:_where()
end

-- What was made ends with its scope. Taken out when it ends by itself.
local function guard(connecting, made)
  local future = Future._new(connecting.scope, 2)
  local kind = connecting.kind
  future._looked_at, future._internal, future._what = true, true, kind.what
  future._consumers = 1 -- whoever has it
  future._cancel = function()
    kind.release(made, true)
  end
  made.guard = future
end

-- It ends with its coroutine.
function Connecting:cancel(_, err)
  local made = self.made
  if not made then
    self.future:cancel("the coroutine that asked for it has ended")
  elseif made.guard then
    self.kind.release(made, err ~= nil)
    made.guard:resolve()
  end
end

local function open(connecting, opened)
  local kind = connecting.kind
  local made = kind.make(connecting.given, opened)
  made.held, connecting.made = connecting, made
  guard(connecting, made)
  if kind.begin then
    kind.begin(made, connecting.scope)
  end
  return made
end

function Connecting:_settle_operation(ok, a, b, fields)
  local future = self.future
  future._operation = false
  if future._state ~= "pending" then
    if ok then
      self.kind.drop(a)
    end
  elseif ok then
    future:resolve(open(self, a))
  else
    fields = fields or {}
    fields.where = future:_where()
    future:reject(errors.new(a, b, fields))
  end
end

local function cancel_connecting(future)
  if future._operation then
    sched.cancel_operation(future._operation)
    future._operation = false
  end
end

--- Goes on once the operation `handle` has finished. For the public function itself to call.
---@param kind moongate.Connecting.Kind
---@param given any for `make`
---@return moongate.Future of what `make` makes
function M.begin(kind, handle, given)
  local scope = Future._current_scope()
  local future = time.operation(handle, scope, 3)
  if future._operation then -- the scope lives
    local connecting = setmetatable({
      kind = kind, future = future, scope = scope, given = given, made = false,
    }, Connecting)
    future._cancel = cancel_connecting
    sched.watch(handle, connecting)
    if sched.current then
      connecting.task = sched.current
      sched.hold(sched.current, connecting)
    end
  end
  return (Future._named(kind.what, future))
end

--- It ends neither with the coroutine nor with the scope that asked for it, but with the scripts.
---@return boolean false: it was detached before
function M.detach(made)
  local guarded = made.guard
  if not guarded then
    return false
  end
  guarded:resolve()
  made.guard = false
  sched.release(made.held.task or {}, made.held)
  return true
end

return M
