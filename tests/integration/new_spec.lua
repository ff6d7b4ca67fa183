--- `moongate new`: what it makes works at once.
local servers = require("support.server")
local process = require("support.process")

local function moongate(...)
  return process.run({ servers.BINARY, ... })
end

describe("moongate new", function()
  local parent, folder

  before_each(function()
    parent = process.temp_folder()
    folder = parent .. "/shop"
  end)

  after_each(function()
    process.remove_folder(parent)
  end)

  it("makes a project whose configuration is good and whose specs pass", function()
    local result = moongate("new", folder)
    assert.equal("", result.err)
    assert.equal(0, result.status)
    assert.truthy(result.out:find("cd " .. folder, 1, true))
    assert.equal(0, moongate("check", folder .. "/conf/moongate.lua").status)
    local specs = moongate("test", "-o", "plainTerminal", folder .. "/spec")
    assert.equal(0, specs.status, specs.out .. specs.err)
    assert.truthy(specs.out:find("4 successes / 0 failures", 1, true))
    local here = process.run({ "pwd" }).out:match("[^\n]+")
    local plain = process.run({ "env", "-C", folder, "-u", "LUA_INIT",
      ("LUA_PATH=%s/lua/?.lua;%s/lua/?/init.lua;;"):format(here, here),
      ("LUA_CPATH=%s/build/?.so;;"):format(here), "busted", "-o", "plainTerminal" })
    assert.truthy(plain.out:find("4 successes / 0 failures", 1, true), plain.out .. plain.err)
  end)

  it("makes a JSON API, whose database `moongate dev` makes", function()
    assert.equal(0, moongate("new", folder, "--api").status)
    local specs = moongate("test", folder .. "/spec")
    assert.equal(0, specs.status, specs.out .. specs.err)
    assert.truthy(specs.out:find("6 successes / 0 failures", 1, true), specs.out)
    local address = "127.0.0.1:" .. servers.free_port("127.0.0.1")
    local dev = process.start({
      servers.BINARY, "dev", folder .. "/conf/moongate.lua", "--listen", address,
    }, parent .. "/out", parent .. "/err")
    local made = process.run({
      "curl", "-s", "--retry", "50", "--retry-delay", "0", "--retry-connrefused", "-w",
      " %{http_code}",
      "-d", '{"title":"a","text":"b"}', "http://" .. address .. "/api/notes",
    })
    dev:destroy()
    assert.truthy(made.out:find('"title":"a".*} 201$'), made.out)
    assert.truthy(process.read_file(parent .. "/out"):find("0001_notes.sql: applied\n", 1, true))
  end)

  it("names the declarations for LuaLS where they are", function()
    moongate("new", folder)
    local path = process.read_file(folder .. "/.luarc.json"):match('"([^"]+/moongate/api)"')
    assert.truthy(process.read_file(path .. "/context.lua"):find("---@meta", 1, true))
  end)

  it("takes an empty folder, and refuses one that is not", function()
    assert.is_true(process.make_folder(folder))
    assert.equal(0, moongate("new", folder).status)
    local before = process.read_file(folder .. "/lua/app.lua")
    local result = moongate("new", folder)
    assert.equal(1, result.status)
    assert.equal("moongate: " .. folder .. " is not empty: a new or empty folder is wanted\n",
      result.err)
    assert.equal(before, process.read_file(folder .. "/lua/app.lua"))
  end)

  it("says what hinders it", function()
    local result = moongate("new", "/proc/none/shop")
    assert.equal(1, result.status)
    assert.equal("moongate: /proc/none/shop: No such file or directory\n", result.err)
  end)
end)
