local moongate = require("moongate")
local env = require("moongate.core.scripts.env")
local helpers = dofile("spec/fixture/helpers.lua")

-- A loader of a project whose files are the given texts.
local function project(files)
  return env.new("", function(path)
    return files[path]
  end)
end

describe("a project's script", function()
  it("sees the standard globals and returns its value", function()
    local loader = project({ ["app.lua"] = "return math.max(1, #tostring(_G))" })
    assert.is_number(loader.run("app.lua"))
  end)

  it("cannot make a global by accident", function()
    for _, text in ipairs({ "count = 1", "_G.count = 1", "function count() end" }) do
      local ok, message = pcall(project({ ["app.lua"] = text }).run, "app.lua")
      assert.is_false(ok)
      assert.matches("^app%.lua:1: accidental global 'count': declare it with 'local'", message)
    end
    assert.is_nil(rawget(_G, "count"))
  end)

  it("cannot read a global that nobody made", function()
    for text, message in pairs({
      ["\nreturn prnt"] = "app.lua:2: undefined global 'prnt' (did you mean 'print'?): a local of "
        .. "that name does not reach here, or was never made",
      ["return _G.coun"] = "app.lua:1: undefined global 'coun': a local of that name does not "
        .. "reach here, or was never made",
    }) do
      local ok, said = pcall(project({ ["app.lua"] = text }).run, "app.lua")
      assert.is_false(ok)
      assert.equal(message, said)
    end
  end)

  it("may ask for what other hosts of Lua have", function()
    local loader = project({ ["app.lua"] = "return love == nil and _G.vim == nil" })
    assert.is_true(loader.run("app.lua"))
  end)

  it("cannot go over a Future as if it were its value", function()
    for _, over in ipairs({ "pairs", "ipairs" }) do
      local loader = project({ ["app.lua"] = "return function(f)\nfor _ in " .. over
        .. "(f) do end\nend" })
      local ok, said = pcall(loader.run("app.lua"), moongate.future())
      assert.is_false(ok)
      assert.equal(("app.lua:2: a Future made at spec/moongate/core/scripts/env_spec.lua:%d "
        .. "(future): :await() is missing"):format(helpers.here() - 3), said)
    end
  end)

  it("is named by its path in the project, also in syntax errors", function()
    local ok, message = pcall(project({ ["lua/app.lua"] = "\nlocal x = = 1" }).run, "lua/app.lua")
    assert.is_false(ok)
    assert.matches("^lua/app%.lua:2: ", message)
  end)

  it("that is not there is named", function()
    local ok, message = pcall(project({}).run, "lua/app.lua")
    assert.is_false(ok)
    assert.equal("lua/app.lua: the file cannot be read", message)
  end)
end)

describe("the globals of scripts", function()
  it("are not lost by what modules for strictness do to their metatable", function()
    local loader = project({ ["app.lua"] = [[
      local meta = getmetatable(_G)
      meta.__index, meta.__newindex = error, error
      local ok, message = pcall(setmetatable, _G, {})
      return { print, ok, message }
    ]] })
    local got = loader.run("app.lua")
    assert.equal(loader.globals.print, got[1])
    assert.is_false(got[2])
    assert.equal("cannot change a protected metatable", got[3])
  end)
end)

describe("code that a script makes of text", function()
  it("sees what the script sees", function()
    local loader = project({
      ["lua/part.lua"] = "return print, ...",
      ["app.lua"] = [[
        local own = { x = 5 }
        return {
          loadstring("return print")(), load("return print")(), loadfile("lua/part.lua")(),
          (dofile("lua/part.lua")), print, load("return x", "own", "t", own)(),
          select(2, loadstring("x = = 1")), (pcall(dofile, "lua/none.lua")),
        }
      ]],
    })
    local got = loader.run("app.lua")
    for i = 1, 5 do
      assert.equal(loader.globals.print, got[i])
    end
    assert.equal(5, got[6])
    assert.matches("unexpected symbol", got[7])
    assert.is_false(got[8])
  end)
end)
