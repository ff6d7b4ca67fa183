--- gRPC through the proxy: @grpc/grpc-js at both ends, without TLS and with it.
local json = require("dkjson")
local process = require("support.process")
local proxy = require("support.proxy")
local servers = require("support.server")
local upstreams = require("support.upstream")

local PEERS = "tests/integration/support/grpc.js"
local found = process.run({ "sh", "tests/setup/grpc.sh" }, 120)
local modules = found.out:match("[^\n]+")

local folder, peer, gateway, plain, tls

local LINES = [[
app:proxy("/test.Echo/*path", "up")
app:proxy("/tls.Echo/*path", "secure")
app:proxy("/lost.Echo/*path", "lost")
app:post("/lua.Echo/*path", function(ctx)
  return ctx:proxy("lost")
end)
]]

local function node(...)
  return { "env", "NODE_PATH=" .. modules, "node", PEERS, ... }
end

setup(function()
  if not modules then
    return
  end
  folder = process.temp_folder()
  upstreams.write_certificates(folder)
  peer = process.start(node("server", folder), folder .. "/out", folder .. "/err")
  local ports = process.wait_until("the server of gRPC listens", function()
    assert(not peer:poll(), process.read_file(peer.err))
    return (json.decode(process.read_file(peer.out)))
  end)
  plain, tls = servers.free_port(), servers.free_port()
  local files = { cert = folder .. "/good.pem", key = folder .. "/good.key" }
  gateway = proxy.start({}, {
    listen = { { address = "127.0.0.1:" .. plain, http2 = true },
      { address = "127.0.0.1:" .. tls, http2 = true, tls = files } },
    upstreams = {
      up = { ("http://127.0.0.1:%d"):format(ports.plain), http2 = true,
        health = { grpc = "", interval = 0.1 } },
      secure = { ("https://127.0.0.1:%d"):format(ports.tls),
        tls = { ca = folder .. "/ca.pem" } },
      sick = { ("http://127.0.0.1:%d"):format(ports.plain), http2 = true,
        health = { grpc = "sick", interval = 0.1, down = 1 } },
      lost = { ("http://127.0.0.1:%d"):format(servers.free_port()), http2 = true },
    },
  }, LINES, { wait_for = plain })
end)
teardown(function()
  if modules then
    gateway:stop()
    peer:destroy()
    process.remove_folder(folder)
  end
end)

-- What the client's end tells.
local function calls(...)
  local said = process.run(node("client", ...), 60)
  assert(said.status == 0, said.err)
  return (assert(json.decode(said.out), said.out .. said.err))
end

local function expect_all(told)
  assert.equal("hello", told.echo.text)
  assert.equal("sent", told.echo.trailers["x-came"])
  assert.equal(1000000, told.large)
  assert.same({ code = 5, details = "n\195\182 100 %" }, told.fail)
  assert.equal("500000", told.gather)
  assert.equal(1000, told.count)
  assert.same({ "one", "two", "three" }, told.talk)
  assert.equal(1, told.cancelled)
  assert.equal(200, told.deadline.status)
  assert.equal(4, told.deadline.code) -- by us, or by the server if that is quicker
  assert.equal(14, told.lost.code)
  assert.matches("the upstream server did not answer", told.lost.details)
end

describe("gRPC through the proxy", function()
  if not modules then
    pending("the packages of gRPC cannot be had: " .. found.err)
    return
  end

  it("does all that gRPC does, over TLS", function()
    expect_all(calls(tostring(tls), "tls.Echo", folder .. "/ca.pem"))
  end)

  it("knows how a server is by asking it", function()
    local function state_of(name)
      for _, up in ipairs(gateway:status().upstreams) do
        if up.upstream == name then
          return up.servers[1].state, up.servers[1].why
        end
      end
    end
    process.wait_until("the checks have said what they find", function()
      return state_of("sick") == "down" and state_of("up") == "up"
    end)
    local _, why = state_of("sick")
    assert.matches("it does not serve", why)
  end)

  it("... and without, to a server that is asked how it is; whose end is told", function()
    local told = calls(tostring(plain), "test.Echo", "", "break")
    expect_all(told)
    assert.is_true(told.seen.checks >= 1)
    assert.same({ messages = 1, code = 14 }, told.broken)
  end)
end)
