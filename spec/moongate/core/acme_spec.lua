local acme = require("moongate.core.acme")
local json = require("moongate.json")
local moongate = require("moongate")
local test = require("moongate.test")
local fixture = dofile("spec/fixture/acme.lua")

local DAY = 86400
local app, keeper, directory

before_each(function()
  app = test.app(function() end)
  keeper = fixture.keeper()
  directory = fixture.directory(app, keeper)
end)
after_each(function()
  app:close()
end)

local function copy(more)
  local wish = {}
  for key, value in pairs(fixture.WISH) do
    wish[key] = value
  end
  for key, value in pairs(more or {}) do
    wish[key] = value
  end
  return wish
end

-- Runs in the background until the spec is over.
local function begin(...)
  local wishes = {}
  for i = 1, select("#", ...) do
    wishes[i] = copy((select(i, ...)))
  end
  app:run(function()
    moongate.spawn(acme.run, wishes, keeper)
  end)
  app.clock:settle()
end

local function told(name)
  return keeper.told["/acme/ca/" .. (name or "a.test")]
end

local function logged(pattern)
  for _, line in ipairs(app.logs) do
    if line.message:find(pattern) then
      return line
    end
  end
end

describe("core/acme", function()
  it("gets what is missing and renews it in time", function()
    begin({})
    app.clock:advance(5)
    assert.equal(1, directory.orders)
    assert.equal(1, keeper.issues)
    local state = told()
    assert.near(moongate.now() + 90 * DAY, state.not_after, 10)
    assert.is_true(state.renew_at > moongate.now() + 56 * DAY)
    assert.is_true(state.renew_at < moongate.now() + 64 * DAY)
    app.clock:advance(56 * DAY)
    assert.equal(1, directory.orders)
    app.clock:advance(8 * DAY)
    assert.equal(2, directory.orders)
    assert.equal(2, keeper.issues)
  end)

  it("asks for one certificate after the other", function()
    begin({}, { domain = "b.test" }, { domain = "c.test" })
    app.clock:advance(10)
    assert.equal(3, keeper.issues)
    assert.equal(1, directory:count("account")) -- of one account
  end)

  it("leaves what is good alone", function()
    keeper.certificates["a.test"] = { moongate.now(), moongate.now() + 90 * DAY }
    begin({})
    app.clock:advance(DAY)
    assert.same({}, directory.names)
  end)

  it("waits longer and longer while the directory fails, and keeps what there is", function()
    local soon = moongate.now() - 80 * DAY
    keeper.certificates["a.test"] = { soon, soon + 90 * DAY }
    directory.before = function()
      return { status = 500 }
    end
    begin({})
    app.clock:advance(60)
    local tries = #directory.names
    assert.is_true(tries >= 3 and tries <= 6, tries)
    assert.matches("the directory answered 500", told().error)
    assert.is_true(told().retry_at > moongate.now() - 1)
    assert.not_nil(told().not_after)
    assert.matches("the one that is served ends", logged("tried again in").message)
    app.clock:advance(3600)
    assert.is_true(#directory.names < tries + 12)
    directory.before = nil
    app.clock:advance(1200)
    assert.equal(1, keeper.issues)
    assert.is_nil(told().error)
  end)

  it("asks nothing before a directory allows it", function()
    directory.before = function(name)
      return name == "order" and directory:problem(429, "rateLimited", { ["Retry-After"] = "7200" })
        or nil
    end
    begin({}, { domain = "b.test" })
    app.clock:advance(7000)
    assert.equal(1, directory:count("order")) -- for the other one neither
    directory.before = nil
    app.clock:advance(400)
    assert.equal(2, keeper.issues)
  end)

  it("waits after a restart where it has failed, but not with other settings", function()
    directory.before = function(name)
      return name == "order" and directory:problem(403, "unauthorized") or nil
    end
    begin({})
    app.clock:advance(1)
    assert.equal(1, directory:count("order"))
    begin({})
    app.clock:advance(30)
    assert.equal(1, directory:count("order"))
    begin({ challenge = "tls-alpn-01" })
    app.clock:advance(1)
    assert.equal(2, directory:count("order"))
    assert.equal(1, json.decode(keeper.notes["a.test"]).failures)
  end)

  it("renews when the directory suggests it", function()
    keeper.certificates["a.test"] = { moongate.now(), moongate.now() + 90 * DAY, "id-a.test" }
    local function at(seconds)
      return os.date("!%Y-%m-%dT%H:%M:%SZ", moongate.now() + seconds)
    end
    directory.window = { start = at(20 * DAY), ["end"] = at(21 * DAY) }
    begin({})
    app.clock:advance(60)
    assert.equal(0, directory.orders)
    assert.near(moongate.now() + 20.5 * DAY, told().renew_at, 0.6 * DAY)
    directory.window = { start = at(-DAY), ["end"] = at(-DAY / 2) } -- revoked
    app.clock:advance(2 * 3600)
    assert.equal(1, directory.orders)
    assert.equal("id-a.test", directory.asked.replaces)
    app.clock:advance(5 * 3600) -- it says so of the new one, too
    assert.equal(1, directory.orders)
  end)

  it("leaves everything as it is if the directory does not say when", function()
    keeper.certificates["a.test"] = { moongate.now(), moongate.now() + 90 * DAY, "id-a.test" }
    directory.before = function()
      return { status = 500 }
    end
    begin({})
    app.clock:advance(DAY)
    assert.equal(0, directory.orders)
    assert.is_true(told().renew_at > moongate.now() + 50 * DAY)
    assert.is_nil(told().error)
  end)

  it("takes what another server gets in the same folder", function()
    keeper.held = nil
    begin({})
    app.clock:advance(30)
    assert.same({}, directory.names)
    assert.matches("another server asks for them", logged("/acme").message)
    assert.matches("another server", told().error)
    keeper.certificates["a.test"] = { moongate.now(), moongate.now() + 90 * DAY }
    app.clock:advance(30)
    assert.equal(1, keeper.issues)
    app.clock:advance(30)
    assert.equal(1, keeper.issues) -- once
    keeper.held, keeper.certificates["a.test"] = true, nil
    app.clock:advance(30)
    assert.equal(1, directory.orders)
  end)

  it("is told of a fault of its own, too", function()
    keeper.request = function()
      return nil, "the disk is full"
    end
    begin({})
    app.clock:advance(5)
    assert.matches("the disk is full", told().error)
  end)
end)
