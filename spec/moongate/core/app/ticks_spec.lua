--- When jobs tick, as far as it is not seen in spec/moongate/time_spec.lua.
local native = require("moongate.native")
local cron = require("moongate.core.app.cron")
local ticks = require("moongate.core.app.ticks")

describe("the ticks of a cron expression", function()
  local wall, job_wait = native.wall, native.job_wait
  local now, asked
  local job = { name = "job", when = "0 * * * *", cron = cron.parse("0 * * * *"), jitter = 0 }

  before_each(function()
    now = 3600 * 100 + 600
    native.wall = function() return now end
    native.job_wait = function(name, seconds)
      asked = { name, seconds }
      return seconds
    end
  end)

  after_each(function()
    native.wall, native.job_wait = wall, job_wait
  end)

  it("are looked at once a minute, for the clock may be set", function()
    local state = {}
    assert.equal(60, ticks.wait(job, state))
    assert.same({ "job 0 * * * *", 3000 }, asked)
    now = now + 60
    assert.equal(60, ticks.more(job, state))
    now = now + 2900 -- it was set
    assert.equal(40, ticks.more(job, state))
    now = now + 40
    assert.is_nil(ticks.more(job, state))
  end)

  it("do not come again when the clock is set back", function()
    local state = {}
    ticks.wait(job, state)
    now = 3600 * 101
    assert.is_nil(ticks.more(job, state))
    now = now - 1800
    ticks.wait(job, state)
    assert.equal(3600 * 102, state.due)
  end)

  it("come at once if replaced scripts should have had them", function()
    native.job_wait = function() return 0 end
    assert.equal(0, ticks.wait(job, {}))
  end)

  it("are an hour apart for whoever judges runs", function()
    assert.equal(3600, ticks.period(job, { due = 3600 * 101 }))
    assert.equal(3000, ticks.period(job, {}))
    assert.equal(7, ticks.period({ seconds = 7 }, {}))
  end)
end)
