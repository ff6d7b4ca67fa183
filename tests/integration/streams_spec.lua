--- Endpoints of other protocols (app:stream) and connections to them (moongate.tcp).
local servers = require("support.server")
local services = require("support.service")
local process = require("support.process")
local tls = require("support.tls")
local wire = require("support.wire")
local socket = require("socket")

local LOOPBACK = "127.0.0.1"
-- A sanitizer keeps back what was freed.
local FLAT_KB = servers.BINARY:find("asan", 1, true) and 200000 or 6000

-- Lines come back behind the app's word; "who" tells of the client, "fail" fails, "flood N" sends
-- N bytes, "quit" ends.
local LINES = [[
local function serve(s)
  for line in function() return s:read_line():await() end do
    if line == "who" then
      s:write(("%%s %%s\n"):format(s.client_ip, tostring(s.tls)))
    elseif line == "fail" then
      error("it was told to")
    elseif line == "quit" then
      return
    elseif line:find("^flood") then
      local piece = ("x"):rep(65536)
      for _ = 1, tonumber(line:match("%%d+")) / #piece do
        s:write(piece)
      end
    else
      s:write(%q .. " " .. line .. "\n")
    end
  end
end
app:get("/ask/:port/:line", function(ctx)
  local options = { timeout = 5, tls = ctx.query.tls and { insecure = true } or false,
    deny = ctx.query.deny }
  local s = moongate.tcp.connect("127.0.0.1:" .. ctx.params.port, options):try_await()
  local _, err = s
  if not s then
    _, err = moongate.tcp.connect("127.0.0.1:" .. ctx.params.port, options):try_await()
    return 502, err.code .. ": " .. err.message
  end
  s:write(ctx.params.line .. "\n")
  return s:read_line():timeout(5):await()
end)
]]

local plain, secure, proxied = servers.free_port(), servers.free_port(), servers.free_port()

local function app_of(word, more)
  return LINES:format(word)
    .. ('app:stream("127.0.0.1:%d", { idle = 30 }, serve)\n'):format(plain)
    .. ('app:stream("127.0.0.1:%d", serve)\n'):format(secure)
    .. ('app:stream("127.0.0.1:%d", serve)\n'):format(proxied)
    .. (more or "")
end

local function connect(port)
  return wire.connect(LOOPBACK, port or plain)
end

local function ask(conn, line)
  conn:send(line .. "\n")
  return conn:take_text_line()
end

describe("endpoints of other protocols", function()
  local service

  setup(function()
    local folder = process.temp_folder()
    tls.make(folder, "site")
    service = services.start({
      listen = {
        LOOPBACK .. ":" .. servers.free_port(),
        { address = LOOPBACK .. ":" .. secure, stream = true,
          tls = { cert = folder .. "/site.pem", key = folder .. "/site.key" } },
        { address = LOOPBACK .. ":" .. proxied, stream = true, proxy_protocol = { "127.0.0.0/8" } },
      },
      workers = 2,
      timeouts = { drain = 2 },
      log = { level = "info", file = "stderr", access = "access.log" },
    }, "one", app_of("one"), { wait_for = plain })
    service.port = tonumber(service.config.listen[1]:match("%d+$"))
    service.certificates = folder
  end)
  teardown(function()
    service:stop()
    process.remove_folder(service.certificates)
  end)

  it("answer", function()
    local conn = connect()
    assert.equal("one hello", ask(conn, "hello"))
    assert.equal("127.0.0.1 false", ask(conn, "who"))
    conn:send("quit\n")
    assert.equal("", conn:take_rest())
    process.wait_until("the access log has it", function()
      return service:access_log():find(('"STREAM 127.0.0.1:%d" 200 '):format(plain), 1, true)
    end)
  end)

  it("are told of in the log", function()
    assert.truthy(service:stderr():find(("listening on tcp://127.0.0.1:%d"):format(plain), 1, true))
    assert.truthy(service:stderr():find(("listening on tls://127.0.0.1:%d"):format(secure), 1,
      true))
  end)

  it("speak TLS where the configuration says so", function()
    local said = tls.s_client(secure, "who\\nquit\\n", "-quiet")
    assert.truthy(said.out:find("127.0.0.1 TLSv1.", 1, true), said.out .. said.err)
  end)

  it("are told by a proxy who the client is", function()
    local conn = connect(proxied)
    conn:send("PROXY TCP4 192.0.2.7 192.0.2.1 4000 7000\r\n")
    assert.equal("192.0.2.7 false", ask(conn, "who"))
    conn:close()
  end)

  it("are what moongate.tcp connects to", function()
    assert.equal("one a", service:body("/ask/" .. plain .. "/a"))
    assert.equal("one b", service:body("/ask/" .. secure .. "/b?tls=1"))
    assert.truthy(service:body("/ask/" .. plain .. "/a?deny=loopback")
      :find('denied: 127.0.0.1:' .. plain .. ': 127.0.0.1 is denied by "loopback" (option deny)', 1,
        true))
    assert.truthy(service:body("/ask/" .. servers.free_port() .. "/a"):find("^connect: "))
    assert.truthy(service:body("/ask/" .. plain .. "/a?tls=1"):find("^tls: "))
  end)

  it("end a connection whose function fails, and tell of it", function()
    local conn = connect()
    conn:send("fail\n")
    local _, err = conn.sock:receive(1)
    assert.equal("closed", err)
    assert.truthy(service:wait_for_log("the stream at 127.0.0.1:" .. plain
      .. " failed %(client 127.0.0.1%): [^\n]*it was told to"))
  end)

  it("send no faster than the client takes", function()
    local rss = process.rss_kb(service:pids()[1]) + process.rss_kb(service:pids()[2])
    local conn = connect()
    conn:send("flood 16777216\n")
    assert.equal("x", conn.sock:receive(1)) -- it has begun
    ask(connect(), "in the meantime")
    local now = process.rss_kb(service:pids()[1]) + process.rss_kb(service:pids()[2])
    assert.is_true(now - rss < FLAT_KB, "memory grew by " .. now - rss .. " KB")
    assert.equal(16777215, #conn.sock:receive(16777215))
    conn:close()
  end)

  describe("over a reload", function()
    it("go on with their scripts, and new ones get the new function", function()
      local old = connect()
      assert.equal("one a", ask(old, "a"))
      service:write_app("two", app_of("two"))
      service:must_reload()
      assert.equal("one b", ask(old, "b"))
      local new = connect()
      assert.equal("two a", ask(new, "a"))
      new:close()
      assert.equal("", old:take_rest()) -- the drain is over
    end)

    it("come and go", function()
      local more = servers.free_port()
      local line = ('app:stream("127.0.0.1:%d", serve)\n'):format(more)
      service:write_app("two", app_of("two", line))
      assert.truthy(service:must_reload().out:find("+ listen 127.0.0.1:" .. more, 1, true))
      local conn = connect(more)
      assert.equal("two a", ask(conn, "a"))
      service:write_app("two", app_of("two"))
      assert.truthy(service:must_reload().out:find("- listen 127.0.0.1:" .. more, 1, true))
      assert.equal("two b", ask(conn, "b"))
      conn:close()
      local sock = socket.tcp4()
      assert.is_nil(sock:connect(LOOPBACK, more))
      sock:close()
    end)

    it("refuse it if an address cannot be bound", function()
      local taken = assert(socket.bind(LOOPBACK, 0))
      local _, port = taken:getsockname()
      service:write_app("three",
        app_of("three", ('app:stream("127.0.0.1:%d", serve)\n'):format(port)))
      local said = service:reload()
      assert.not_equal(0, said.status)
      assert.truthy(said.err:find("127.0.0.1:" .. port, 1, true), said.err)
      taken:close()
      local conn = connect()
      assert.equal("two a", ask(conn, "a"))
      conn:close()
    end)
  end)

  it("are checked", function()
    local http = service.config.listen[1]
    service:write_app("x", app_of("x", ('app:stream(%q, serve)\n'):format(http)))
    local said = service:command("check")
    assert.equal(1, said.status)
    assert.truthy(said.err:find("app.lua:%d+: stream: " .. http:gsub("%.", "%%.")
      .. " speaks HTTP"), said.err)
    service:write_app("x", "")
    said = service:command("check")
    assert.equal(1, said.status)
    assert.truthy(said.err:find(("listen: 127.0.0.1:%d has stream = true, but the app has no "
      .. "app:stream"):format(secure), 1, true), said.err)
    service:write_app("one", app_of("one"))
    assert.equal(0, service:command("check").status)
  end)
end)
