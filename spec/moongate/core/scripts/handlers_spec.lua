--- xpcall as scripts have it.
local xpcall_of_scripts = require("moongate.core.scripts.handlers").xpcall

describe("xpcall of scripts", function()
  it("is the standard one", function()
    local function add(a, b)
      return a + b, "more"
    end
    assert.same({ true, 3, "more" }, { xpcall_of_scripts(add, print, 1, 2) })
    assert.same({ false, "handled x" }, { xpcall_of_scripts(error, function(err)
      return "handled " .. err
    end, "x", 0) })
    assert.same({ xpcall(error, tostring, "y") }, { xpcall_of_scripts(error, tostring, "y") })
  end)

  it("gives its handler the stack of the failure", function()
    local names = {}
    local function fails()
      error("x")
    end
    xpcall_of_scripts(fails, function()
      for level = 1, 4 do
        names[level] = debug.getinfo(level, "f")
      end
    end)
    assert.equal(error, names[2].func)
    assert.equal(fails, names[3].func)
  end)

  it("takes a handler that is none as the standard one does", function()
    local expected = { pcall(xpcall, error, nil) }
    local got = { pcall(xpcall_of_scripts, error, nil) }
    assert.equal(expected[1], got[1])
    assert.equal(expected[2], got[2])
  end)

  it("keeps no handler alive", function()
    local seen = setmetatable({}, { __mode = "k" })
    do
      local handler = load("return ...")
      seen[handler] = true
      xpcall_of_scripts(error, handler)
    end
    collectgarbage()
    collectgarbage()
    assert.is_nil(next(seen))
  end)
end)
