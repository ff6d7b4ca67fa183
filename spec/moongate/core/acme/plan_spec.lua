local plan = require("moongate.core.acme.plan")

local HOUR, DAY = 3600, 86400

describe("core/acme/plan", function()
  it("understands instants of RFC 3339 and of HTTP", function()
    assert.equal(1767398400, plan.instant("2026-01-03T00:00:00Z"))
    assert.equal(1767398400, plan.instant("2026-01-03T01:30:00.250+01:30"))
    assert.equal(1767398400, plan.instant("2026-01-02T22:00:00-02:00"))
    assert.equal(1767398400, plan.instant("Sat, 03 Jan 2026 00:00:00 GMT"))
    assert.equal(951782400, plan.instant("2000-02-29T00:00:00Z"))
    assert.equal(0, plan.instant("1970-01-01T00:00:00Z"))
    for _, wrong in ipairs({
      "", "2026-01-03", "2026-01-03T00:00:00", "Sat, 03 Foo 2026 00:00:00 GMT", "tomorrow",
      "2026-02-29T00:00:00Z", "2026-13-01T00:00:00Z", "2026-01-03T25:00:00Z",
    }) do
      assert.is_nil(plan.instant(wrong))
    end
    assert.is_nil(plan.instant(nil))
    assert.is_nil(plan.instant({}))
  end)

  it("agrees with the calendar on each day of four centuries", function()
    for day = 0, 146097, 97 do
      local at = day * DAY
      assert.equal(at, plan.instant(os.date("!%Y-%m-%dT%H:%M:%SZ", at)))
    end
  end)

  it("heeds Retry-After, in seconds or as a date, for a day at most", function()
    assert.equal(120, plan.retry_after("120", 1000))
    assert.equal(60, plan.retry_after("Sat, 03 Jan 2026 00:01:00 GMT", 1767398400))
    assert.equal(0, plan.retry_after("Sat, 03 Jan 2026 00:00:00 GMT", 1767398460))
    assert.equal(DAY, plan.retry_after("99999999", 0))
    assert.is_nil(plan.retry_after("soon", 0))
    assert.is_nil(plan.retry_after(nil, 0))
  end)

  it("renews at two thirds of the lifetime, a thirtieth sooner or later", function()
    local life = 90 * DAY
    assert.near(60 * DAY, plan.renew_at(0, life, 0.5), 1)
    assert.near(57 * DAY, plan.renew_at(0, life, 0), 1)
    assert.near(63 * DAY, plan.renew_at(0, life, 1), 1)
  end)

  it("renews within the window that the directory suggests", function()
    local window = { start = "2026-01-03T00:00:00Z", ["end"] = "2026-01-05T00:00:00Z" }
    assert.equal(1767398400, plan.renew_within(window, 0))
    assert.equal(1767398400 + DAY, plan.renew_within(window, 0.5))
    assert.is_nil(plan.renew_within(nil, 0))
    assert.is_nil(plan.renew_within({ start = "x", ["end"] = "y" }, 0))
    assert.is_nil(plan.renew_within({ start = window["end"], ["end"] = window.start }, 0))
    assert.equal(7200, plan.ask_again(7200))
    assert.equal(6 * HOUR, plan.ask_again(nil))
    assert.equal(60, plan.ask_again(0))
    assert.equal(DAY, plan.ask_again(1e9))
  end)

  it("waits longer after each failure, and not less than it is told", function()
    assert.equal(60, plan.backoff(1, "refused", nil, 0.5))
    assert.equal(120, plan.backoff(2, "refused", nil, 0.5))
    assert.equal(6 * HOUR, plan.backoff(30, "refused", nil, 0.5))
    assert.equal(2, plan.backoff(1, "unreached", nil, 0.5))
    assert.equal(600, plan.backoff(1000, "unreached", nil, 0.5))
    assert.equal(45, plan.backoff(1, "refused", nil, 0))
    assert.equal(75, plan.backoff(1, "refused", nil, 1))
    assert.equal(5000, plan.backoff(1, "refused", 5000, 0.5))
  end)
end)
