--- Whoever waits for what waits for it would wait for ever. A write transaction makes it possible:
--- it awaits a coroutine that it started, which writes beside it, and so waits for its end.
---
--- A Future's `_beside` is the transaction that has to end before it can settle.
local errors = require("moongate.core.errors")
local sched = require("moongate.core.sched")

local M = {}

local function push(stack, future)
  if future and future._state ~= "resolved" and future._state ~= "rejected" then
    stack[#stack + 1] = future
  end
end

-- Pushes what has to settle before `future` can.
local function push_causes(stack, future, visit)
  local beside, reaction, group = future._beside, future._reaction, future._group
  if beside and beside._open then
    visit(beside._task, future)
  end
  visit(future._task)
  if reaction then
    push(stack, reaction.future)
    visit(reaction.task)
  end
  for _, each in ipairs(group and group.reactions or {}) do
    push(stack, each.future)
  end
  push(stack, future._stand_in)
end

-- The statement beside a transaction through which `future` waits for `task`, or nil.
local function find(task, future)
  local stack, seen, statement, found = { future }, {}, nil, nil
  local function visit(other, beside)
    statement = beside or statement
    if other == task then
      found = statement
    elseif other and not seen[other] then
      seen[other] = true
      push(stack, other.waiting)
    end
  end
  while #stack > 0 and not found do
    local each = table.remove(stack)
    if not seen[each] then
      seen[each] = true
      push_causes(stack, each, visit)
    end
  end
  return found
end

--- Raises if `task` would wait for ever for `future`, and stops the statement.
---@param level integer the stack level of the line that awaits
function M.refuse(task, future, level)
  local statement = find(task, future)
  if statement then
    statement:cancel("it would wait for its own end")
    error(errors.new("database", "this would wait for ever: the statement made at "
      .. statement:_where() .. " waits for the transaction begun at "
      .. statement._beside._future:_where() .. ", which waits for it: use tx:query, or begin it "
      .. "when the transaction has ended",
      { reason = "busy", where = sched.user_line(level + 1) }), 0)
  end
end

return M
