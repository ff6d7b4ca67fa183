local json = require("moongate.json")
local reference = require("moongate.core.docs.reference")
local site = require("moongate.core.docs.site")

local facts = {
  version = "9.9", settings = { { path = "limits.body", about = "The body", allowed = "a size" } },
  commands = { { name = "run", page = "Serves until it is told to stop.\n" } },
}

local function read(path)
  local file = assert(io.open(path, "r"))
  local text = file:read("*a")
  file:close()
  return text
end

describe("site.write", function()
  local folder = os.tmpname() .. ".d"

  setup(function()
    os.execute(("mkdir -p %s/markdown %s/html %s/man"):format(folder, folder, folder))
    site.write(folder, reference.load(), facts)
  end)

  teardown(function()
    os.execute("rm -r '" .. folder .. "'")
  end)

  it("writes each page in each form", function()
    assert.truthy(read(folder .. "/markdown/answer.md"):find("## `ctx:json(value, [status])`", 1,
      true))
    assert.truthy(read(folder .. "/html/configuration.html"):find('id="limits-body"', 1, true))
    assert.truthy(read(folder .. "/man/moongate.conf.5"):find("limits.body", 1, true))
    assert.truthy(read(folder .. "/html/index.html"):find("Moongate 9.9", 1, true))
  end)

  it("has an index whose places are there", function()
    local text = read(folder .. "/html/index.js"):match("^const INDEX = (.*);\n$")
    local entries = json.decode(text)
    assert.is_true(#entries > 200)
    local pages = {}
    for _, entry in ipairs(entries) do
      local page, anchor = entry.u:match("^([%w_-]+%.html)#?(.*)$")
      pages[page] = pages[page] or read(folder .. "/html/" .. page)
      if anchor ~= "" then
        assert.truthy(pages[page]:find('id="' .. anchor .. '"', 1, true), entry.u)
      end
    end
  end)

  it("asks nobody else for anything", function()
    for name in io.popen("ls '" .. folder .. "/html'"):lines() do
      assert.is_nil(read(folder .. "/html/" .. name):find("src=\"http", 1, true), name)
      assert.is_nil(read(folder .. "/html/" .. name):find("@import", 1, true), name)
    end
  end)
end)
