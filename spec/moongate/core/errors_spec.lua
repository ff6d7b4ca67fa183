local errors = require("moongate.core.errors")

describe("an error", function()
  it("says where, what and its code as text", function()
    local err = errors.new("timeout", "too slow", { where = "app.lua:7" })
    assert.equal("app.lua:7: too slow (timeout)", tostring(err))
    assert.equal("too slow (timeout)", tostring(errors.new("timeout", "too slow")))
  end)

  it("carries further members", function()
    local cause = errors.new("dns", "no such host")
    local err = errors.new("connect", "cannot connect", { cause = cause, errno = -2 })
    assert.same({ "connect", "cannot connect", cause, -2 },
      { err.code, err.message, err.cause, err.errno })
  end)

  it("is told from other tables by its code", function()
    assert.is_true(errors.is(errors.new("file", "x")))
    assert.is_true(errors.is({ code = "mine" }))
    assert.is_false(errors.is({}))
    assert.is_false(errors.is("file"))
  end)
end)

describe("wrap", function()
  it("leaves tables as they are", function()
    local mine = { code = "mine" }
    assert.equal(mine, errors.wrap(mine))
  end)

  it("splits a text of error() into place and message", function()
    local err = errors.wrap("lua/app.lua:12: broken: twice\nand more")
    assert.same({ "error", "lua/app.lua:12", "broken: twice\nand more" },
      { err.code, err.where, err.message })
    assert.equal("lua/app.lua:12: broken: twice\nand more", err.cause)
  end)

  it("takes any other value", function()
    assert.equal("plain", errors.wrap("plain").message)
    assert.equal("nil", errors.wrap(nil).message)
    assert.equal("false", errors.wrap(false).message)
    assert.equal("7", errors.wrap(7).message)
  end)
end)

describe("stitch", function()
  local co = coroutine.create(function()
    coroutine.yield()
  end)
  coroutine.resume(co)

  it("adds one coroutine after the other", function()
    local err = errors.new("database", "x")
    errors.stitch(err, co)
    local first = err.traceback
    assert.matches("errors_spec%.lua", first)
    errors.stitch(err, co)
    assert.equal(first .. "\n-- awaited by --\n" .. first, err.traceback)
  end)

  it("stays within bounds", function()
    local err = errors.new("database", "x")
    for _ = 1, 1000 do
      errors.stitch(err, co)
    end
    assert.is_true(#err.traceback < 16 * 1024)
  end)

  it("leaves alone what is answered or shared, and tables of others", function()
    for _, err in ipairs({ errors.new("status", "x"), errors.new("cancelled", "x"), {} }) do
      errors.stitch(err, co)
      assert.is_nil(err.traceback)
    end
    errors.stitch("text", co)
  end)
end)

describe("describe", function()
  it("names the line also where LuaJIT has forgotten it", function()
    local co = coroutine.create(function()
      local nothing = nil
      return nothing.field
    end)
    local _, raised = coroutine.resume(co)
    local err = errors.wrap(raised)
    errors.stitch(err, co)
    assert.is_nil(err.traceback:find(":-1:", 1, true))
    assert.truthy(err.traceback:find("\n\t" .. err.where .. ": in function", 1, true))
  end)

  it("gives the text and the traceback", function()
    local err = errors.new("cache", "gone")
    assert.equal("gone (cache)", errors.describe(err))
    err.traceback = "stack"
    assert.equal("gone (cache)\nstack", errors.describe(err))
  end)

  it("takes any value", function()
    assert.equal("text", errors.describe("text"))
    assert.equal("message", errors.describe({ message = "message" }))
    assert.equal("mine", errors.describe({ code = "mine" }))
    assert.equal("error object", errors.describe({}))
    assert.equal("7", errors.describe({ message = 7 }))
  end)
end)
