--- Future.all, any, race and all_settled: over a list or a table with names. Items that are no
--- Futures count as resolved.
local errors = require("moongate.core.errors")
local settling = require("moongate.core.future.settle")

local array = require("moongate.native").json.array
local check = require("moongate.core.check")
local Future = settling.Future

local M = {}

local function check_table(name, items)
  if type(items) ~= "table" or getmetatable(items) == Future then
    error("Future." .. name .. ": a list or a table of Futures is wanted, not "
      .. check.describe(items), 3)
  end
end

-- Nobody needs to tell the result any more.
local function withdraw_all(group)
  local reactions = group.reactions
  group.reactions = {}
  for i = 1, #reactions do
    settling.withdraw(reactions[i])
  end
end

local function cancel_result(result)
  withdraw_all(result._group)
end

local function on_settled(reaction, future)
  local group = reaction.group
  if group.result._state == "pending" then
    group.visit(reaction.key, future)
    if group.result._state ~= "pending" then
      withdraw_all(group)
    end
  end
end

-- Lets `visit(key, future)` see each Future as it settles, until `result` is settled; then the rest
-- is withdrawn from. Returns how many items there are.
local function gather(result, items, visit)
  local group, count = { result = result, visit = visit, reactions = {} }, 0
  local scope = result._scope
  result._group, result._cancel = group, cancel_result
  for key, item in pairs(items) do
    count = count + 1
    if getmetatable(item) == Future then
      local reaction = {
        direct = on_settled, group = group, key = key, scope = scope, future = item,
        before = false, behind = false,
      }
      group.reactions[#group.reactions + 1] = reaction
      settling.react(item, reaction)
    elseif result._state == "pending" then
      visit(key, { _state = "resolved", _n = 1, _value = item })
    end
  end
  if result._state ~= "pending" then
    withdraw_all(group)
  end
  settling.end_with_scope(result)
  return count
end

local function new_result(name)
  return settling.named(name, settling.new(settling.current_scope(), 3))
end

local function value_of(future)
  return (settling.values(future))
end

-- Nothing of nothing is an empty list.
local function results(items)
  return next(items) == nil and array() or {}
end

--- All values, under the keys of `items`; the first failure rejects it and cancels the siblings.
---@return moongate.Future
function M.all(items)
  check_table("all", items)
  local result, out, done = new_result("all"), results(items), 0
  local count
  local function finish()
    if done == count then
      result:resolve(out)
    end
  end
  count = gather(result, items, function(key, future)
    if future._state == "rejected" then
      result:reject(future._value)
    else
      out[key] = value_of(future)
      done = done + 1
      finish()
    end
  end)
  finish()
  return result
end

--- The first value; rejected only when all are, with `errors` under the keys of `items`.
---@return moongate.Future
function M.any(items)
  check_table("any", items)
  local result, failures, done, last = new_result("any"), {}, 0, nil
  local count
  local function finish()
    if done == count then
      local code = errors.raw(last, "code")
      code = type(code) == "string" and code or "error"
      result:reject(errors.new(code, "none of the Futures was resolved", {
        errors = failures,
        cause = last,
      }))
    end
  end
  count = gather(result, items, function(key, future)
    if future._state == "resolved" then
      result:resolve(value_of(future))
    else
      failures[key], last = future._value, future._value
      done = done + 1
      finish()
    end
  end)
  finish()
  return result
end

--- Settles like the first that settles. Of an empty table it stays pending.
---@return moongate.Future
function M.race(items)
  check_table("race", items)
  local result = new_result("race")
  gather(result, items, function(_, future)
    if future._state == "resolved" then
      result:resolve(value_of(future))
    else
      result:reject(future._value)
    end
  end)
  return result
end

--- Never rejected: { state =, value = } or { state =, err = } under the keys of `items`.
---@return moongate.Future
function M.all_settled(items)
  check_table("all_settled", items)
  local result, out, done = new_result("all_settled"), results(items), 0
  local count
  local function finish()
    if done == count then
      result:resolve(out)
    end
  end
  count = gather(result, items, function(key, future)
    if future._state == "resolved" then
      out[key] = { state = "resolved", value = value_of(future) }
    else
      out[key] = { state = "rejected", err = future._value }
    end
    done = done + 1
    finish()
  end)
  finish()
  return result
end

return M
