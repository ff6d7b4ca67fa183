local log = require("moongate").log
local test = require("moongate.test")

local app

before_each(function()
  app = test.app(function() end)
end)

after_each(function()
  app:assert_no_leaks()
end)

describe("the log", function()
  it("has no other levels", function()
    for _, level in ipairs({ -1, 4, 1e9 }) do
      local ok, err = pcall(require("moongate.native").log, level, "text", {})
      assert.is_false(ok)
      assert.matches("a level from 0 %(debug%) to 3 %(error%) is wanted", err)
    end
  end)

  it("has four levels", function()
    for _, level in ipairs({ "debug", "info", "warn", "error" }) do
      log[level]("a " .. level)
    end
    local seen = {}
    for i, entry in ipairs(app.logs) do
      seen[i] = entry.level .. ": " .. entry.message
    end
    assert.same({ "debug: a debug", "info: a info", "warn: a warn", "error: a error" }, seen)
  end)

  it("takes fields of any kind", function()
    log.info("look", { text = "a b", number = 1.5, flag = true, list = { 1, 2 }, fn = print })
    local fields = app.logs[1].fields
    assert.equal("a b", fields.text)
    assert.equal(1.5, fields.number)
    assert.equal("true", fields.flag)
    assert.equal("[1,2]", fields.list)
    assert.matches("^function", fields.fn)
  end)

  it("takes any message", function()
    log.info(nil)
    log.info({})
    assert.equal("nil", app.logs[1].message)
    assert.matches("^table: ", app.logs[2].message)
  end)

  it("refuses fields that are no table, at the caller's line", function()
    local ok, message = pcall(function()
      log.warn("look", "user 7")
    end)
    assert.is_false(ok)
    assert.matches("log_spec%.lua:%d+: log%.warn: fields are a table", message)
  end)

  it("with extra fields adds them to every line", function()
    local own = log.with(function()
      return { request_id = "x" }
    end)
    own.info("one", { user = 7 })
    own.warn("two")
    assert.same({ request_id = "x", user = 7 }, app.logs[1].fields)
    assert.same({ request_id = "x" }, app.logs[2].fields)
  end)

  it("shows a failure with its traceback", function()
    log.failure("it failed", { message = "why", traceback = "stack" })
    assert.equal("it failed: why\nstack", app.logs[1].message)
  end)
end)
