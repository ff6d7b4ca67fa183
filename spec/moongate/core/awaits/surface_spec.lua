--- What the declarations say of Futures.
local reference = require("moongate.core.docs.reference")
local surfaces = require("moongate.core.awaits.surface")

local surface = surfaces.of(reference.load())

local function member(class, name)
  return assert(surfaces.member(surface, class, name), class .. " has no " .. name)
end

describe("the surface of the declarations", function()
  it("knows what gives Futures", function()
    for _, pair in ipairs({
      { "moongate.Context", "query_cache" }, { "moongate", "sleep" }, { "moongate.http", "get" },
      { "moongate.files", "read_file" }, { "moongate.Cache", "get" },
      { "moongate.Database", "query" }, { "moongate.Future", "and_then" },
      { "moongate.FutureClass", "all" },
    }) do
      assert.equal(surfaces.FUTURE, surfaces.result(member(pair[1], pair[2])))
    end
  end)

  it("knows what does not", function()
    assert.not_equal(surfaces.FUTURE, surfaces.result(member("moongate.Future", "await")))
    assert.equal("string", surfaces.result(member("moongate", "uuid")))
    assert.is_nil(surfaces.result(member("moongate.Context", "text")))
  end)

  it("knows the classes of fields", function()
    assert.equal("moongate.http", surfaces.field_type(member("moongate", "http")))
    assert.equal("moongate.FutureClass", surfaces.field_type(member("moongate", "Future")))
    assert.equal("boolean", surfaces.field_type(member("moongate.Future", "keep")))
  end)

  it("has nothing of what is not there", function()
    assert.is_nil(surfaces.member(surface, "moongate.Context", "nothing"))
    assert.is_nil(surfaces.member(surface, "nothing", "get"))
  end)

  it("knows what callbacks get, wherever options are left out", function()
    local get = member("moongate.App", "get")
    for position = 2, 3 do
      local types, answers = surfaces.callback(surface, get, position, true)
      assert.same({ "moongate.Context" }, types)
      assert.is_true(answers)
    end
    local types, answers = surfaces.callback(surface, member("moongate.App", "group"), 2, true)
    assert.same({ "moongate.App" }, types)
    assert.is_false(answers)
  end)

  it("knows which arguments are values", function()
    local context = "moongate.Context"
    assert.is_true(surfaces.wants_value(member(context, "json"), 1))
    assert.is_true(surfaces.wants_value(member(context, "header"), 2))
    assert.is_true(surfaces.wants_value(member(context, "update_cache"), 2))
    assert.is_false(surfaces.wants_value(member("moongate.FutureClass", "all"), 1))
    assert.is_false(surfaces.wants_value(member("moongate.Future", "resolve"), 1))
    assert.is_false(surfaces.wants_value(member(context, "spawn"), 2))
  end)

  it("knows what is called for the function that it is given", function()
    assert.is_true(surfaces.takes_function(member("moongate.Context", "spawn")))
    assert.is_true(surfaces.takes_function(member("moongate.Context", "transaction")))
    assert.is_false(surfaces.takes_function(member("moongate.Context", "sleep")))
  end)
end)
