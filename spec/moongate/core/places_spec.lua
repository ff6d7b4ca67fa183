local places = require("moongate.core.places")
local helpers = dofile("spec/fixture/helpers.lua")

local FILE = "spec/moongate/core/places_spec.lua:"

describe("a function that left no frame", function()
  local function last(ctx)
    if ctx.early then
      return ctx:text("early")
    end
    return ctx:read_file("a", { max = 1 })
  end
  local line = helpers.here() - 2

  it("ended at its call of that name", function()
    assert.equal(FILE .. line, places.tail_place(last, "read_file"))
    assert.equal(FILE .. line - 2, places.tail_place(last, "text"))
  end)

  it("ended at the first of its calls if the name is not known", function()
    assert.equal(FILE .. line - 2, places.tail_place(last))
  end)

  it("is told by a global's name and by those of varying arguments", function()
    local function over(...)
      return print(...)
    end
    assert.equal(FILE .. helpers.here() - 2, places.tail_place(over, "print"))
  end)

  it("is where it is declared if it has no such call", function()
    local function none() end
    assert.equal(FILE .. helpers.here() - 1, places.tail_place(none, "x"))
    assert.equal(FILE .. helpers.here() - 2, places.tail_place(setmetatable({}, { __call = none })))
  end)
end)

describe("a function", function()
  it("is a script's or the framework's", function()
    assert.is_true(places.is_script(function() end))
    assert.is_false(places.is_script(places.is_script))
    assert.is_false(places.is_script(print))
    assert.is_falsy(places.is_script("text"))
  end)
end)

describe("a traceback", function()
  local test = require("moongate.test")
  local app

  local function failure_of(declare, path)
    app = test.app(declare)
    app:get(path or "/")
    return app.logs[1].message
  end

  it("names the lines of scripts, and counts the rest", function()
    local line = helpers.here() + 3
    local said = failure_of(function(a)
      a:use(function(_, next)
        next()
      end)
      a:get("/", function()
        error("boom")
      end)
    end)
    assert.equal(("the handler of GET / failed: %s%d: boom (error)\nstack traceback:\n"
      .. "\t%s%d: in function 'handler'\n\t%s%d: in function 'middleware'\n"
      .. "\t(7 frames of Moongate and of C)"):format(FILE, line + 3, FILE, line + 3, FILE, line),
      (said:gsub("%d+ frames", "7 frames")))
  end)

  it("names the line of a handler that ended by a call", function()
    local said = failure_of(function(a)
      a:get("/", function(ctx)
        if ctx.query.never then
          return ctx:json({})
        end
        return ctx:text("x", "no status")
      end)
    end)
    local place = FILE .. helpers.here() - 3
    assert.equal("the handler of GET / failed: " .. place .. ": a status is an integer from 200 to "
      .. '599, not "no status" (error)\nstack traceback:\n\t' .. place
      .. ": in a function that ended by this call\n\t(7 frames of Moongate and of C)",
      (said:gsub("%d+ frames", "7 frames")))
  end)

  it("names the line of middleware and of a task that ended by a call", function()
    local said = failure_of(function(a)
      a:use(function(ctx)
        return ctx:fail("no status")
      end)
      a:get("/", tostring)
    end)
    assert.matches("failed: " .. FILE:gsub("%p", "%%%0") .. helpers.here() - 4 .. ": fail: ", said)
    said = failure_of(function(a)
      a:get("/", function(ctx)
        ctx:spawn(function()
          return ctx:fail("no status")
        end):await()
      end)
    end)
    assert.matches("failed: " .. FILE:gsub("%p", "%%%0") .. helpers.here() - 4 .. ": fail: ", said)
  end)

  it("gives what a table holds that was thrown, and its place", function()
    local said = failure_of(function(a)
      a:get("/", function()
        error({ my = 1 })
      end)
    end)
    assert.matches("failed: " .. FILE:gsub("%p", "%%%0") .. helpers.here() - 3
      .. ': error object {"my":1}\nstack traceback:\n', said)
  end)
end)
