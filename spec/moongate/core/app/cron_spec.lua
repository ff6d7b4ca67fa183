--- Cron expressions.
local cron = require("moongate.core.app.cron")

local function seconds(text)
  local y, mo, d, h, mi, s = text:match("(%d+)-(%d+)-(%d+) (%d+):(%d+):?(%d*)")
  -- os.time reads local time; UTC is counted in days since 1970.
  local days = 0
  for year = 1970, tonumber(y) - 1 do
    days = days + ((year % 4 == 0 and year % 100 ~= 0 or year % 400 == 0) and 366 or 365)
  end
  local leap = tonumber(y) % 4 == 0 and tonumber(y) % 100 ~= 0 or tonumber(y) % 400 == 0
  for month = 1, tonumber(mo) - 1 do
    days = days + ({ 31, leap and 29 or 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 })[month]
  end
  return (days + d - 1) * 86400 + h * 3600 + mi * 60 + (tonumber(s) or 0)
end

local function next_of(text, now)
  local at = cron.next(assert(cron.parse(text)), seconds(now))
  return os.date("!%Y-%m-%d %H:%M:%S %a", at):gsub(":00 ", " ", 1)
end

describe("the next tick of", function()
  for _, case in ipairs({
    { "* * * * *", "2026-01-31 23:59:30", "2026-02-01 00:00 Sun" },
    { "*/15 * * * *", "2026-03-01 10:15", "2026-03-01 10:30 Sun" },
    { "*/15 * * * *", "2026-03-01 10:14:59", "2026-03-01 10:15 Sun" },
    { "5-10/2,50 * * * *", "2026-03-01 10:05", "2026-03-01 10:07 Sun" },
    { "7/20 * * * *", "2026-03-01 10:30", "2026-03-01 10:47 Sun" },
    { "30 3 * * mon-fri", "2026-11-27 04:00", "2026-11-30 03:30 Mon" },
    { "30 3 * * MON", "2026-11-27 04:00", "2026-11-30 03:30 Mon" },
    { "0 0 1 jan *", "2026-01-01 00:00", "2027-01-01 00:00 Fri" },
    { "0 0 * * 7", "2026-11-28 00:00", "2026-11-29 00:00 Sun" },
    { "0 0 * * 5-7", "2026-11-28 00:00", "2026-11-29 00:00 Sun" },
    { "0 0 29 2 *", "2026-01-01 00:00", "2028-02-29 00:00 Tue" },
    { "0 0 29 2 *", "2096-03-01 00:00", "2104-02-29 00:00 Fri" },
    { "0 0 31 * *", "2026-01-31 00:00", "2026-03-31 00:00 Tue" },
    { "0 0 13 * fri", "2026-11-28 00:00", "2026-12-04 00:00 Fri" }, -- either day will do
    { "0 0 13 * fri", "2026-12-12 00:00", "2026-12-13 00:00 Sun" },
    { "0 0 */2 * fri", "2026-11-28 00:00", "2026-12-11 00:00 Fri" }, -- a star restricts both
    { "@hourly", "2026-11-28 10:00", "2026-11-28 11:00 Sat" },
    { "@daily", "2026-11-28 10:00", "2026-11-29 00:00 Sun" },
    { "@midnight", "2026-11-28 10:00", "2026-11-29 00:00 Sun" },
    { "@weekly", "2026-11-28 10:00", "2026-11-29 00:00 Sun" },
    { "@monthly", "2026-11-28 10:00", "2026-12-01 00:00 Tue" },
    { " @Yearly ", "2026-11-28 10:00", "2027-01-01 00:00 Fri" },
    { "59 23 31 12 *", "2026-12-31 23:59:30", "2027-12-31 23:59 Fri" },
  }) do
    it(case[1] .. " behind " .. case[2], function()
      assert.equal(case[3], (next_of(case[1], case[2])))
    end)
  end

  it("each minute is each of them, over years", function()
    local each, at = cron.parse("* * * * *"), seconds("2027-12-31 23:00")
    for i = 1, 120 do
      assert.equal(at + i * 60, cron.next(each, at + (i - 1) * 60 + 59))
    end
  end)
end)

describe("an expression", function()
  for text, wanted in pairs({
    [""] = "five fields are wanted, minute hour day month weekday, as 0 3 * * mon-fri, not 0",
    ["* * * *"] = "not 4",
    ["60 * * * *"] = "minute: 60: allowed are 0 to 59",
    ["* * 0 * *"] = "day: 0: allowed are 1 to 31",
    ["* * * 13 *"] = "month: 13: allowed are 1 to 12",
    ["* * * * 8"] = "weekday: 8: allowed are 0 to 7",
    ["* * * juni *"] = "month: juni: a number from 1 to 12 or a name of three letters is wanted "
      .. "(did you mean 'jun'?)",
    ["x * * * *"] = "minute: x: a number from 0 to 59 is wanted",
    ["-1 * * * *"] = "minute: -1: a number from 0 to 59 is wanted",
    ["10-5 * * * *"] = "minute: 10-5: its end is before its begin",
    ["*/0 * * * *"] = "minute: */0: a step is a number above 0",
    ["*/ * * * *"] = "minute: */: a range with a step is like */5 or 10-40/10",
    ["*/x * * * *"] = "minute: */x: a step is a number above 0",
    ["1, * * * *"] = "a range with a step",
    ["1.5 * * * *"] = "minute: 1.5: a number from 0 to 59 is wanted",
    ["* * L * *"] = "day: l: a number from 1 to 31 is wanted",
    ["0 0 30 2 *"] = "that day never comes",
    ["@reboot"] = "allowed are @yearly, @monthly, @weekly, @daily and @hourly: "
      .. "app:on_start(fn) runs when the app begins",
    ["@daly"] = "(did you mean '@daily'?)",
  }) do
    it("is refused: " .. text, function()
      local parsed, message = cron.parse(text)
      assert.is_nil(parsed)
      assert.truthy(message:find(wanted, 1, true), message)
    end)
  end
end)
