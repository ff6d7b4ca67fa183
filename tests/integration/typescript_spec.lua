--- TypeScript: what `moongate new --typescript` makes, and what the declarations know of types.
local servers = require("support.server")
local process = require("support.process")

local FIXTURE = "tests/integration/fixture/typescript"

local function run(...)
  return process.run({ ... }, 120)
end

-- In the project's folder, as a user would.
local function inside(folder, command)
  return run("sh", "-c", 'cd "$0" && PATH=$1:$PATH && ' .. command, folder,
    folder .. "/node_modules/.bin")
end

local function assert_good(result)
  assert.equal(0, result.status, result.out .. result.err)
end

describe("a project in TypeScript", function()
  local parent, folder, built, why
  local binary = servers.BINARY:find("^/") and servers.BINARY or "$OLDPWD/" .. servers.BINARY

  -- The project as it is made, and beside its app another one, over much of the surface.
  local function make(packages)
    folder = parent .. "/shop"
    assert_good(run(servers.BINARY, "new", folder, "--typescript"))
    assert_good(run("ln", "-s", packages, folder .. "/node_modules"))
    assert_good(run("cp", "-r", FIXTURE .. "/src", FIXTURE .. "/spec", folder))
    built = inside(folder, "tstl")
    os.remove(folder .. "/lua/forgotten.lua") -- `moongate check` finds these in Lua too
  end

  setup(function()
    parent = process.temp_folder()
    local found = run("sh", "tests/setup/tstl.sh")
    why = found.err
    if found.status == 0 then
      make(found.out:match("[^\n]+"))
    end
  end)

  teardown(function()
    process.remove_folder(parent)
  end)

  local function it_is(what, fn)
    it(what, function()
      if not built then
        pending("TypeScriptToLua cannot be had: " .. why)
      else
        fn()
      end
    end)
  end

  it_is("built, every forgotten await being an error of types", function()
    assert.equal("", (built.out .. built.err):gsub("[^\n]*warning TSTL[^\n]*\n?", ""))
    assert.equal(0, built.status)
  end)

  it_is("good, and passes its specs", function()
    assert_good(inside(folder, binary .. " check"))
    local specs = inside(folder, binary .. " test")
    assert_good(specs)
    assert.truthy(specs.out:find("9 successes / 0 failures", 1, true), specs.out)
  end)
end)
