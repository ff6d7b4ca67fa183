--- Certificates on the disk change: start, check and reload.
local process = require("support.process")
local servers = require("support.server")
local tls = require("support.tls")

local folder, server, port
before_each(function()
  folder = process.temp_folder()
  tls.make(folder, "a.test")
  tls.make(folder, "b.test")
end)
after_each(function()
  if server then
    server:stop()
    server = nil
  end
  process.remove_folder(folder)
end)

local function file(name)
  return folder .. "/" .. name
end

local function config(settings, more)
  port = servers.free_port()
  local c = { listen = { { address = "127.0.0.1:" .. port, tls = settings } }, workers = 2 }
  for k, v in pairs(more or {}) do
    c[k] = v
  end
  return c
end

local function start(settings, more)
  local c = config(settings, more)
  server = servers.start(c, { wait_for = port })
end

local A = function()
  return { cert = file("a.test.pem"), key = file("a.test.key") }
end

-- `moongate check` of a project with these settings: its status and what it said.
local function check(settings)
  local project = servers.project(servers.config_text({
    listen = { { address = "127.0.0.1:1", tls = settings } }, app = "lua/app.lua",
  }))
  local run = process.run({ servers.BINARY, "check", project .. "/conf/moongate.lua" }, 60)
  process.remove_folder(project)
  return run.status, run.out .. run.err
end

local function reload()
  return process.run({ servers.BINARY, "reload", server.conf }, 60)
end

local function subject(name)
  return tls.s_client(port, "", "-servername", name).out:match("subject=CN = ([^\n]+)")
end

local function move(from, to)
  process.write_file(file(to .. ".pem"), process.read_file(file(from .. ".pem")))
  process.write_file(file(to .. ".key"), process.read_file(file(from .. ".key")))
end

describe("check", function()
  it("is content with a good pair", function()
    assert.equal(0, (check(A())))
  end)

  it("names the file that is missing, unreadable, or does not fit", function()
    local status, said = check({ cert = file("a.test.pem"), key = file("none.key") })
    assert.equal(1, status)
    assert.matches("listen[1].tls: " .. file("none.key"), said, 1, true)
    status, said = check({ cert = file("a.test.pem"), key = file("b.test.key") })
    assert.equal(1, status)
    assert.matches("b.test.key: this key does not fit the certificate in", said, 1, true)
    process.write_file(file("bad.pem"), "no certificate\n")
    status, said = check({ cert = file("bad.pem"), key = file("b.test.key") })
    assert.equal(1, status)
    assert.matches(file("bad.pem"), said, 1, true)
    process.write_file(file("c.pem"), process.read_file(file("a.test.pem")))
    status, said = check({ certificates = folder })
    assert.equal(1, status)
    assert.matches(file("bad.key"), said, 1, true)
  end)

  it("refuses what has expired, and warns of what soon will", function()
    tls.make_expired(folder, "old")
    local status, said = check({ cert = file("old.pem"), key = file("old.key") })
    assert.equal(1, status)
    assert.matches("old.pem: the certificate has expired", said, 1, true)
    tls.make(folder, "soon", { days = 10 })
    status, said = check({ cert = file("soon.pem"), key = file("soon.key") })
    assert.equal(0, status)
    assert.matches("soon.pem: the certificate expires in", said, 1, true)
  end)

  it("refuses a chain in disorder", function()
    process.write_file(file("chain.pem"),
      process.read_file(file("a.test.pem")) .. process.read_file(file("b.test.pem")))
    local status, said = check({ cert = file("chain.pem"), key = file("a.test.key") })
    assert.equal(1, status)
    assert.matches("chain.pem: certificate 2 of the file has not issued", said, 1, true)
  end)
end)

describe("a start", function()
  it("is refused where a pair does not fit", function()
    local ok, err = pcall(start, { cert = file("a.test.pem"), key = file("b.test.key") })
    assert.is_false(ok)
    assert.matches("does not fit the certificate", err, 1, true)
  end)

  it("serves what has expired, and logs an error", function()
    tls.make_expired(folder, "old")
    start({ cert = file("old.pem"), key = file("old.key") })
    assert.equal("old", subject("old"))
    server:wait_for_log("error [^\n]*old.pem: the certificate has expired")
  end)
end)

describe("a reload", function()
  it("brings other certificates, and no connection notices", function()
    start(A())
    local before = process.start({
      "sh", "-c", ("(printf 'GET / HTTP/1.1\\r\\nHost: a.test\\r\\n\\r\\n'; sleep 2; "
        .. "printf 'GET / HTTP/1.1\\r\\nHost: a.test\\r\\nConnection: close\\r\\n\\r\\n'; sleep 1)"
        .. " | openssl s_client -quiet -connect 127.0.0.1:%d -servername a.test"):format(port),
    }, file("out"), file("err"))
    process.wait_until("the first answer", function()
      return (process.read_file(file("out")) or ""):find("HTTP/1.1", 1, true)
    end)
    move("b.test", "a.test")
    server.process:signal("HUP")
    server:wait_for_log("reloaded: generation 2")
    assert.equal("b.test", subject("b.test"))
    before:wait(20)
    local _, answers = process.read_file(file("out")):gsub("HTTP/1.1 %d", "")
    assert.equal(2, answers)
  end)

  it("that would bring in a pair that does not fit changes nothing, and names the file", function()
    start(A())
    process.write_file(file("a.test.key"), process.read_file(file("b.test.key")))
    local run = reload()
    assert.not_equal(0, run.status)
    assert.matches("a.test.key: this key does not fit", run.out .. run.err, 1, true)
    assert.equal("a.test", subject("a.test"))
  end)

  it("that would bring in an expired one is refused; one that keeps it is not", function()
    tls.make_expired(folder, "old")
    start(A())
    move("old", "a.test")
    local run = reload()
    assert.not_equal(0, run.status)
    assert.matches("a.test.pem: the certificate has expired", run.out .. run.err, 1, true)
    assert.equal("a.test", subject("a.test"))
    server:stop()
    start(A())
    run = reload()
    assert.equal(0, run.status)
  end)

  -- A sanitizer keeps back what was freed: there it looks for leaks at the end, after fewer turns.
  local sanitized = servers.BINARY:find("asan", 1, true) ~= nil

  it("many times leaves memory as it was", function()
    tls.make(folder, "c.test", { rsa = true })
    start({ certificates = folder })
    local function worker_kb()
      local sum = 0
      for pid in process.run({ "pgrep", "-P", tostring(server.pid) }, 5).out:gmatch("%d+") do
        sum = sum + process.rss_kb(tonumber(pid))
      end
      return sum + process.rss_kb(server.pid)
    end
    local function turn(n)
      for i = 1, n do
        tls.make(folder, "c.test")
        assert.equal(0, reload().status)
        assert.equal("c.test", subject("c.test"), i)
      end
    end
    turn(sanitized and 2 or 10)
    local before = worker_kb()
    turn(sanitized and 2 or 20)
    assert.is_true(sanitized or worker_kb() < before * 1.15 + 4096)
  end)
end)

describe("a folder", function()
  it("holds NAME.pem with NAME.key; what is added is there after a reload", function()
    start({ certificates = folder })
    assert.equal("b.test", subject("b.test"))
    tls.make(folder, "new.test")
    assert.equal("a.test", subject("new.test"))
    assert.equal(0, reload().status)
    assert.equal("new.test", subject("new.test"))
  end)
end)

describe("private keys", function()
  it("are read by the master alone: workers of another user have no way to them", function()
    if process.run({ "id", "-u" }, 5).out ~= "0\n" then
      pending("only root can have workers of another user")
      return
    end
    local app = ([[
local app = require("moongate").app()
local seen = {}
local function try(path)
  local f = io.open(path, "rb")
  if f then
    f:close()
    seen[#seen + 1] = path
  end
end
try(%q)
try("/proc/self/mem")
-- Memory that is shared begins with such a word; logs and pipes may be there.
for fd = 3, 99 do
  local f = io.open("/proc/self/fd/" .. fd, "rb")
  if f and (f:seek("end") or 0) > 0 and f:seek("set") and (f:read(5) or ""):find("^m[go]") then
    seen[#seen + 1] = fd
  end
end
app:get("/", function()
  return "seen: " .. table.concat(seen, " ")
end)
return app
]]):format(file("a.test.key"))
    process.run({ "chmod", "755", folder }, 5)
    process.run({ "chmod", "600", file("a.test.key") }, 5)
    local c = config(A(), { user = "nobody" })
    server = servers.start(c, { wait_for = port, app = app, arrange = function(project)
      process.run({ "chmod", "-R", "a+rX", project }, 5)
      return project .. "/conf/moongate.lua"
    end })
    local res = tls.curl(("https://127.0.0.1:%d/"):format(port))
    assert.equal("seen: ", res.out)
  end)
end)

describe("dev --tls", function()
  it("speaks TLS with a certificate that it makes itself", function()
    port = servers.free_port()
    server = servers.start({ listen = { "127.0.0.1:" .. port } },
      { verb = "dev", arguments = { "--tls" }, wait_for = port })
    assert.matches("Moongate's throw%-away certificate", tls.s_client(port, "").out)
    server:wait_for_log("listening on https://")
    local ca = file("dev.pem")
    local pem = tls.s_client(port, "").out:match("%-%-%-%-%-BEGIN.-END CERTIFICATE%-+\n")
    process.write_file(ca, pem)
    local run = process.run({
      "curl", "-s", "-o", "/dev/null", "--cacert", ca, ("https://localhost:%d/"):format(port),
    }, 20)
    assert.equal(0, run.status)
  end)
end)
