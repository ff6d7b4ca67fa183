--- The PROXY protocol: who a load balancer in front says that its client is.
local servers = require("support.server")
local process = require("support.process")
local wire = require("support.wire")
local json = require("dkjson")

local V2 = "\r\n\r\n\0\r\nQUIT\n"
local V4 = "\192\0\2\7" .. "\198\51\100\1" .. "\220\4" .. "\1\187"

-- What the handler is told of a request that comes behind that header.
local function told(conn, header, ...)
  assert(conn:send(header))
  local res = conn:request(wire.get("/echo", ...))
  assert.equal(200, res.status)
  return json.decode(res.body)
end

local function assert_closed(conn)
  assert.equal("", conn:take_rest())
  conn:close()
end

local function listen(proxies, port)
  return { { address = "127.0.0.1:" .. port, proxy_protocol = proxies } }
end

describe("an endpoint with proxy_protocol", function()
  local server, port

  setup(function()
    port = servers.free_port()
    server = servers.start({
      listen = listen({ "127.0.0.0/8" }, port),
      timeouts = { handshake = 1 },
      trusted_proxies = { "192.0.2.0/24" },
    }, { wait_for = port })
  end)

  teardown(function()
    server:stop()
  end)

  local function connect()
    return wire.connect("127.0.0.1", port)
  end

  it("takes the client's address from version 1", function()
    local conn = connect()
    local line = "PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n"
    assert.equal("192.0.2.7", told(conn, line).client_ip)
    assert.equal("192.0.2.7", told(conn, "").client_ip)
    conn:close()
    conn = connect()
    assert.equal("2001:db8::7", told(conn, "PROXY TCP6 2001:db8::7 ::1 1 2\r\n").client_ip)
    conn:close()
  end)

  it("takes it from version 2, and skips what else is told", function()
    local conn = connect()
    assert.equal("192.0.2.7", told(conn, V2 .. "\33\17\0\17" .. V4 .. "\1\0\2h2").client_ip)
    conn:close()
  end)

  it("keeps the connection's own address where none is told", function()
    for _, header in ipairs({ "PROXY UNKNOWN\r\n", V2 .. "\32\0\0\0", V2 .. "\33\0\0\0" }) do
      local conn = connect()
      assert.equal("127.0.0.1", told(conn, header).client_ip)
      conn:close()
    end
  end)

  it("reads a header that comes byte by byte", function()
    local conn = connect()
    conn:send_slowly("PROXY TCP4 198.51.100.9 198.51.100.1 56324 443\r\n")
    assert.equal("198.51.100.9", told(conn, "").client_ip)
    conn:close()
  end)

  it("believes Forwarded fields of the address that was told", function()
    local field = "X-Forwarded-For: 203.0.113.5"
    local conn = connect()
    assert.equal("203.0.113.5", told(conn, "PROXY TCP4 192.0.2.7 1.1.1.1 1 2\r\n", field).client_ip)
    conn:close()
    conn = connect()
    local other = "PROXY TCP4 198.51.100.9 1.1.1.1 1 2\r\n"
    assert.equal("198.51.100.9", told(conn, other, field).client_ip)
    conn:close()
  end)

  it("logs the told address", function()
    local conn = connect()
    told(conn, "PROXY TCP4 192.0.2.99 198.51.100.1 56324 443\r\n")
    conn:close()
    process.wait_until("the line is logged", function()
      return server:access_log():find("192.0.2.99 - - ", 1, true)
    end)
  end)

  it("closes on whoever sends no header, or a malformed one", function()
    for _, text in ipairs({ wire.get("/echo"), "PROXY TCP4 1.2.3.4\r\n", V2 .. "\33\17\0\1x" }) do
      local conn = connect()
      conn:send(text)
      assert_closed(conn)
    end
    server:wait_for_log("PROXY protocol's header from 127.0.0.1:%d+ is refused")
  end)

  it("does not wait for a header for ever", function()
    local conn = connect()
    conn:send("PROXY TCP4 ")
    assert_closed(conn)
  end)
end)

describe("proxy_protocol", function()
  it("lets nobody in but the proxies that are listed", function()
    local port, also = servers.free_port(), servers.free_port()
    local endpoints = listen({ "10.0.0.0/8" }, port)
    endpoints[2] = "127.0.0.1:" .. also
    local server = servers.start({ listen = endpoints }, { wait_for = also })
    local conn = wire.connect("127.0.0.1", port)
    conn:send("PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n" .. wire.get("/echo"))
    assert_closed(conn)
    server:wait_for_log("127.0.0.1:%d+ is refused at 127.0.0.1:" .. port)
    server:stop()
  end)

  it("is spoken on Unix sockets by \"unix\"", function()
    local folder = process.temp_folder()
    local path = folder .. "/sock"
    local server = servers.start({
      listen = { { address = "unix:" .. path, proxy_protocol = { "unix" } } },
    }, { wait_for = path })
    local conn = wire.connect_unix(path)
    assert.equal("192.0.2.7", told(conn, "PROXY TCP4 192.0.2.7 1.1.1.1 1 2\r\n").client_ip)
    conn:close()
    server:stop()
    process.remove_folder(folder)
  end)
end)
