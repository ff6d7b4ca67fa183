--- redis:watch: a connection for one coroutine. It is given back when the coroutine's function
--- returns, and closed, which forgets all that was watched, by whatever else ends it.
local native = require("moongate.native")
local asking = require("moongate.core.redis.asking")
local words = require("moongate.core.redis.words")
local kept = require("moongate.core.kept")
local sched = require("moongate.core.sched")
local suggest = require("moongate.core.suggest")
local check = require("moongate.core.check")
local Future = require("moongate.future")
local time = require("moongate.time")

local M = {}

local TRIES = 5 -- to begin where the keys are

---@class moongate.RedisWatch
local Watch = {}
Watch.__index = Watch

local function several(tx, level, list, transaction, first)
  if type(tx) ~= "table" or getmetatable(tx) ~= Watch then
    error("call it with a colon: tx:command(...)", level + 1)
  end
  if asking.stub then
    return (first and asking.stub(tx._scope, level + 1, list[1])
      or asking.send_transaction(tx._scope, level + 1, tx._name, nil, list))
  end
  return (asking.started(tx._scope, level + 1, tx._name,
    native.lease_several(tx._lease, tx._timeout, list, transaction, first)))
end

local function keep(tx, future)
  kept.add(tx._begun, future)
  return future
end

--- Runs a command at once, before the transaction.
---@return moongate.Future of the reply
function Watch:command(...)
  words.refuse((...), (select(2, ...)), 2)
  local future = several(self, 2, { words.list("command", { ... }, 2) }, false, true)
  return (Future._named("command", keep(self, future)))
end

--- Runs commands as a transaction, unless one of the keys has changed.
---@return moongate.Future of the list of replies; nil: a key has changed, nothing was done
function Watch:multi(list)
  local future = several(self, 2, asking.commands("multi", list, 2), true, false)
  self._multi = true
  return (Future._named("multi", keep(self, future)))
end

suggest.close(Watch, "what redis:watch gives")

local function drop(tx)
  local lease = tx._lease
  tx._lease = 0
  if lease ~= 0 then
    native.cancel(lease)
  end
end

local function begin(tx, keys)
  local lease, what, message = native.redis_lease(tx._name, keys[1])
  if not lease then
    error(asking.refusal(tx._name, what, message, tx._future:_where()), 0)
  end
  tx._lease = lease
  return several(tx, 2, { { "WATCH", unpack(keys) } }, false, true):try_await()
end

-- In a cluster slots may have moved: who is asked knows better each time.
local function open(tx, keys)
  if asking.stub then
    return
  end
  for try = 1, TRIES do
    local ok, err = begin(tx, keys)
    if ok then
      return
    elseif err.reason ~= "MOVED" or try == TRIES then
      error(err, 0)
    end
    drop(tx)
  end
end

local function close(tx)
  kept.await(tx._begun)
  if tx._lease ~= 0 and not tx._multi then
    several(tx, 2, { { "UNWATCH" } }, false, true):await()
  end
  local lease = tx._lease
  tx._lease = 0
  if lease ~= 0 then
    native.lease_end(lease)
  end
end

local function run(task)
  if task.cancelled then
    return -- before it began
  end
  local tx = task.a
  open(tx, task.c)
  local result = task.b(tx)
  if getmetatable(result) == Future then
    result = result:await()
  end
  close(tx)
  tx._future:resolve(result)
end

local function failed(task, err)
  drop(task.a)
  Future._fail(task, task.a._future, err)
end

--- Runs `fn(tx)` in a coroutine of `scope`.
---@param keys table of texts
---@return moongate.Future of what fn returns
function M.begin(scope, level, name, timeout, keys, fn)
  if not check.is_callable(fn) then
    error("watch: a function is wanted, not " .. check.describe(fn), level + 1)
  end
  local future = Future._new(scope, level + 1)
  if time.is_over(scope) then
    future:_abandon(scope[require("moongate.core.scope").CANCELLED])
    return future
  end
  local tx = setmetatable({
    _name = name, _scope = scope, _future = future, _lease = 0, _timeout = timeout, _multi = false,
    _begun = kept.new(),
  }, Watch)
  local task = sched.start_soon(scope, run, failed, tx, fn, keys)
  task.shielded = sched.current and sched.current.shielded or false
  task.making = sched.current and sched.current.making
  future._task = task
  future._cancel = function(_, err)
    drop(tx)
    Future._cancel_task(task, err)
  end
  return future
end

return M
