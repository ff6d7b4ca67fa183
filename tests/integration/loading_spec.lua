--- What scripts do to their process while they load, and who notices: nobody but their author.
local services = require("support.service")
local servers = require("support.server")
local process = require("support.process")
local wire = require("support.wire")

local service
local start, stop = services.each(function(now)
  service = now
end)

after_each(stop)

local FFI = [[local ffi = require("ffi") ffi.cdef("int getpid(void); int kill(int, int); ]]
  .. [[void _exit(int);") ]]

-- `lines` begin at line 12 of lua/app.lua.
local function assert_refused(lines, want)
  service:write_app("two", lines)
  local said = service:reload()
  assert.equal(1, said.status)
  assert.truthy(said.err:find(want, 1, true), said.err)
  assert.equal("one", service:body("/"))
end

describe("a reload is refused, and no request is lost, when a new script", function()
  it("ends its process", function()
    start({ ffi = true })
    local waiting = service:connect()
    waiting:send(wire.get("/sleep/1500"))
    local pids = service:pids()
    assert_refused("os.exit(1)", "lua/app.lua:12: os.exit would end the server")
    assert_refused("getfenv(0).os.exit(0)", "lua/app.lua:12: os.exit would end the server")
    assert_refused(FFI .. "ffi.C._exit(1)",
      "lua/app.lua:12: loading ended the process, which exited with status 1")
    assert_refused(FFI .. "ffi.C.kill(ffi.C.getpid(), 9)",
      "lua/app.lua:12: loading ended the process, which was killed by signal 9")
    assert_refused(FFI .. "\n\nffi.C.kill(ffi.C.getpid(), 6)",
      "lua/app.lua:14: loading ended the process, which was killed by signal 6")
    assert.equal("slept\n", waiting:read().body)
    waiting:close()
    assert.same(pids, service:pids())
    service:write_app("three")
    service:must_reload()
    assert.equal("three", service:body("/"))
  end)

  it("wants ffi, unless the configuration gives it", function()
    start()
    assert_refused('require("ffi")', "lua/app.lua:12: ffi reaches past every guard")
    service:configure({ ffi = true })
    service:write_app("two", 'assert(require("ffi").abi("le"))')
    service:must_reload()
    assert.equal("two", service:body("/"))
  end)

  it("does not come to an end, also in on_start", function()
    start()
    service:configure({ timeouts = { reload = 2, stall_abort = 0.3 } })
    assert_refused("while true do pcall(function() while true do end end) end",
      "lua/app.lua:12: loading does not come to an end: stopped after 2 s")
    assert_refused("app:on_start(function() while true do end end)",
      "lua/app.lua:12: it did not let go")
    assert_refused("app:on_start(function() while true do moongate.sleep(0.1):await() end end)",
      "lua/app.lua:12: on_start does not come to an end: worker ")
    service:configure({ timeouts = {} })
    service:write_app("three")
    service:must_reload()
  end)
end)

local function is_trying(master)
  local children = process.read_file(("/proc/%d/task/%d/children"):format(master, master)) or ""
  for pid in children:gmatch("%d+") do
    local command = process.read_file("/proc/" .. pid .. "/cmdline")
    if command and command:find("\0_trial\0", 1, true) then
      return true
    end
  end
end

describe("a script that loops", function()
  it("does not hold up a stop", function()
    start()
    service:write_app("two", "while true do end")
    local conf = service.folder .. "/conf/moongate.lua"
    local out = service.folder .. "/reload.out"
    local reload = process.start({ servers.BINARY, "reload", conf }, out, out)
    process.wait_until("the scripts are tried", function()
      return is_trying(service.pid)
    end)
    local said = service:command("stop")
    assert.equal(0, said.status)
    assert.equal(0, service.process:wait())
    assert.equal(1, reload:wait())
    assert.truthy(process.read_file(out):find("the server is stopping", 1, true))
  end)

  it("is named by check and by run, in bounded time", function()
    local folder = servers.project(servers.config_text({
      listen = { "127.0.0.1:" .. servers.free_port() }, timeouts = { reload = 2 },
    }))
    process.write_file(folder .. "/lua/app.lua", "\nwhile true do end\n")
    for _, verb in ipairs({ "check", "routes", "run" }) do
      local said = process.run({ servers.BINARY, verb, folder .. "/conf/moongate.lua" }, 20)
      assert.equal(1, said.status)
      assert.truthy(said.err:find("lua/app.lua:2: loading does not come to an end", 1, true),
        said.err)
    end
    process.remove_folder(folder)
  end)
end)

describe("require", function()
  it("finds nothing of a project on the disk that its snapshot lacks", function()
    start({ workers = 1 }, "one", [[
      app:get("/add", function(ctx)
        package.path = package.path .. ";" .. ctx.query.path
        return ""
      end)
      app:get("/try/:name", function(ctx) return tostring((pcall(require, ctx.params.name))) end)]])
    service:body("/add?path=" .. service.folder .. "/more/%3F.lua")
    process.make_folder(service.folder .. "/more")
    service:write("lua/late.lua", "return 1")
    service:write("more/later.lua", "return 1")
    assert.equal("false", service:body("/try/late"))
    assert.equal("false", service:body("/try/later"))
    assert.equal("false", service:body("/try/tests.integration.support.wire")) -- of the folder here
    service:must_reload()
    assert.equal("true", service:body("/try/late"))
  end)
end)

describe("what a script starts", function()
  it("inherits nothing of the server", function()
    local path = os.tmpname()
    start({ database = "sqlite:var/x.db" }, "one", ([[
      os.execute("ls -l /proc/self/fd >> %s")]]):format(path))
    service:write_app("two", ('io.popen("ls -l /proc/self/fd >> %s"):close()'):format(path))
    service:must_reload()
    for line in process.read_file(path):gmatch("[^\n]+") do
      local fd, what = line:match("(%d+) %-> (.*)$")
      assert.is_true(fd == nil or tonumber(fd) < 3 or what:find("^/proc/") ~= nil, line)
    end
    os.remove(path)
  end)

  it("cannot wait for a terminal", function()
    start({}, "one", 'assert(io.stdin:read("*a") == "")')
    assert.equal("one", service:body("/"))
  end)
end)

describe("in development", function()
  it("what ends or holds the process is shown in the page", function()
    start({ workers = 0, ffi = true, timeouts = { reload = 2 } }, "one", nil, { verb = "dev" })
    service:wait_for_log("are loaded again when they are saved")
    for _, lines in ipairs({ FFI .. "ffi.C._exit(1)", "while true do end", "x = = 1" }) do
      service:write_app("two", lines)
      process.wait_until("the fault is shown", function()
        local res = service:request(wire.get("/"))
        return res.status == 500 and res.body:find("lua/app.lua:12", 1, true)
      end)
      service:write_app("three")
      process.wait_until("it is mended", function()
        return service:body("/") == "three"
      end)
    end
  end)
end)
