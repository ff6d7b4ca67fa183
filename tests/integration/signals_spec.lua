--- How a server ends.
local servers = require("support.server")
local process = require("support.process")
local wire = require("support.wire")

local function refuses_connections(server)
  local ok, conn = pcall(server.connect, server)
  if ok then
    conn:close()
  end
  return not ok
end

local function start_with_request_under_way(timeouts)
  local server = servers.start({ timeouts = timeouts })
  local conn = server:connect()
  conn:send(wire.get("/sleep/800"))
  local idle = server:connect()
  assert.equal(200, idle:request(wire.get("/text")).status)
  return server, conn, idle
end

local function assert_ended(server, status)
  assert.equal(status, server.process:wait())
  assert.is_nil(server:report())
  server:kill()
end

describe("a server that is told to stop", function()
  for _, signal in ipairs({ "TERM", "INT" }) do
    it("by SIG" .. signal .. " finishes what is under way and exits with 0", function()
      local server, conn, idle = start_with_request_under_way()
      server.process:signal(signal)
      assert.is_true(idle:is_closed())
      process.wait_until("new connections are refused", function()
        return refuses_connections(server)
      end)
      local res = conn:read()
      assert.equal("slept\n", res.body)
      assert.equal("close", res.headers.connection)
      assert.is_true(conn:is_closed())
      assert_ended(server, 0)
    end)
  end

  it("finishes a streamed answer", function()
    local server = servers.start()
    local conn = server:connect()
    conn:send(wire.get("/stream_slowly/800"))
    conn:fill_some()
    server.process:signal("TERM")
    process.wait_until("new connections are refused", function()
      return refuses_connections(server)
    end)
    assert.equal("first\nsecond\n", conn:read().body)
    assert.is_true(conn:is_closed())
    assert_ended(server, 0)
  end)

  it("does not wait longer than timeouts.drain", function()
    local server = servers.start({ timeouts = { drain = 0.2 } })
    local conn = server:connect()
    conn:send(wire.get("/wait/never"))
    server:wait_for_body("/pending/never", "yes")
    server.process:signal("TERM")
    assert.is_number(server.process:wait())
    assert.is_nil(server:report())
    conn:close()
    server:kill()
  end)

  it("a second time ends at once", function()
    local server = servers.start()
    local conn = server:connect()
    conn:send(wire.get("/wait/never"))
    server:wait_for_body("/pending/never", "yes")
    server.process:signal("TERM")
    process.wait_until("new connections are refused", function()
      return refuses_connections(server)
    end)
    assert.is_nil(server.process:poll())
    server.process:signal("TERM")
    assert.is_number(server.process:wait(10))
    assert.is_nil(server:report())
    conn:close()
    server:kill()
  end)

  it("with many idle connections does not tarry", function()
    local server = servers.start()
    local conns = {}
    for i = 1, 200 do
      conns[i] = server:connect()
      conns[i]:request(wire.get("/text"))
    end
    server.process:signal("TERM")
    for _, conn in ipairs(conns) do
      assert.is_true(conn:is_closed())
      conn:close()
    end
    assert_ended(server, 0)
  end)
end)
