--- The PROXY protocol towards servers: they are told who the client is before HTTP begins.
local json = require("dkjson")
local process = require("support.process")
local proxy = require("support.proxy")
local servers = require("support.server")
local services = require("support.service")
local upstreams = require("support.upstream")
local wire = require("support.wire")

local OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
local ECHO = [[
local checks = 0
app:get("/health", function() checks = checks + 1 return "well" end)
app:get("/checks", function() return tostring(checks) end)
app:any("/*path", function(ctx)
  return { peer = ctx.connection.peer, id = ctx.connection.id, scheme = ctx.scheme }
end)
]]
local ROUTES = [[
for _, name in ipairs({ "http1", "http2", "https1", "https2", "raw" }) do
  app:proxy("/" .. name .. "/*path", name, { strip = "/" .. name })
end
]]

local upstream, behind, raw, gateway, proxied

local function listen(port, tls)
  return { address = "127.0.0.1:" .. port, proxy_protocol = { "127.0.0.0/8" }, tls = tls }
end

-- `behind` lets in only who speaks the PROXY protocol.
setup(function()
  upstream = upstreams.start()
  raw = upstream:listen({ kind = "raw" })
  raw:script("TCP4", OK) -- what stands in the place of a path
  local plain, secure = servers.free_port(), servers.free_port()
  behind = services.start({
    workers = 0,
    listen = { listen(plain), listen(secure, { cert = upstream:pem("good"),
      key = upstream.folder .. "/good.key" }) },
  }, "one", ECHO, { wait_for = plain })
  local function of(scheme, port, version, health)
    return { ("%s://127.0.0.1:%d"):format(scheme, port), proxy_protocol = version, health = health,
      tls = { ca = upstream:pem("ca") } }
  end
  local checks = { path = "/health", interval = 0.05, up = 1, down = 1 }
  local own = servers.free_port()
  proxied = servers.free_port()
  gateway = proxy.start({ "http://127.0.0.1:1" }, {
    listen = { "127.0.0.1:" .. own, listen(proxied) },
    upstreams = {
      http1 = of("http", plain, true), http2 = of("http", plain, 2, checks),
      https1 = of("https", secure, 1), https2 = of("https", secure, 2), raw = { raw,
        proxy_protocol = 1 },
    },
  }, ROUTES, { wait_for = own })
  gateway.port = own
end)
teardown(function()
  gateway:stop()
  behind:stop()
  upstream:stop()
end)

local function address_of(conn)
  local ip, port = conn.sock:getsockname()
  return ip .. ":" .. port, ip, port
end

local function ask(conn, name)
  local res = conn:request(wire.get("/" .. name .. "/x"))
  assert.equal(200, res.status, res.body)
  return (json.decode(res.body))
end

describe("the PROXY protocol towards servers", function()
  for _, name in ipairs({ "http1", "http2", "https1", "https2" }) do
    it("tells whose connection it is, which then serves no one else: " .. name, function()
      local one, two = gateway:connect(), gateway:connect()
      local first, second = ask(one, name), ask(two, name)
      assert.equal(name:match("%a+"), first.scheme)
      assert.equal(address_of(one), first.peer)
      assert.equal(address_of(two), second.peer)
      assert.same({ first, second, first }, { ask(one, name), ask(two, name), ask(one, name) })
      one:close()
      two:close()
    end)
  end

  it("passes on what a proxy in front tells", function()
    local conn = wire.connect("127.0.0.1", proxied)
    assert(conn:send("PROXY TCP6 2001:db8::7 2001:db8::1 4711 443\r\n"))
    assert.equal("[2001:db8::7]:4711", ask(conn, "http1").peer)
    assert.equal("[2001:db8::7]:4711", ask(conn, "http2").peer)
    conn:close()
  end)

  it("comes first on the connection", function()
    local conn = gateway:connect()
    assert.equal(200, conn:request(wire.get("/raw/x")).status)
    local _, ip, port = address_of(conn)
    assert.matches(("^PROXY TCP4 %s 127.0.0.1 %s %d\r\nGET /x HTTP/1.1\r\n"):format(ip, port,
      gateway.port), raw:seen().requests[1].head)
    conn:close()
  end)

  it("comes with health checks, which tell of nobody", function()
    local conn = gateway:connect()
    process.wait_until("there were checks", function()
      return tonumber(conn:request(wire.get("/http1/checks")).body) > 2
    end)
    conn:close()
    assert.is_nil(gateway:stderr():find("is down", 1, true))
  end)
end)
