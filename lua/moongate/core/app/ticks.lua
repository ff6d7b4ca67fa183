--- When the jobs of app:every tick.
local native = require("moongate.native")
local cron = require("moongate.core.app.cron")

local M = {}

-- A clock that was set is noticed at the latest after so many seconds.
local LOOKS = 60

-- From 0 to `most`, different in each worker.
local function random_seconds(most)
  if most == 0 then
    return 0
  end
  local a, b, c = native.tools.random_bytes(3):byte(1, 3)
  return most * (a * 65536 + b * 256 + c) / 0xffffff
end

--- Seconds until the first look at the next tick. `state` is the job's own, for `more`.
---@param job { name: string, seconds: number?, cron: moongate.Cron?, jitter: number? }
---@param state { last: number?, due: number?, jittered: number? } of cron's ticks, in seconds since
--- 1970: the last one, the next one, and when that really comes
---@return number seconds
function M.wait(job, state)
  local jitter = random_seconds(job.jitter or 0)
  if not job.cron then
    return native.job_wait(job.name, job.seconds) + jitter
  end
  local now = native.wall()
  local left = cron.next(job.cron, math.max(now, state.last or 0)) - now
  -- Under a name of its own: what another expression waited for is none of its ticks.
  state.due = now + native.job_wait(job.name .. " " .. job.when, left)
  state.jittered = state.due + jitter
  return math.min(state.jittered - now, LOOKS)
end

--- Seconds that are left when those are over; nil: it ticks now.
---@return number?
function M.more(job, state)
  local left = job.cron and state.jittered - native.wall() or 0
  if left > 0 then
    return math.min(left, LOOKS)
  end
  state.last = state.due
end

--- Seconds from one tick to the next, for whoever says that a run takes long.
---@return number
function M.period(job, state)
  if not job.cron then
    return job.seconds
  end
  local due = state.due or native.wall()
  return cron.next(job.cron, due) - due
end

return M
