--- The virtual clock of a spec, and the loop beneath it.
local native = require("moongate.native")
local net = require("moongate.test.net")
local websocket = require("moongate.test.websocket")

local Clock = {}
Clock.__index = Clock

local TURNS = 1000000

-- Turns the loop once, and has the peers of specs look at what came of it. False: nothing
-- happened.
local function turn(may_jump, limit)
  local progress = native.test_turn(may_jump, limit)
  local moved = websocket.poll()
  return net.poll() or moved or progress ~= "idle"
end

---@return table
function Clock.new()
  return setmetatable({ start = native.now() }, Clock)
end

function Clock:reset()
  self.start = native.now()
end

--- Virtual seconds since the app started.
---@return number
function Clock:elapsed()
  return native.now() - self.start
end

--- Virtual seconds, the clock's own.
function Clock.now()
  return native.now()
end

--- Lets `seconds` pass: timers fire on their way, in order.
function Clock:advance(seconds)
  if type(seconds) ~= "number" or seconds < 0 then
    error("advance: seconds are wanted, a number of at least 0", 2)
  end
  local goal = native.now() + seconds
  for _ = 1, TURNS do
    if not turn(true, goal) then
      break
    end
  end
  native.test_set_now(goal)
  self:settle()
end

--- Turns the loop until nothing happens at this moment of virtual time.
function Clock.settle()
  for _ = 1, TURNS do
    if not turn(false) then
      return
    end
  end
  error("the loop does not come to rest", 2)
end

--- Turns the loop, and the clock where nothing else can happen, until `done()`.
function Clock.until_true(_, done, what)
  for _ = 1, TURNS do
    if done() then
      return
    end
    if not turn(true) and not done() then
      error(what .. " waits for something that can never happen", 3)
    end
  end
  error(what .. " goes on for ever", 3)
end

--- The same, but not beyond the time `limit`.
---@param limit number seconds of the clock's own
function Clock.wait(_, done, limit)
  for _ = 1, TURNS do
    if done() or native.now() >= limit then
      return
    elseif not turn(true, limit) then
      native.test_set_now(limit)
    end
  end
  error("the loop does not come to rest", 2)
end

return Clock
