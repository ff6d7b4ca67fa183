local project = require("moongate.test.project")
local test = require("moongate.test")

local folder = os.tmpname() .. ".d"

local function write(path, text)
  local file = assert(io.open(folder .. "/" .. path, "w"))
  file:write(text)
  file:close()
end

describe("the project of a spec", function()
  setup(function()
    os.execute(("mkdir -p %s/conf %s/lua %s/spec/deep"):format(folder, folder, folder))
    write("conf/moongate.lua", 'return { app = "lua/other.lua", limits = { body = 10 } }')
    write("lua/other.lua", [[
local app = require("moongate").app()
app:post("/", function(ctx) return ctx:body():await() end)
return app
]])
  end)

  teardown(function()
    os.execute("rm -r '" .. folder .. "'")
  end)

  it("is the nearest folder above it with a configuration or an app", function()
    assert.equal(folder .. "/", project.find(folder .. "/spec/deep/x_spec.lua"))
    assert.equal(folder .. "/", project.find(folder))
    assert.equal("", project.find("spec/moongate"))
    assert.equal("", project.find("."))
    assert.is_nil(project.find("/proc/self"))
  end)

  describe("when it is another one", function()
    local before

    before_each(function()
      before = project.folder
      project.folder = folder .. "/"
    end)

    after_each(function()
      project.folder = before
    end)

    it("has the app that its configuration names", function()
      local app = test.app()
      assert.equal("more than ten bytes", app:post("/", { body = "more than ten bytes" }).body)
      app:close()
    end)

    it("has the limits of its configuration on wish", function()
      local app = test.app({ configuration = true })
      assert.equal(413, app:post("/", { body = "more than ten bytes" }).status)
      app:close()
      app = test.app({ configuration = true, limits = { body = 100 } })
      assert.equal(200, app:post("/", { body = "more than ten bytes" }).status)
      app:close()
    end)

    it("finds a script that is named against its folder", function()
      local app = test.app("lua/other.lua")
      assert.equal("x", app:post("/", { body = "x" }).body)
      app:close()
    end)

    it("comes before what lies where the specs are run from", function()
      write("lua/app.lua", 'local app = require("moongate").app() '
        .. 'app:get("/mine", function() return "mine" end) return app')
      local app = test.app("lua/app.lua")
      assert.equal("mine", app:get("/mine").body)
      app:close()
    end)

    it("tells what is wrong with its configuration", function()
      write("conf/broken.lua", "return {")
      local ok, message = pcall(test.app, { configuration = "conf/broken.lua" })
      assert.is_false(ok)
      assert.truthy(message:find("/conf/broken.lua:1: ", 1, true), message)
    end)
  end)
end)
