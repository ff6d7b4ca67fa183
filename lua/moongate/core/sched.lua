--- The scheduler: the one door from C into Lua.
---
--- C queues requests, finished operations and signals; once a turn of the loop it calls `turn`,
--- which takes them out, and runs every coroutine that can go on. A task is a coroutine with a
--- record beside it; both are recycled, so that a request costs no new coroutine. Nothing here
--- yields across C.
local native = require("moongate.native")
local errors = require("moongate.core.errors")
local slots = require("moongate.core.request.slots")
local ffi = require("ffi")

local M = {}

local resume, yield, create = coroutine.resume, coroutine.yield, coroutine.create
local next_event = native.next_event

-- What a task's coroutine yields: AWAIT passes through a user's own coroutines up to here, DONE
-- gives the coroutine back.
local AWAIT, DONE = {}, {}
M.AWAIT = AWAIT

local events = native.constants.events
local EVENT_REQUEST, EVENT_DONE, EVENT_SIGNAL = events.request, events.done, events.signal
local EVENT_SOCKET = events.socket
local LOG_ERROR = native.constants.log_levels.error
local IN_A_ROW = 1000 -- resumptions in a turn before the loop may look at its sockets again
local IDLE_TASKS = 512
local OUT_OF_MEMORY = "not enough memory" -- how LuaJIT says it
local MEMORY_FAULT = "the scripts' memory is used up"
local STRAY_YIELD = "coroutine.yield outside of a coroutine of your own: await a Future instead"

---@class moongate.Task
---@field co thread
---@field address number of co, for whoever watches from outside
---@field run function what the coroutine does next: run(task)
---@field scope table
---@field waiting table|false the Future it awaits
---@field before table|false? in the list of those who await the same Future
---@field behind table|false?
---@field cancelled table|false raised at the pending await and at every later one

M.current = false -- the task that runs
M.loading = false -- an app's scripts are being loaded
M.collected = false -- what starts the finalizers that the collector has found
-- The task that tells of settled Futures, true outside of tasks: core/future/settle.lua.
M.settling = false
M.native = native
M.explain = nil -- function(err, co) that adds to a message: core/hints.lua

local HANDLE = slots.HANDLE
local note = ffi.cast("double *", native.note_address()) -- src/lua/vm.h: what runs
local MORE, LATE = 3, 4
local late = 0 -- not 0: this turn has taken long, and the loop is to look at its sockets
local idle, idle_count = {}, 0
local ready, first, last = {}, 1, 0 -- a queue of tasks
local later, later_count = {}, 0 -- tasks that let the loop turn first
local turning = false -- whatever gets ready now is seen before the turn ends
local on_request, on_signal, on_stream -- set by core/app/serve.lua
local on_socket -- set by core/live/serve.lua
local SLOTS = native.constants.slots -- so many a handle's low bits tell apart
local operations = {} -- slot of the operation's handle -> Future
local tasks = setmetatable({}, { __mode = "k" }) -- all there are, for the leak check of specs
local threads = setmetatable({}, { __mode = "k" }) -- their coroutines

-- What a task has that memory failed: the stack of its own is not to be kept while that is told.
local DEAD = create(function() end)
resume(DEAD)

local function main(task)
  while true do
    task.run(task)
    task = yield(DONE)
  end
end

local function take_task()
  if idle_count > 0 then
    local task = idle[idle_count]
    idle[idle_count] = nil
    idle_count = idle_count - 1
    return task
  end
  local co = create(main)
  local task = {
    co = co,
    address = native.coroutine_address(co),
    run = false,
    scope = false,
    waiting = false,
    cancelled = false,
    on_failure = false,
    a = false,
    b = false,
    c = false,
    streak = 0,
    held = false, -- what ends with it: see M.hold
    holding = false, -- what whoever started it, and may wait for it, holds: see M.is_holding
    making = false, -- the value that it makes, or whoever started it: cache.lua
    barrier = false, -- what of its functions no await may cross: core/boundary.lua
    trace = false, -- moongate dev: who is told of its awaits: core/dev/trace.lua
    shielded = false, -- its awaits go on though its scope is cancelled: it answers for the scope
  }
  tasks[task], threads[co] = true, true
  return task
end

--- Is it a task's coroutine, which nobody else may resume?
function M.owns(co)
  return threads[co] == true
end

-- Whatever the task alone could have gone on with. `err`: what it failed of.
local function let_go(task, err)
  local held = task.held
  task.held = false
  for future in pairs(held) do
    future:cancel("the coroutine that held it has ended", err)
  end
end

local function give_task(task)
  if task.held then
    let_go(task)
  end
  task.run, task.scope, task.cancelled, task.on_failure = false, false, false, false
  task.a, task.b, task.c, task.streak, task.shielded = false, false, false, 0, false
  task.holding, task.making, task.trace = false, false, false
  if idle_count < IDLE_TASKS then
    idle_count = idle_count + 1
    idle[idle_count] = task
  end
end

local function memory_fault()
  return errors.new("memory", MEMORY_FAULT, { status = 503 })
end

-- What a coroutine failed of: it was made to, it ran out of memory, or it raised.
local function failure_of(err)
  local stall = native.take_stall()
  if err == OUT_OF_MEMORY or (stall and stall:find("limits.lua_memory", 1, true)) then
    return memory_fault()
  end
  return stall and errors.new("stall", stall) or errors.wrap(err)
end

local function tell_where(err, co)
  M.explain(err, co)
  errors.stitch(err, co)
end

-- A fault in here must not stop the other tasks of the turn. What cannot be told because it is too
-- large is told by its kind.
local function tell_failure(task, err)
  local ok, message = pcall(task.on_failure, task, err)
  if not ok and (message == OUT_OF_MEMORY or native.is_short()) then
    native.make_room()
    ok, message = pcall(task.on_failure, task, memory_fault())
  end
  if not ok then
    native.log(LOG_ERROR, "a failure could not be handled: " .. errors.show(message))
  end
end

local function fail(task, err)
  if native.is_short() then -- there is none for whoever tells it either
    task.co = DEAD
    native.make_room()
  end
  local wrapped = failure_of(err)
  pcall(tell_where, wrapped, task.co) -- which there may be no memory for
  tasks[task] = nil
  if task.held then
    let_go(task, wrapped)
  end
  tell_failure(task, wrapped)
  native.take_stall() -- of an error that never ends showing itself
end

-- Runs the task until it waits or ends.
local function step(task)
  local before = M.current
  M.current = task
  note[0], note[1], note[2] = task.scope[HANDLE] or 0, note[1] + 1, task.address
  local ok, what = resume(task.co, task)
  M.current, note[2], late = before, 0, note[LATE]
  if what == DONE and ok then
    give_task(task)
  elseif not ok then
    fail(task, what)
  elseif what ~= AWAIT then
    fail(task, errors.new("error", STRAY_YIELD))
  end
end

--- Runs `run(task)` in a coroutine at once. `run` finds its arguments in task.a, .b, .c. If it
--- raises, `on_failure(task, err)` is called outside of it.
function M.start(scope, run, on_failure, a, b, c)
  local task = take_task()
  task.run, task.scope, task.on_failure = run, scope, on_failure
  task.a, task.b, task.c = a, b, c
  step(task)
end

--- The same, but in this turn or the next, behind what is ready already. Returns the task.
function M.start_soon(scope, run, on_failure, a, b, c)
  local task = take_task()
  task.run, task.scope, task.on_failure = run, scope, on_failure
  task.a, task.b, task.c = a, b, c
  task.holding = M.is_holding()
  M.ready(task)
  return task
end

local function holds_scarce(held)
  for each in pairs(held) do
    if each._scarce then
      return true
    end
  end
  return false
end

--- The coroutine that runs, or one that may wait for it, holds what there are few of (its `_scarce`
--- is set): to be made to wait for what others hold, who may wait likewise, could be for ever.
---@return table|boolean its transaction, or true, or false
function M.is_holding()
  local task = M.current
  return task and (task.holding or task.held and holds_scarce(task.held)) or false
end

--- `future`, or whatever else has a `cancel`, is cancelled when the task ends in any way, unless it
--- was released before.
function M.hold(task, future)
  task.held = task.held or {}
  task.held[future] = true
end

--- The task may end without an end of `future`.
function M.release(task, future)
  if task.held then
    task.held[future] = nil
  end
end

local function run_give_up(task)
  fail(task.a, task.b)
end

local function give_up_failed(_, err)
  native.log(LOG_ERROR, "a coroutine could not be ended: " .. tostring(err))
end

--- Ends the running task, which yields next and is waited for by nothing: it is never resumed.
function M.give_up(task, err)
  M.start_soon(task.scope, run_give_up, give_up_failed, task, err)
end

--- Lets a waiting task go on, behind what is ready already.
function M.ready(task)
  ready[last + 1] = task -- first: there may be no memory for it
  last = last + 1
  if last == first and not turning then
    native.turn_soon()
  end
end

--- Lets a waiting task go on once the loop has looked at its sockets and timers.
function M.breathe(task)
  later[later_count + 1] = task
  later_count = later_count + 1
end

local function run_later()
  for i = 1, later_count do
    M.ready(later[i])
    later[i] = nil
  end
  later_count = 0
end

local function run_ready()
  local budget = IN_A_ROW
  while first <= last and budget > 0 and late == 0 do
    local task = ready[first]
    ready[first] = nil
    first = first + 1
    budget = budget - 1
    step(task)
  end
  if first > last then
    first, last = 1, 0
  end
  return budget > 0 and late == 0
end

local function finished(handle, ok, a, ...)
  local slot = handle % SLOTS + 1
  local future = operations[slot]
  if future then
    operations[slot] = false
    if ok then
      future:_settle_operation(true, a, ...)
    elseif a == "memory" then -- src/lua/vm.c: there was no room for the result
      future:_settle_operation(false, "memory", MEMORY_FAULT, { status = 503 })
    else
      future:_settle_operation(false, a, ...)
    end
  end
end

local function turn()
  turning, M.current, late = true, false, 0
  local collected = M.collected
  if collected then
    M.collected = false
    collected()
  end
  if M.settling then -- whoever did was made to fail in the middle of it
    M.settling = false
    M.settle_rest()
  end
  if later_count > 0 then
    run_later()
  end
  local kind, a, b, c, d, e, f, g = next_event()
  while kind do
    if kind == EVENT_REQUEST then
      on_request(a, b, c, d, e)
    elseif kind == EVENT_DONE then
      finished(a, b, c, d, e, f, g)
    elseif kind == EVENT_SOCKET then
      on_socket(a, b, c, d, e, f)
    elseif kind == EVENT_SIGNAL then
      on_signal(a, b)
    else
      on_stream(a, b, c, d)
    end
    if not run_ready() then
      break
    elseif note[MORE] == 0 then
      kind = nil
    else
      kind, a, b, c, d, e, f, g = next_event()
    end
  end
  local rested = run_ready()
  turning = false
  if not rested or kind or later_count > 0 then
    native.turn_soon()
  end
end

native.bind_turn(turn)

--- "file:line" of the innermost line on the stack that is a script's, from `level` on.
---@return string?
function M.user_line(level)
  for at = level + 1, level + 40 do
    local source, line = native.where(at)
    if not source then
      return nil
    elseif not source:find("lua/moongate/", 1, true) and line > 0 then
      return source .. ":" .. line
    end
  end
end

native.bind_limit(function(most)
  error(errors.new("limit", "more than " .. most .. " operations are under way: await some before "
    .. "others begin", { operations = most, where = M.user_line(2) }), 0)
end)

--- The functions that take requests, signals, and connections without requests.
function M.serve(request, signal, stream)
  on_request, on_signal, on_stream = request, signal, stream
end

--- The function that takes what came for WebSockets.
function M.serve_sockets(socket)
  on_socket = socket
end

--- `future` is settled when the operation ends.
function M.watch(handle, future)
  operations[handle % SLOTS + 1] = future
end

--- Nobody wants the operation's result any more.
function M.cancel_operation(handle)
  operations[handle % SLOTS + 1] = false
  native.cancel(handle)
end

--- Tasks and operations that are under way, for the leak check of specs.
function M.under_way()
  local busy, ops = {}, {}
  for task in pairs(tasks) do
    if task.run then
      busy[#busy + 1] = task
    end
  end
  for _, future in pairs(operations) do
    if future then
      ops[#ops + 1] = { future = future }
    end
  end
  return busy, ops
end

return M
