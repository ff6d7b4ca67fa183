--- What is typed at the prompt of moongate repl.
local repl = require("moongate.core.dev.repl")
local test = require("moongate.test")

describe("moongate repl", function()
  local app, served

  before_each(function()
    app = test.app(function() end)
    served = {
      root = require("moongate.future")._current_root(),
      globals = setmetatable({ known = "of the scripts" }, { __index = _G }),
    }
  end)

  after_each(function()
    app:close()
  end)

  -- What comes of a line: ok and text.
  local function typed(code, seconds)
    local ok, text
    repl.evaluate(served, code, function(...)
      assert.is_nil(ok)
      ok, text = ...
    end)
    app.clock:advance(seconds or 0)
    return { ok, text }
  end

  it("shows what an expression gives, and what was printed", function()
    assert.same({ true, "3" }, typed("1 + 2"))
    assert.same({ true, '1\n"a"\nnil' }, typed("1, 'a', nil"))
    assert.same({ true, "a\t1\n2" }, typed("print('a', 1) return 2"))
    assert.same({ true, "" }, typed("local x = 1"))
    assert.same({ true, "" }, typed(""))
    assert.same({ true, "nil" }, typed("nil"))
  end)

  it("sees what scripts see, and keeps globals of its own", function()
    assert.same({ true, '"of the scripts"' }, typed("known"))
    typed("mine = 5")
    assert.same({ true, "10" }, typed("mine * 2"))
    assert.is_nil(rawget(served.globals, "mine"))
    assert.same({ true, '"table"' }, typed("type(moongate.http)"))
  end)

  it("awaits", function()
    assert.same({ nil, nil }, typed("moongate.sleep(2):await() return 'slept'", 1))
    app.clock:advance(1)
    assert.same({ true, '"x"' },
      typed("moongate.sleep(2):and_then(function() return 'x' end):await()", 2))
  end)

  it("tells of a Future that is not awaited", function()
    local told = typed("moongate.sleep(1)", 1)
    assert.is_true(told[1])
    assert.matches("a Future .*sleep.*:await%(%) is missing", told[2])
  end)

  it("tells errors with the line that was typed", function()
    local told = typed("local x\nreturn x.y")
    assert.is_false(told[1])
    assert.matches("^repl:2: attempt to index", told[2])
    assert.matches("^repl:1: ", typed("x = = 1")[2])
    assert.matches("moon", typed("error({ code = 'moon' })")[2])
  end)

  it("asks for more of what is not complete", function()
    for _, code in ipairs({ "for i = 1, 2 do", "f(", "x =", "x * 2 +", "if true then\n" }) do
      assert.same({ false, "" }, typed(code))
    end
  end)

  it("says so if there are no scripts", function()
    served.globals = false
    assert.same({ false, "the scripts could not be loaded: mend them first" }, typed("1"))
  end)
end)
