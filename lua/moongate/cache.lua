--- The cache that all workers share: ctx:query_cache and its like; moongate.cache() for work
--- without a request.
---
--- Of a cache in memory every call is done when it returns, and its Future is settled from the
--- start; of another one it is an operation. What was stored may be gone at any time (evicted, too
--- old, emptied with the death of a worker).
local native = require("moongate.native")
local check = require("moongate.core.check")
local sched = require("moongate.core.sched")
local errors = require("moongate.core.errors")
local suggest = require("moongate.core.suggest")
local log = require("moongate.log")
local Future = require("moongate.future")
local time = require("moongate.time")
local text = require("moongate.core.text")

local M = {}

local LEASE = 30 -- seconds that a worker may make a value alone
local FIRST_WAIT, LONGEST_WAIT = 0.002, 0.05 -- between two looks for what another worker makes
local NESTED_WAIT = 2 -- seconds that a maker waits for what another worker makes
local TELL_EACH = 60 -- seconds between two warnings of one place

-- --- arguments ---

-- A key is a string, or a number such as the id of a row.
local function check_key(name, key, level)
  local name_of_key, wrong = text.of(key)
  if not name_of_key then
    error(name .. ": the key, of at most 1 KiB: " .. wrong, level + 1)
  end
  Future._refuse_loading(name, level + 1)
  return name_of_key
end

local function check_ttl(name, ttl, level)
  if ttl ~= nil and not (type(ttl) == "number" and ttl > 0 and ttl < 1e10) then
    error(name .. ": ttl: seconds are wanted, a number above 0, not " .. check.describe(ttl),
      level + 1)
  end
  return ttl
end

--- Which argument of each call its options are, and what they may be: stubs check them too.
M.options = {
  update_cache = { 3, { ttl = true } }, increment_cache = { 3, { initial = true, ttl = true } },
}

local function check_options(name, options)
  return options == nil and {} or check.options(name, options, M.options[name][2])
end

-- --- results ---

local function rejected(scope, level, code, message)
  local future = Future._new(scope, level + 1)
  future:reject(errors.new(code, message, { where = future:_where() }))
  return future
end

-- The Future of what a native function gave: true and a value, false with a code and a message
-- ("down": it was not even asked), or the handle of what is under way.
local function future_of(scope, level, ok, value, message)
  if ok == true then
    return (Future._resolved(value))
  elseif ok then
    return (time.operation(ok, scope, level + 1))
  end
  return (rejected(scope, level + 1, value == "down" and "cache" or value, message))
end

-- The same for who waits for it in a coroutine: the value, or nil, a code and a message.
local function result_of(ok, value, message)
  if ok == true then
    return value
  elseif not ok then
    return nil, value, message
  end
  local found, err = time.operation(ok, Future._current_scope(), 1):try_await()
  if err then
    return nil, err.code, err.message
  end
  return found
end

-- --- single flight ---

local AGAIN = {} -- the maker was cancelled: somebody else has to

---@class moongate.Flight
---@field future table what those who follow it wait for
---@field up table|false the flight whose maker asked for this one
---@field waits table the flights that its maker waits for
local Flight = {}
Flight.__index = Flight
local flights = {} -- key -> the Flight of whoever makes its value in this worker

-- True if it had not landed before: however its maker ended, the key is free now.
local function land(flight)
  local key = flight.key
  if flights[key] ~= flight then
    return false
  end
  flights[key] = nil
  native.cache_release(key)
  return true
end

-- The maker's coroutine is gone without a word (sched.hold): `err` ended it, or a cancellation.
function Flight:cancel(_, err)
  if land(self) then
    if err and not self.task.cancelled and not time.is_over(self.task.scope) then
      self.future:reject(err)
    else
      self.future:resolve(AGAIN)
    end
  end
end

local function look(key)
  return (result_of(native.cache_get(key)))
end

-- Without an answer nobody waits for anybody.
local function is_taken(key)
  return result_of(native.cache_lease(key, LEASE)) == false
end

-- Another worker's value, or nil once this one may make it. A maker that asks for another key does
-- not wait for long: another worker may have the two the other way round.
local function wait_for_lease(key, nested)
  local pause, waited = FIRST_WAIT, 0
  while is_taken(key) do
    if nested and waited > NESTED_WAIT then
      return
    end
    time.sleep(pause):await()
    local value = look(key)
    if value ~= nil then
      return value
    end
    waited = waited + pause
    pause = math.min(pause * 2, LONGEST_WAIT)
  end
  local value = look(key) -- made between the first look and the lease
  if value ~= nil then
    native.cache_release(key)
  end
  return value
end

local told = {} -- place -> when it was last said

local function tell_lost(key, where, message)
  local now = time.monotonic()
  if not told[where] or now - told[where] >= TELL_EACH then
    told[where] = now
    log.warn(where .. ": cached: what is made for '" .. key:sub(1, 100)
      .. "' cannot be stored, so it is made anew each time: " .. message)
  end
end

local function make(flight, ttl, fn)
  local key = flight.key
  local value = wait_for_lease(key, flight.up)
  if value ~= nil then
    return value
  end
  value = fn()
  if getmetatable(value) == Future then
    value = value:await()
  end
  if value ~= nil then
    local stored, code, message = result_of(native.cache_set(key, value, ttl))
    -- "cache" would be a lock that was busy, or one that is elsewhere and does not answer.
    if not stored and code ~= "cache" and code ~= "down" then
      tell_lost(key, flight.where, message)
    end
  end
  return value -- the waiting ones get it all the same
end

local function take_off(key, where)
  local task = sched.current
  local flight = setmetatable({
    key = key, where = where, task = task, up = task.making, waits = {},
    future = Future._new(nil, 1),
  }, Flight)
  flight.future._looked_at = true
  flight.future.keep = true -- it is made though nobody else waits any more
  flights[key] = flight
  task.making = flight
  sched.hold(task, flight)
  return flight
end

local function lead(key, ttl, fn, where)
  local flight = take_off(key, where)
  local ok, value = pcall(make, flight, ttl, fn)
  local task, future = flight.task, flight.future
  task.making = flight.up
  sched.release(task, flight)
  land(flight)
  if ok then
    future:resolve(value)
    return value
  end
  -- What counts is whether it ends, not what `fn` made of that.
  if task.cancelled or time.is_over(task.scope) then
    future:resolve(AGAIN)
  else
    future:reject(value)
  end
  error(value, 0)
end

-- --- circles ---

local function is_among(flight, mine)
  while mine and mine ~= flight do
    mine = mine.up
  end
  return mine
end

-- The keys of what this task makes, down from that of `flight`.
local function way_down(flight, mine)
  local way = "'" .. mine.key .. "' -> "
  while mine ~= flight do
    mine = mine.up
    way = "'" .. mine.key .. "' -> " .. way
  end
  return way
end

-- The keys from `flight` to one that this task makes itself, if it waits for that in the end; and
-- that one.
local function way_back(flight, mine, seen)
  if is_among(flight, mine) then
    return "'" .. flight.key .. "'", flight
  end
  seen[flight] = true
  for other in pairs(flight.waits) do
    if not seen[other] and flights[other.key] == other then
      local way, own = way_back(other, mine, seen)
      if way then
        return "'" .. flight.key .. "' -> " .. way, own
      end
    end
  end
end

local function refuse_circle(flight, mine, where)
  if not mine then
    return
  end
  local way, own = way_back(flight, mine, {})
  if way then
    error(errors.new("cache", "cached: '" .. flight.key .. "' is asked for by what is made for it: "
      .. way_down(own, mine) .. way, { where = where }), 0)
  end
end

local function mark_waiting(flight, mine, how)
  while mine do
    mine.waits[flight] = how
    mine = mine.up
  end
end

-- Each who waits gets a copy of its own, if the cache has one.
local function follow(flight, where)
  local mine = sched.current.making
  refuse_circle(flight, mine, where)
  mark_waiting(flight, mine, true)
  local value, err = flight.future:try_await()
  mark_waiting(flight, mine, nil)
  if err then
    error(err, 0)
  elseif value == AGAIN then
    return false
  end
  local copy = look(flight.key)
  if copy ~= nil then
    return true, copy
  end
  return true, value
end

local function fly(key, ttl, fn, where)
  while true do
    local flight = flights[key]
    if not flight then
      return lead(key, ttl, fn, where)
    end
    local done, value = follow(flight, where)
    if done then
      return value
    end
  end
end

-- `ok`: what the first look gave: nothing so far, its handle, or false: the cache is down, and the
-- value is made all the same.
local function look_and_fly(ok, key, ttl, fn, where)
  local value
  if ok then
    value = result_of(ok)
  end
  if value ~= nil then
    return value
  end
  return fly(key, ttl, fn, where)
end

-- --- what ctx has: functions of (scope, level, ...) ---

M.calls = {}
local calls = M.calls

--- The value of a key, or nil.
---@return moongate.Future
function calls.query_cache(scope, level, key)
  key = check_key("query_cache", key, level + 1)
  return (future_of(scope, level + 1, native.cache_get(key)))
end

--- Stores a value: a string, or whatever JSON can say, of at most 1 MiB (of a small cache less).
---@param options { ttl: number }? seconds; without it until it is evicted
---@return moongate.Future of true
function calls.update_cache(scope, level, key, value, options)
  key = check_key("update_cache", key, level + 1)
  local ttl = check_ttl("update_cache", check_options("update_cache", options).ttl, level + 1)
  if value == nil then
    error("update_cache: nil cannot be stored: use delete_cache", level + 1)
  end
  local ok, code, message = native.cache_set(key, value, ttl)
  if code == "json" then
    error("update_cache: " .. message, level + 1)
  end
  local future = future_of(scope, level + 1, ok, code, message)
  future._uncancellable = true
  return future
end

--- Forgets a key.
---@return moongate.Future of whether it was there
function calls.delete_cache(scope, level, key)
  key = check_key("delete_cache", key, level + 1)
  return (future_of(scope, level + 1, native.cache_delete(key)))
end

local function is_whole(n)
  return type(n) == "number" and n % 1 == 0 and n > -2 ^ 53 and n < 2 ^ 53
end

--- Adds `by` (1) to a counter in one step; a new one begins at `initial` (0) and ends after `ttl`.
---@param options { initial: integer, ttl: number }?
---@return moongate.Future of the sum
function calls.increment_cache(scope, level, key, by, options)
  key = check_key("increment_cache", key, level + 1)
  options = check_options("increment_cache", options)
  local initial = options.initial or 0
  by = by == nil and 1 or by
  if not is_whole(by) or not is_whole(initial) then
    error("increment_cache: a whole number is wanted, not "
      .. check.describe(is_whole(by) and initial or by), level + 1)
  end
  local ttl = check_ttl("increment_cache", options.ttl, level + 1)
  return (future_of(scope, level + 1, native.cache_increment(key, by, initial, ttl)))
end
calls.increment = calls.increment_cache

--- The value of a key; if there is none, what `fn()` gives, which is stored for `ttl` seconds. It
--- is made once for all who ask meanwhile, in all workers: they wait. An error of `fn` goes to
--- those of the same worker; if its request is cancelled, another one makes the value. What cannot
--- be stored is given to all who wait, and a warning says so; a key that is asked for by what makes
--- it, even by way of others, is an error.
---@param ttl number? seconds
---@param fn fun(): any a value, or a Future of one; nil is not stored
---@return moongate.Future of the value
function calls.cached(scope, level, key, ttl, fn)
  key = check_key("cached", key, level + 1)
  check_ttl("cached", ttl, level + 1)
  if type(fn) ~= "function" then
    error("cached: a function is wanted that makes the value, not " .. check.describe(fn),
      level + 1)
  end
  local ok, value, message = native.cache_get(key)
  if ok == true and value ~= nil then
    return (Future._resolved(value))
  elseif not ok and value ~= "down" then
    return (rejected(scope, level + 1, value, message))
  end
  local source, line = native.where(level + 1)
  return (time.spawn_in(scope, level + 1, look_and_fly, ok, key, ttl, fn, source .. ":" .. line))
end

-- --- without a request ---

---@class moongate.Cache
local Cache = {}
Cache.__index = Cache

local METHODS = {
  get = "query_cache", set = "update_cache", delete = "delete_cache",
  increment = "increment_cache", cached = "cached",
}
for method, name in pairs(METHODS) do
  Cache[method] = function(_, ...)
    return (Future._named(method, calls[name](Future._app_scope(), 2, ...)))
  end
end

--- Figures of the whole cache: entries, bytes, capacity, hits, misses, sets, evicted, expired,
--- busy (calls that found a shard locked), emptied (shards, since a worker died in them).
---@return table
function Cache.stats()
  local ok, stats, message = native.cache_stats()
  if not ok then
    error(errors.new(stats, message), 2)
  end
  return stats
end

--- Forgets everything, for all workers.
---@return moongate.Future of true
function Cache.clear()
  return (Future._named("clear", future_of(Future._app_scope(), 2, native.cache_clear())))
end

suggest.close(Cache, "a cache")

local the_cache = setmetatable({}, Cache)

--- The cache: :get(key), :set(key, value, { ttl = s }), :delete(key), :increment(key, by, options),
--- :cached(key, ttl, fn), :stats(), :clear().
---@return moongate.Cache
function M.get()
  return the_cache
end

return M
