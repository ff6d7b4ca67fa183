--- When an ACME client does what: pure functions of times and of a number that was drawn. Times are
--- seconds since 1970.
local M = {}

local MINUTE, HOUR, DAY = 60, 3600, 86400

-- --- instants ---

local MONTHS = {
  Jan = 1, Feb = 2, Mar = 3, Apr = 4, May = 5, Jun = 6,
  Jul = 7, Aug = 8, Sep = 9, Oct = 10, Nov = 11, Dec = 12,
}

-- Of the Gregorian calendar; years begin in March, so that the leap day is the last one.
local function days(year, month, day)
  if month <= 2 then
    year, month = year - 1, month + 12
  end
  local era = math.floor(year / 400)
  local of_era = year - era * 400
  local of_year = math.floor((153 * (month - 3) + 2) / 5) + day - 1
  return era * 146097 + of_era * 365 + math.floor(of_era / 4) - math.floor(of_era / 100)
    + of_year - 719468
end

local function at(year, month, day, hour, minute, second)
  return days(tonumber(year), tonumber(month), tonumber(day)) * DAY
    + tonumber(hour) * HOUR + tonumber(minute) * MINUTE + tonumber(second)
end

local function of_rfc3339(text)
  local year, month, day, hour, minute, second, zone =
    text:match("^(%d%d%d%d)%-(%d%d)%-(%d%d)[Tt](%d%d):(%d%d):(%d%d)%.?%d*(.+)$")
  if not year then
    return nil
  end
  local sign, hours, minutes = zone:match("^([+-])(%d%d):(%d%d)$")
  if not sign and not zone:find("^[Zz]$") then
    return nil
  end
  local offset = sign and (tonumber(hours) * HOUR + tonumber(minutes) * MINUTE) or 0
  return at(year, month, day, hour, minute, second) - (sign == "-" and -offset or offset)
end

--- Of "2026-01-03T00:00:00Z" (RFC 3339) or "Sat, 03 Jan 2026 00:00:00 GMT" (RFC 9110); nil: it is
--- neither.
---@param text any
---@return number?
function M.instant(text)
  if type(text) ~= "string" then
    return nil
  end
  local day, month, year, hour, minute, second =
    text:match("^%a+, (%d%d) (%a%a%a) (%d%d%d%d) (%d%d):(%d%d):(%d%d) GMT$")
  if day and MONTHS[month] then
    return at(year, MONTHS[month], day, hour, minute, second)
  end
  return of_rfc3339(text)
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
