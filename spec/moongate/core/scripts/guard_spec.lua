local env = require("moongate.core.scripts.env")

-- A loader of a project whose files are the given texts.
local function project(files)
  return env.new("", function(path)
    return files[path]
  end)
end

describe("a script", function()
  local sched = require("moongate.core.sched")

  local function refusal(text)
    local ok, message = pcall(project({ ["app.lua"] = text }).run, "app.lua")
    assert.is_false(ok)
    return message
  end

  it("cannot end the process or change it as a whole, whether it is loading or not", function()
    for _, loading in ipairs({ true, false }) do
      sched.loading = loading
      for _, text in ipairs({
        "os.exit(0)", 'os.setlocale("C")', 'collectgarbage("stop")', "debug.sethook()",
        "debug.getregistry()", 'debug.setmetatable("", nil)', "setfenv(0, {})",
        'debug.getupvalue(require("moongate").spawn, 1)',
      }) do
        assert.matches("^app%.lua:1: ", refusal(text))
      end
    end
    sched.loading = false
  end)

  it("may wait for other processes while it is loading, never later", function()
    sched.loading = true
    local text = 'return io.popen("echo x"):read("*l")'
    assert.equal("x", project({ ["app.lua"] = text }).run("app.lua"))
    sched.loading = false
    assert.matches("^app%.lua:1: io%.popen would stop every request", refusal(text .. " .. ''"))
    assert.matches("^app%.lua:1: os%.execute would stop", refusal('os.execute("true")'))
  end)
end)
