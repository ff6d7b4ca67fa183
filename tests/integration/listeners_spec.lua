--- Where a server listens.
local servers = require("support.server")
local process = require("support.process")
local wire = require("support.wire")

local function assert_serves(conn)
  assert.equal("hello\n", conn:request(wire.get("/text")).body)
  conn:close()
end

-- Runs a configuration that must not come up.
local function run_refused(config)
  local folder = servers.project(servers.config_text(config))
  local result = process.run({ servers.BINARY, "run", folder .. "/conf/moongate.lua" })
  process.remove_folder(folder)
  assert.not_equal(0, result.status)
  return result.err .. result.out, result.status
end

describe("a server", function()
  it("listens on a Unix socket", function()
    local folder = process.temp_folder()
    local path = folder .. "/sock"
    local server = servers.start({ listen = { "unix:" .. path } }, { wait_for = path })
    assert_serves(wire.connect_unix(path))
    local res = wire.connect_unix(path):request(wire.get("/echo"))
    assert.equal(200, res.status)
    server:stop()
    process.remove_folder(folder)
  end)

  it("gives a Unix socket the mode that is wanted", function()
    local folder = process.temp_folder()
    local path = folder .. "/sock"
    local listen = { { address = "unix:" .. path, mode = "0624" } }
    local server = servers.start({ listen = listen }, { wait_for = path })
    assert.equal("624\n", process.run({ "stat", "-c", "%a", path }).out)
    assert_serves(wire.connect_unix(path))
    server:stop()
    process.remove_folder(folder)
  end)

  it("takes over a Unix socket that a dead server left", function()
    local folder = process.temp_folder()
    local path = folder .. "/sock"
    local dead = servers.start({ listen = { "unix:" .. path } }, { wait_for = path })
    dead:kill()
    local server = servers.start({ listen = { "unix:" .. path } }, { wait_for = path })
    assert_serves(wire.connect_unix(path))
    server:stop()
    process.remove_folder(folder)
  end)

  it("leaves a Unix socket alone that another serves", function()
    local folder = process.temp_folder()
    local path = folder .. "/sock"
    local server = servers.start({ listen = { "unix:" .. path } }, { wait_for = path })
    local said = run_refused({ listen = { "unix:" .. path }, app = "lua/app.lua" })
    assert.truthy(said:find(path, 1, true))
    assert_serves(wire.connect_unix(path))
    server:stop()
    process.remove_folder(folder)
  end)

  it("listens on IPv6", function()
    local port = servers.free_port("::1")
    local also = servers.free_port()
    local server = servers.start({ listen = { "[::1]:" .. port, "127.0.0.1:" .. also } },
      { wait_for = also })
    assert_serves(wire.connect("::1", port))
    server:stop()
  end)

  it("keeps IPv4 out of an IPv6 address", function()
    local port = servers.free_port("::1")
    local also = servers.free_port()
    local server = servers.start({ listen = { "[::]:" .. port, "127.0.0.1:" .. also } },
      { wait_for = also })
    assert_serves(wire.connect("::1", port))
    assert.is_false(pcall(wire.connect, "127.0.0.1", port))
    server:stop()
  end)

  it("listens on several addresses", function()
    local folder = process.temp_folder()
    local first, second = servers.free_port(), servers.free_port("::1")
    local path = folder .. "/sock"
    local server = servers.start({
      listen = { "127.0.0.1:" .. first, "[::1]:" .. second, "unix:" .. path },
    }, { wait_for = path })
    assert_serves(wire.connect("127.0.0.1", first))
    assert_serves(wire.connect("::1", second))
    assert_serves(wire.connect_unix(path))
    server:stop()
    process.remove_folder(folder)
  end)

  it("listens where the command line says", function()
    local port = servers.free_port()
    local server = servers.start({ listen = { "127.0.0.1:1" } },
      { wait_for = port, arguments = { "--listen", "127.0.0.1:" .. port } })
    assert_serves(wire.connect("127.0.0.1", port))
    server:stop()
  end)

  it("refuses a port that another server has, and names the address and its pid", function()
    local server = servers.start()
    local address = "127.0.0.1:" .. server.port
    local said, status = run_refused({ listen = { address }, app = "lua/app.lua" })
    assert.equal(1, status)
    assert.truthy(said:find(address, 1, true))
    assert.truthy(said:find(tostring(server.pid), 1, true))
    assert.equal("hello\n", server:get("/text").body)
    server:stop()
  end)

  it("refuses TLS with a certificate that is not there, and names it", function()
    local listen = { { address = "127.0.0.1:1", tls = { cert = "a.pem", key = "a.key" } } }
    local said, status = run_refused({ listen = listen, app = "lua/app.lua" })
    assert.equal(1, status)
    assert.truthy(said:find("/a.pem: No such file or directory", 1, true), said)
  end)

  it("raises its limit of open files to the hard one", function()
    local server = servers.start(nil, { command = { "prlimit", "--nofile=256:4096" } })
    local soft, hard = process.open_files_limit(server.pid)
    assert.equal(hard, soft)
    assert.equal(4096, soft)
    server:stop()
  end)

  it("makes room within its limit of descriptors, and never fails to accept", function()
    local server = servers.start({ limits = { descriptors = 64 } })
    local conns = {}
    for i = 1, 200 do
      conns[i] = server:connect()
      assert.equal("hello\n", conns[i]:request(wire.get("/text")).body)
    end
    assert.is_true(server:footprint().descriptors <= 64)
    for _, conn in ipairs(conns) do
      conn:close()
    end
    assert.equal("hello\n", server:get("/text").body)
    server:stop()
  end)
end)
