local env = require("moongate.core.scripts.env")

-- A loader of a project whose files are the given texts.
local function project(files)
  return env.new("", function(path)
    return files[path]
  end)
end

describe("require in a project", function()
  it("looks below lua/, then beside it, and loads once", function()
    local loader = project({
      ["lua/routes/home.lua"] = "return {}",
      ["tools/init.lua"] = "return 1",
      ["lua/tools/init.lua"] = "return 2",
      ["app.lua"] = [[
        assert(require("routes.home") == require("routes.home"))
        return require("tools")
      ]],
    })
    assert.equal(2, loader.run("app.lua"))
  end)

  it("gives modules the same guarded globals", function()
    local loader = project({ ["lua/a.lua"] = "leak = 1", ["app.lua"] = 'require("a")' })
    local ok, message = pcall(loader.run, "app.lua")
    assert.is_false(ok)
    assert.matches("^lua/a%.lua:1: accidental global 'leak'", message)
  end)

  it("does not give what is the server's own", function()
    for _, name in ipairs({ "moongate.core.sched", "moongate.native" }) do
      local loader = project({ ["app.lua"] = ("require(%q)"):format(name) })
      local ok, message = pcall(loader.run, "app.lua")
      assert.is_false(ok)
      assert.equal("app.lua:1: module '" .. name .. "' belongs to the server: what scripts may use "
        .. 'is in require("moongate")', message)
    end
    local loader = project({ ["app.lua"] = 'return require("moongate.future")' })
    assert.is_table(loader.run("app.lua"))
  end)

  it("names a circle", function()
    local loader = project({
      ["lua/a.lua"] = 'require("b")', ["lua/b.lua"] = 'require("a")', ["app.lua"] = 'require("a")',
    })
    local ok, message = pcall(loader.run, "app.lua")
    assert.is_false(ok)
    assert.matches("^lua/b%.lua:1: module 'a' is required while it is loading", message)
  end)

  it("tells the same mistake of a module again, not of a circle", function()
    local loader = project({
      ["lua/a.lua"] = 'error("a mistake")',
      ["app.lua"] = [[
        local _, first = pcall(require, "a")
        local _, second = pcall(require, "a")
        return { first, second }
      ]],
    })
    local mistake = "lua/a.lua:1: a mistake"
    assert.same({ mistake, mistake }, loader.run("app.lua"))
  end)

  it("gives what a module leaves in package.loaded, also to those that it requires", function()
    local loader = project({
      ["lua/a.lua"] = 'local M = {} package.loaded[...] = M M.b = require("b")',
      ["lua/b.lua"] = 'return { a = require("a") }',
      ["lua/c.lua"] = 'module("c", package.seeall) function f() return type(string) end',
      ["lua/d.lua"] = "",
      ["app.lua"] = [[
        assert(package.loaded.a == nil)
        local a, c = require("a"), require("c")
        assert(a == a.b.a and package.loaded.a == a)
        package.loaded.a = nil
        assert(require("a") ~= a)
        package.preload.made = function(name) return { name = name } end
        assert(require("made").name == "made")
        return { c.f(), require("d"), require("d") }
      ]],
    })
    assert.same({ "table", true, true }, loader.run("app.lua"))
    assert.is_nil(rawget(package.loaded, "a"))
    assert.is_nil(rawget(package.preload, "made"))
    package.loaded.c = nil
    rawset(_G, "c", nil)
  end)

  it("heeds what a script adds to package.path, within the project", function()
    local before = package.path
    local loader = project({
      ["vendor/x.lua"] = "return 7",
      ["app.lua"] = [[package.path = package.path .. ";./vendor/?.lua" return require("x")]],
    })
    assert.equal(7, loader.run("app.lua"))
    package.path = before
  end)

  it("refuses modules that would block the loop, naming the way that does not", function()
    local ok, message = pcall(project({ ["app.lua"] = 'require("socket")' }).run, "app.lua")
    assert.is_false(ok)
    assert.matches("^app%.lua:1: module 'socket' blocks the loop: use ctx:http_request", message)
  end)
end)

describe("a project that was read once", function()
  local folder, late

  local function write(text)
    local file = io.open(folder .. "/late.lua", "w")
    file:write(text)
    file:close()
  end

  -- The loaded module of a project below `folder`; `read` is what the files were then.
  local function load_app(read)
    return env.new(folder, read).run("app.lua")
  end

  before_each(function()
    folder = os.tmpname()
    os.remove(folder)
    assert.equal(0, os.execute("mkdir " .. folder))
    late = { [folder .. "/late.lua"] = "return 'as it was'" }
    late[folder .. "/app.lua"] = "return function() return require('late') end"
  end)

  after_each(function()
    os.remove(folder .. "/late.lua")
    os.remove(folder)
  end)

  it("does not see what was changed on the disk since, also in a later require", function()
    local handler = load_app(function(path)
      return late[path]
    end)
    write("return 'changed'")
    assert.equal("as it was", handler())
    assert.equal("as it was", handler())
  end)

  it("asks for each module once", function()
    local asked = {}
    local handler = load_app(function(path)
      asked[path] = (asked[path] or 0) + 1
      return late[path]
    end)
    handler()
    handler()
    assert.equal(1, asked[folder .. "/late.lua"])
  end)

  it("may run a module again that failed", function()
    late[folder .. "/late.lua"] = "error('not yet')"
    local handler = load_app(function(path)
      return late[path]
    end)
    assert.is_false(pcall(handler))
    late[folder .. "/late.lua"] = "return 'mended'"
    assert.equal("mended", handler())
  end)
end)
