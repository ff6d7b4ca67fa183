local moongate = require("moongate")
local test = require("moongate.test")
local helpers = dofile("spec/fixture/helpers.lua")
local message_of = helpers.message_of

local app

local function handle(handler, options)
  app = test.app(function(a)
    a:any("/", handler)
  end, options)
  return app
end

describe("the clock", function()
  before_each(function()
    handle(function(ctx)
      ctx:sleep(90):timeout(60):try_await()
      return "ok"
    end, { timeouts = { handler = 1000 } })
  end)

  after_each(function()
    app:assert_no_leaks()
  end)

  it("counts virtual seconds from the app's start", function()
    assert.equal(0, app.clock:elapsed())
    app:get("/")
    assert.near(60, app.clock:elapsed(), 0.001)
  end)

  it("advances to the given moment, timers on their way in order", function()
    local seen = {}
    for _, seconds in ipairs({ 2, 1, 3 }) do
      moongate.after(seconds, function()
        seen[#seen + 1] = app.clock:elapsed()
      end)
    end
    app.clock:advance(2.5)
    assert.same({ 1, 2 }, seen)
    assert.near(2.5, app.clock:elapsed(), 0.0001)
    app.clock:advance(0.5)
    assert.same({ 1, 2, 3 }, seen)
  end)

  it("waits for real work before it jumps", function()
    app:run(function()
      local text = moongate.files.read_file("spec/fixture/public/hello.txt"):timeout(0.001):await()
      assert.is_string(text)
    end)
    assert.equal(0, app.clock:elapsed())
  end)

  it("does not go back", function()
    assert.matches("advance: seconds are wanted", message_of(function()
      app.clock:advance(-1)
    end))
  end)
end)
