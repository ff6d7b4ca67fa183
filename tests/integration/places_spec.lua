--- Where the files of a project lie: links, releases, folders full of other things.
local services = require("support.service")
local servers = require("support.server")
local process = require("support.process")

local service
after_each(function()
  if service then
    service:stop()
    service = nil
  end
end)

local function sh(folder, command)
  assert.equal(0, os.execute(("cd '%s' && { %s; }"):format(folder, command)))
end

-- What runs lies in releases/1, which `current` leads to.
local function make_releases(folder)
  sh(folder, [[mkdir -p releases/1/lua && mv conf releases/1 && mv lua/app.lua releases/1/lua
    cp -r releases/1 releases/2 && sed -i 's/"one"/"two"/' releases/2/lua/app.lua
    ln -s releases/1 current]])
  return folder .. "/current/conf/moongate.lua"
end

describe("a release that `current` leads to", function()
  local function start(how)
    how = how or {}
    how.arrange = make_releases
    service = services.start({ workers = 1 }, "one", nil, how)
    assert.equal("one", service:get("/").body)
    sh(service.folder, "ln -sfn releases/2 current")
  end

  it("is found by that name after it was switched", function()
    start()
    service:must_reload()
    assert.equal("two", service:get("/").body)
    assert.equal(1, #service:pids())
  end)

  it("is the one that was loaded until there is a reload, also for a new worker", function()
    start()
    local before = service:pids()[1]
    os.execute("kill -9 " .. before)
    process.wait_until("there is another worker", function()
      local now = service:pids()[1]
      return now and now ~= before
    end)
    assert.equal("one", service:get("/").body)
  end)

  it("is followed by a server that was started inside of it", function()
    local inside = 'at=$PWD; cd "${3%/conf/*}"; exec "$at/$1" "$2" conf/moongate.lua'
    start({
      command = { "sh", "-c", inside, "sh" },
    })
    service:must_reload()
    assert.equal("two", service:get("/").body)
  end)
end)

describe("a project", function()
  it("is the folder above conf/, wherever that leads", function()
    service = services.start(nil, "one", nil, {
      arrange = function(folder)
        sh(folder, "mkdir elsewhere && mv conf elsewhere/name && ln -s elsewhere/name conf")
        return folder .. "/conf/moongate.lua"
      end,
    })
    assert.equal("one", service:get("/").body)
    assert.is_nil(service:stderr():find("left out", 1, true))
  end)

  it("starts and reloads whatever lies beside its scripts, and says what it left out", function()
    service = services.start(nil, "one", nil, {
      arrange = function(folder)
        sh(folder, [[mkdir uploads && truncate -s 20M uploads/big.lua && ln -s / all
          for i in 1 2 3 4 5 6 7 8 9 a b c; do mkdir -p x/$i; touch x/$i/m.lua; done
          for i in x/*; do for k in x/*; do ln -s ../../$k $i/; done; done]])
        return folder .. "/conf/moongate.lua"
      end,
    })
    service:must_reload()
    assert.equal("one", service:get("/").body)
    local text = service:wait_for_log("left out.-left out")
    assert.truthy(text:find("/uploads/big.lua (larger than 8 MiB)", 1, true), text)
    assert.truthy(text:find("/all (a link to the outside: name it in `scripts`)", 1, true), text)
    local said = service:command("check")
    assert.equal(0, said.status)
    assert.truthy(said.err:find("/uploads/big.lua (larger than 8 MiB)", 1, true), said.err)
  end)

  it("reads scripts only where `scripts` says, which may be outside", function()
    local outside = process.temp_folder()
    process.write_file(outside .. "/shared.lua", 'return "shared"')
    service = services.start({ scripts = { "lua/libs", "lua" } }, "one", [[
      local ok = pcall(require, "thing")
      app:get("/both", function() return tostring(ok) .. " " .. require("libs.shared") end)
    ]], {
      arrange = function(folder)
        sh(folder, "echo return 1 > thing.lua && ln -s " .. outside .. " lua/libs")
        return folder .. "/conf/moongate.lua"
      end,
    })
    local body = service:get("/both").body
    process.remove_folder(outside)
    assert.equal("false shared", body)
  end)

  it("is refused if `scripts` names what is not there", function()
    local folder = servers.project(servers.config_text({ scripts = { "lua", "src" } }))
    local said = process.run({ servers.BINARY, "run", folder .. "/conf/moongate.lua" }, 30)
    process.remove_folder(folder)
    assert.equal(1, said.status)
    local fault = "scripts[2]: " .. folder .. "/src: No such file"
    assert.truthy(said.err:find(fault, 1, true), said.err)
  end)
end)
