local test = require("moongate.test")
local helpers = dofile("spec/fixture/helpers.lua")
local message_of = helpers.message_of

local app

local function new_app(handler)
  app = test.app(function(a)
    a:any("/", handler or function()
      return ""
    end)
  end)
  return app
end

-- Runs `fn` in a coroutine of the app, with no request.
local function run(fn, ...)
  return app:run(fn, ...)
end

local database = require("moongate.database")
local Future = require("moongate.future")

-- The calls of a subject as its module makes them, whatever names it gives them.
local function call(subject, name, ...)
  return (subject.calls[name](Future._current_scope(), 2, ...))
end

local function query(...)
  local args, n = { ... }, select("#", ...)
  return run(function()
    return call(database, "query_database", unpack(args, 1, n)):await()
  end)
end

describe("an answer", function()
  before_each(function()
    new_app()
  end)
  after_each(function()
    app:assert_no_leaks()
  end)

  it("may be late and be any other answer", function()
    app:stub_database("a", test.after(1, test.fail("database", "late")))
    app:stub_database("b", test.after(1, function(id)
      return { id }
    end))
    app:stub_database("c", test.after(1, test.after(1, { "twice" })))
    assert.equal("late", message_of(query, "a"))
    assert.same({ 7 }, query("b", 7))
    assert.same({ "twice" }, query("c"))
    assert.near(4, app.clock:elapsed(), 0.001)
  end)

  it("that is late can be cancelled", function()
    app:stub_database("a", test.after(100, {}))
    run(function()
      call(database, "query_database", "a"):cancel()
    end)
  end)

  it("may be a function that gives another answer", function()
    app:stub_database("a", function(id)
      return id == 1 and test.fail("database", "one") or { id }
    end)
    assert.equal("one", message_of(query, "a", 1))
    assert.same({ 2 }, query("a", 2))
  end)

  it("is refused where it is none", function()
    assert.matches("answers_spec%.lua:%d+: test.sequence: at least one", message_of(function()
      local answer = test.sequence({})
      return answer
    end))
    assert.matches("answers_spec%.lua:%d+: test.after: seconds are wanted", message_of(function()
      local answer = test.after("1", 2)
      return answer
    end))
  end)
end)
