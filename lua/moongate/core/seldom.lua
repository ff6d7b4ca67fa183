--- Warnings of what peers may cause as often as they like: one in a while, which tells how many
--- were left out before it.
local log = require("moongate.log")
local time = require("moongate.time")

local M = {}

local APART = 10 -- seconds

--- What one kind of warning is counted in.
function M.new()
  return { next_at = 0, left_out = 0 }
end

---@param kind table of M.new
---@param message string
function M.warn(kind, message)
  local now = time.monotonic()
  if now < kind.next_at then
    kind.left_out = kind.left_out + 1
    return
  end
  if kind.left_out > 0 then
    message = ("%s (and %d times more since the last line of this)"):format(message, kind.left_out)
  end
  kind.next_at, kind.left_out = now + APART, 0
  log.warn(message)
end

return M
