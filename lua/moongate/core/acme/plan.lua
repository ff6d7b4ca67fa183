--- When an ACME client does what: pure functions of times and of a number that was drawn. Times are
--- seconds since 1970.
local native = require("moongate.native")

local M = {}

local MINUTE, HOUR, DAY = 60, 3600, 86400

-- --- instants ---

local MONTHS = {
  "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
}

-- As a date of HTTP, whose reader knows the calendar and does not ask which day of the week it was.
local function of_rfc3339(text)
  local year, month, day, time, zone =
    text:match("^(%d%d%d%d)%-(%d%d)%-(%d%d)[Tt](%d%d:%d%d:%d%d)%.?%d*(.+)$")
  if not year then
    return nil
  end
  local sign, hours, minutes = zone:match("^([+-])(%d%d):(%d%d)$")
  if not sign and not zone:find("^[Zz]$") then
    return nil
  end
  local name = MONTHS[tonumber(month)] or ""
  local utc = native.http.parse_date(("Sun, %s %s %s %s GMT"):format(day, name, year, time))
  local offset = sign and (tonumber(hours) * HOUR + tonumber(minutes) * MINUTE) or 0
  return utc and utc - (sign == "-" and -offset or offset)
end

--- Of "2026-01-03T00:00:00Z" (RFC 3339) or a date of HTTP ("Sat, 03 Jan 2026 00:00:00 GMT"); nil:
--- it is neither.
---@param text any
---@return number?
function M.instant(text)
  if type(text) ~= "string" then
    return nil
  end
  return native.http.parse_date(text) or of_rfc3339(text)
end

--- What a Retry-After field says, in seconds from `now`, a day at most; nil: nothing that can be
--- understood.
---@param value string?
---@param now number
---@return number?
function M.retry_after(value, now)
  local seconds = value and (value:match("^%d+$") and tonumber(value)
    or (M.instant(value) and M.instant(value) - now))
  return seconds and math.min(math.max(seconds, 0), DAY)
end

-- --- renewal ---

-- So that many certificates of one day are not all renewed on one day.
local SPREAD = 1 / 15

--- At two thirds of the lifetime, a thirtieth of it sooner or later.
---@param not_before number
---@param not_after number
---@param draw number from 0 to 1
---@return number
function M.renew_at(not_before, not_after, draw)
  local life = not_after - not_before
  return not_before + life * (2 / 3 + (draw - 0.5) * SPREAD)
end

--- A moment in the window that the directory suggests (RFC 9773 section 4.2), the same for the same
--- draw; nil: it suggests none.
---@param window table? { start =, ["end"] = }
---@param draw number from 0 to 1
---@return number?
function M.renew_within(window, draw)
  local first = type(window) == "table" and M.instant(window.start)
  local last = first and M.instant(window["end"])
  return last and last >= first and first + (last - first) * draw or nil
end

--- Seconds until the directory is asked for that window again (RFC 9773 section 4.3).
---@param seconds number? what it says; nil: nothing
---@return number
function M.ask_again(seconds)
  return math.min(math.max(seconds or 6 * HOUR, MINUTE), DAY)
end

-- --- failures ---

-- Nobody counts what does not reach a directory; what it has refused, it does: Let's Encrypt allows
-- five failed validations an hour.
local FIRST = { unreached = 2, refused = 60 }
local MOST = { unreached = 10 * MINUTE, refused = 6 * HOUR }

--- Seconds until it is tried again, a quarter sooner or later; not before the directory allows it.
---@param failures integer in a row, from 1
---@param kind "unreached"|"refused"
---@param retry_after number?
---@param draw number from 0 to 1
---@return number
function M.backoff(failures, kind, retry_after, draw)
  local wait = math.min(FIRST[kind] * 2 ^ math.min(failures - 1, 20), MOST[kind])
  return math.max(wait * (0.75 + draw / 2), retry_after or 0)
end

return M
