local boot = require("moongate.core.boot")
local moongate = require("moongate")
local native = require("moongate.native")
local info = require("moongate.core.info")

-- Loads an app whose script is `text`.
local function load(text, options)
  options = options or {}
  options.read = function(path)
    return path == "/project/lua/app.lua" and text or nil
  end
  return boot.load("/project", "lua/app.lua", options)
end

local GOOD = 'return require("moongate").app()'

describe("boot.load", function()
  it("gives the app, or a message with file and line", function()
    assert.is_table(load(GOOD))
    for text, want in pairs({
      ["\nx = = 1"] = "^lua/app%.lua:2: unexpected symbol",
      ["\n\nerror('broken')"] = "^lua/app%.lua:3: broken$",
      ["error({ code = 'own', message = 'a table' })"] = "^lua/app%.lua:1: a table$",
      ["\nerror({})"] = "^lua/app%.lua:2: error object$",
      ["return 1"] = "^lua/app%.lua: the script must return the app",
    }) do
      local served, message = load(text)
      assert.is_nil(served)
      assert.matches(want, message)
    end
  end)

  it("reads the given texts, not the disk", function()
    local served, message = boot.load("/project", "lua/none.lua", {
      read = function() end,
    })
    assert.is_nil(served)
    assert.equal("lua/none.lua: the file cannot be read", message)
  end)
end)

describe("moongate.core.info", function()
  local generation, worker = info.generation, info.worker
  after_each(function()
    info.generation, info.worker = generation, worker
  end)

  it("tells version, generation, worker and process", function()
    load(GOOD, { generation = 4, worker = 2 })
    assert.same({ version = moongate.version, generation = 4, worker = 2, pid = native.pid() },
      moongate.info())
  end)

  it("is the first generation of one process unless told otherwise", function()
    load(GOOD)
    local now = moongate.info()
    assert.same({ 1, 0 }, { now.generation, now.worker })
  end)
end)
