--- The master and its workers: deaths, replacements, the end.
local services = require("support.service")
local servers = require("support.server")
local process = require("support.process")
local wire = require("support.wire")

local service

local function start(...)
  service = services.start(...)
  return service
end

local function kill(pid, signal)
  assert(os.execute(("kill -%s %d"):format(signal, pid)) == 0)
end

local function wait_for_replacement(worker, old)
  process.wait_until("worker " .. worker .. " is replaced", function()
    local now = service:pids()
    return now[worker] and now[worker] ~= old
  end)
end

after_each(function()
  if service then
    service:stop()
    service = nil
  end
end)

describe("workers", function()
  it("share the connections", function()
    start()
    service:connect_to(1):close()
    service:connect_to(2):close()
  end)

  -- A sanitizer takes SIGSEGV for its own fault.
  local crash = servers.BINARY:find("asan") and { "ABRT", 6 } or { "SEGV", 11 }
  for signal, number in pairs({ KILL = 9, [crash[1]] = crash[2] }) do
    it("that die of SIG" .. signal .. " are replaced; nobody connects in vain", function()
      start()
      local other = service:connect_to(1)
      local before = service:pids()
      kill(before[2], signal)
      for _ = 1, 200 do
        assert.equal("one", service:body("/"))
      end
      service:wait_for_log("worker 2 was killed by signal " .. number)
      wait_for_replacement(2, before[2])
      assert.equal(before[1], service:pids()[1])
      assert.equal("one", other:request(wire.get("/")).body)
      other:close()
    end)
  end

  it("that die again and again are started less often", function()
    start()
    local pid = service:pids()[2]
    for _ = 1, 3 do
      kill(pid, "KILL")
      wait_for_replacement(2, pid)
      pid = service:pids()[2]
    end
    service:wait_for_log("it is replaced in 0%.[24] s")
    assert.equal(3, service:status().workers[2].restarts)
  end)

  it("that are told to stop drain, and are replaced", function()
    start()
    local before = service:pids()
    local conn = service:connect_to(2)
    conn:send(wire.get("/sleep/1500"))
    process.wait_until("the request is under way", function()
      return service:status().workers[2].requests > 1
    end)
    kill(before[2], "TERM")
    local res = conn:read()
    assert.equal("slept\n", res.body)
    assert.equal("close", res.headers.connection)
    conn:close()
    wait_for_replacement(2, before[2])
  end)

  it("finish their requests and end when their master dies", function()
    start()
    local pids = service:pids()
    local conn = service:connect_to(1)
    conn:send(wire.get("/sleep/1500"))
    process.wait_until("the request is under way", function()
      return service:status().workers[1].requests > 1
    end)
    service.process:signal("KILL")
    local res = conn:read()
    assert.equal("slept\n", res.body)
    assert.equal("close", res.headers.connection)
    conn:close()
    for _, pid in ipairs(pids) do
      process.wait_until("worker " .. pid .. " is gone", function()
        return not process.read_file("/proc/" .. pid .. "/cmdline")
      end)
    end
    service:kill()
    service = nil
  end)

  it("listen on IPv6 and on a Unix path of their master's", function()
    local port = servers.free_port("::1")
    local path = "/tmp/moongate-test-" .. port .. ".sock"
    start({ listen = { "[::1]:" .. port, "unix:" .. path } }, nil, nil, { wait_for = path })
    service:wait_for_log("listening on http://%[::1%]")
    local conn = wire.connect("::1", port)
    assert.equal("one", conn:request(wire.get("/")).body)
    conn:close()
    conn = wire.connect_unix(path)
    assert.equal("one", conn:request(wire.get("/")).body)
    conn:close()
  end)
end)

describe("a master", function()
  it("that cannot start its first workers ends and says why", function()
    local folder = servers.project(servers.config_text({
      listen = { "127.0.0.1:" .. servers.free_port() }, workers = 2, app = "lua/app.lua",
    }))
    process.write_file(folder .. "/lua/app.lua",
      services.app("one", "app:on_start(function() error('no luck') end)"))
    local said = process.run({ servers.BINARY, "run", folder .. "/conf/moongate.lua" })
    assert.equal(1, said.status)
    assert.truthy(said.err:find("no luck", 1, true), said.err)
    process.remove_folder(folder)
  end)

  it("refuses addresses of another one, and names it", function()
    start({ workers = 2 })
    local said = process.run({ servers.BINARY, "run", service.folder .. "/conf/moongate.lua" })
    assert.equal(1, said.status)
    assert.truthy(said.err:find("process " .. service.pid .. " listens there already", 1, true))
    assert.equal("one", service:body("/"))
  end)

  for _, signal in ipairs({ "TERM", "INT" }) do
    it("by SIG" .. signal .. " finishes what is under way", function()
      start()
      local conn = service:connect_to(1)
      conn:send(wire.get("/sleep/1500"))
      process.wait_until("the request is under way", function()
        return service:status().workers[1].requests > 1
      end)
      service.process:signal(signal)
      local res = conn:read()
      assert.equal("slept\n", res.body)
      assert.equal("close", res.headers.connection)
      assert.equal(0, service.process:wait())
      conn:close()
    end)
  end

  it("by a second signal stops at once", function()
    start()
    local conn = service:connect_to(1)
    conn:send(wire.get("/sleep/60000"))
    process.wait_until("the request is under way", function()
      return service:status().workers[1].requests > 1
    end)
    service.process:signal("TERM")
    service:wait_for_log("stopping: requests under way")
    service.process:signal("TERM")
    assert.equal(0, service.process:wait())
    conn:close()
  end)

  it("opens all log files anew without losing a line", function()
    start({ log = { file = "stderr", access = "access.log", level = "info" } })
    local path = service.folder .. "/access.log"
    for _ = 1, 50 do
      service:body("/")
    end
    os.rename(path, path .. ".1")
    service.process:signal("USR1")
    for _ = 1, 50 do
      service:body("/")
    end
    local function lines(file)
      local _, n = (process.read_file(file) or ""):gsub("GET / HTTP", "")
      return n
    end
    process.wait_until("100 lines are in both files", function()
      return lines(path) + lines(path .. ".1") == 100
    end)
    process.wait_until("the new file is in use", function()
      service:body("/")
      return lines(path) > 0
    end)
  end)

  local is_root = io.popen("id -u"):read("*l") == "0"

  it("lets workers run as another user, who cannot make the log files", function()
    if not is_root then
      pending("only root can become somebody else")
      return
    end
    local logs = process.temp_folder()
    os.execute("chmod 755 " .. logs)
    start({ user = "nobody", log = { file = "stderr", access = logs .. "/access.log" } })
    for _, pid in ipairs(service:pids()) do
      assert.truthy(process.read_file("/proc/" .. pid .. "/status"):find("Uid:%s+65534%s+65534"))
    end
    os.rename(logs .. "/access.log", logs .. "/old.log")
    service.process:signal("USR1")
    process.wait_until("the new file is in use", function()
      service:body("/")
      return (process.read_file(logs .. "/access.log") or ""):find("GET /", 1, true)
    end)
    process.remove_folder(logs)
  end)
end)
