--- The reference: in the terminal, as a site, as man pages.
local servers = require("support.server")
local process = require("support.process")

local function moongate(...)
  return process.run({ servers.BINARY, ... })
end

describe("moongate help", function()
  it("shows an entry of the reference, a setting, a guide, a command", function()
    for name, first in pairs({
      ["ctx:json"] = "ctx:json(value, [status])\n", routing = "Routing\n",
      ["limits.body"] = "limits.body (configuration)\n",
      run = "Serves until it is told to stop.\n",
    }) do
      local result = moongate("help", name)
      assert.equal(0, result.status)
      assert.equal(first, result.out:sub(1, #first))
    end
  end)

  it("guesses at a misspelt name", function()
    local result = moongate("help", "limits.bdoy")
    assert.equal(1, result.status)
    assert.equal("moongate: limits.bdoy: the reference has no such name "
      .. '(did you mean "limits.body"?); see moongate help\n', result.err)
  end)

end)

describe("moongate docs", function()
  local folder = process.temp_folder()

  teardown(function()
    process.remove_folder(folder)
  end)

  it("writes a site, Markdown and man pages", function()
    local result = moongate("docs", folder)
    assert.equal("", result.err)
    assert.equal(0, result.status)
    assert.truthy(process.read_file(folder .. "/html/context.html"):find("ctx.path", 1, true))
    local recipes = process.read_file(folder .. "/markdown/guide-recipes.md")
    assert.truthy(recipes:find("# Recipes", 1, true))
    assert.truthy(process.read_file(folder .. "/man/moongate.1"):find(".TH MOONGATE 1", 1, true))
  end)

  it("knows every setting that check --defaults prints", function()
    local settings = process.read_file(folder .. "/markdown/configuration.md")
    local table_of, count = "", 0
    for line in moongate("check", "--defaults").out:gmatch("[^\n]+") do
      local indent, name, rest = line:match("^(%s+)([%w_]+) = (.*)$")
      if name and rest == "{" then
        table_of = name .. "."
      elseif name then
        local path = #indent > 2 and table_of .. name or name
        count = count + 1
        assert.truthy(settings:find("## `" .. path .. "`", 1, true), path)
      end
    end
    assert.is_true(count > 50, count)
  end)

  it("says what is wrong with the folder", function()
    local result = moongate("docs", "/proc/none")
    assert.equal(1, result.status)
    assert.equal("moongate: /proc/none: No such file or directory\n", result.err)
    result = moongate("docs")
    assert.equal(2, result.status)
    assert.equal("moongate: docs: a folder is wanted; see moongate docs --help\n", result.err)
  end)
end)
