--- Cron expressions: "0 3 * * mon-fri", "@hourly". All times are in UTC, which knows no summer.
local suggest = require("moongate.core.suggest")

local M = {}

local DAY, HOUR, MINUTE = 86400, 3600, 60
local DAYS_AHEAD = 366 * 8 -- 29 February comes within eight years

local ALIASES = {
  ["@yearly"] = "0 0 1 1 *", ["@annually"] = "0 0 1 1 *", ["@monthly"] = "0 0 1 * *",
  ["@weekly"] = "0 0 * * 0", ["@daily"] = "0 0 * * *", ["@midnight"] = "0 0 * * *",
  ["@hourly"] = "0 * * * *",
}

local function numbered(first, names)
  local numbers = {}
  for name in names:gmatch("%a+") do
    numbers[name] = first
    first = first + 1
  end
  return numbers
end

local FIELDS = {
  { name = "minute", least = 0, most = 59, names = {} },
  { name = "hour", least = 0, most = 23, names = {} },
  { name = "day", least = 1, most = 31, names = {} },
  { name = "month", least = 1, most = 12,
    names = numbered(1, "jan feb mar apr may jun jul aug sep oct nov dec") },
  { name = "weekday", least = 0, most = 7, names = numbered(0, "sun mon tue wed thu fri sat") },
}

---@class moongate.Cron
---@field minute table<integer, true>
---@field hour table<integer, true>
---@field day table<integer, true>
---@field month table<integer, true>
---@field weekday table<integer, true> 0 is Sunday
---@field any_day boolean the day of the month does not matter
---@field any_weekday boolean

-- --- reading ---

local function fail(field, text, what)
  error({ cron = field.name .. ": " .. text .. ": " .. what }, 0)
end

local function number_of(field, text)
  local n = text:find("^%d%d?$") and tonumber(text) or field.names[text]
  if not n then
    fail(field, text, "a number from " .. field.least .. " to " .. field.most
      .. (next(field.names) and " or a name of three letters" or "") .. " is wanted"
      .. suggest.for_name(text, field.names))
  elseif n < field.least or n > field.most then
    fail(field, text, "allowed are " .. field.least .. " to " .. field.most)
  end
  return n
end

-- "*", "5", "1-5", with "/2" behind it.
local function add_range(field, text, set)
  local range, step = text:match("^([^/]+)/?(.*)$")
  if not range or text:find("/$") then
    fail(field, text, "a range with a step is like */5 or 10-40/10")
  end
  local first, last = field.least, field.most
  local from, to = range:match("^(%w+)%-(%w+)$")
  if from then
    first, last = number_of(field, from), number_of(field, to)
  elseif range ~= "*" then
    first = number_of(field, range)
    last = step == "" and first or field.most
  end
  if first > last then
    fail(field, range, "its end is before its begin")
  end
  local by = step == "" and 1 or tonumber(step:match("^%d%d?$"))
  if not by or by == 0 then
    fail(field, text, "a step is a number above 0")
  end
  for n = first, last, by do
    set[n] = true
  end
end

local function read_field(field, text)
  local set = {}
  for part in (text:lower() .. ","):gmatch("(.-),") do
    add_range(field, part, set)
  end
  return set
end

local function words_of(text)
  local words = {}
  for word in text:gmatch("%S+") do
    words[#words + 1] = word
  end
  return words
end

local function resolve(text)
  local alias = text:match("^%s*(@%S*)%s*$")
  if alias and not ALIASES[alias:lower()] then
    error({ cron = "allowed are @yearly, @monthly, @weekly, @daily and @hourly"
      .. suggest.for_name(alias, ALIASES)
      .. (alias == "@reboot" and ": app:on_start(fn) runs when the app begins" or "") }, 0)
  end
  return alias and ALIASES[alias:lower()] or text
end

local function read(text)
  local words, cron = words_of(resolve(text)), {}
  if #words ~= #FIELDS then
    error({ cron = "five fields are wanted, minute hour day month weekday, as 0 3 * * mon-fri, not "
      .. #words }, 0)
  end
  for i, field in ipairs(FIELDS) do
    cron[field.name] = read_field(field, words[i])
  end
  cron.weekday[0] = cron.weekday[0] or cron.weekday[7]
  cron.any_day, cron.any_weekday = words[3]:sub(1, 1) == "*", words[5]:sub(1, 1) == "*"
  if not M.next(cron, 0) then
    error({ cron = "that day never comes" }, 0)
  end
  return cron
end

--- Reads an expression.
---@param text string
---@return moongate.Cron?
---@return string? message what is wrong, and what is allowed
function M.parse(text)
  local ok, cron = pcall(read, text)
  if ok then
    return cron
  elseif type(cron) ~= "table" then
    error(cron, 0)
  end
  return nil, cron.cron
end

-- --- times ---

-- Where both days are told, either will do.
local function is_day(cron, date)
  local day, weekday = cron.day[date.day], cron.weekday[date.wday - 1]
  if not cron.month[date.month] then
    return false
  elseif cron.any_day or cron.any_weekday then
    return day and weekday
  end
  return day or weekday
end

-- The first minute of a day at `from` (seconds into it) or behind it, as seconds into it.
local function minute_in_day(cron, from)
  for hour = math.floor(from / HOUR), 23 do
    for minute = 0, cron.hour[hour] and 59 or -1 do
      local at = hour * HOUR + minute * MINUTE
      if cron.minute[minute] and at >= from then
        return at
      end
    end
  end
end

--- The first time behind `now`, both in seconds since 1970; nil if there is none.
---@param cron moongate.Cron
---@param now number
---@return integer?
function M.next(cron, now)
  local today = math.floor(now / DAY)
  local from = (math.floor(now / MINUTE) + 1) * MINUTE - today * DAY
  for day = today, today + DAYS_AHEAD do
    local at = is_day(cron, os.date("!*t", day * DAY)) and minute_in_day(cron, from)
    if at then
      return day * DAY + at
    end
    from = 0
  end
end

return M
