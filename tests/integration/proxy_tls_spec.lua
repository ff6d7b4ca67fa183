--- TLS towards servers: each key of an upstream's `tls`, whom it trusts, and what is told of that.
local json = require("dkjson")
local proxy = require("support.proxy")
local upstreams = require("support.upstream")
local wire = require("support.wire")

local upstream, gateway
local listeners = {}

-- An upstream's name -> its configuration, by the certificate of its server.
local function wanted()
  local trusting = { ca = upstream:pem("ca") }
  local function of(cert, tls, host, options)
    local all = { kind = "https", cert = cert }
    for k, v in pairs(options or {}) do
      all[k] = v
    end
    local listener = upstream:listen(all)
    local up = { ("https://%s:%d"):format(host or "127.0.0.1", listener.port), tls = tls }
    return up, listener
  end
  return {
    trusted = { of("good", trusting) },
    named = { of("good", trusting, "good.test") },
    system = { of("good") },
    unknown = { of("unknown", trusting) },
    expired = { of("expired", trusting) },
    elsewhere = { of("elsewhere", trusting) },
    other = { of("good", trusting, "other.test") },
    renamed = { of("good", { ca = upstream:pem("ca"), server_name = "good.test" }, "other.test") },
    wrongly = { of("good", { ca = upstream:pem("ca"), server_name = "elsewhere.test" }) },
    insecure = { of("expired", { insecure = true }, "other.test") },
    shown = { of("good", { ca = upstream:pem("ca"), cert = upstream:pem("elsewhere"),
      key = upstream.folder .. "/elsewhere.key" }, nil, { clients_of = "ca" }) },
    stranger = { of("good", { ca = upstream:pem("ca"), cert = upstream:pem("unknown"),
      key = upstream.folder .. "/unknown.key" }, nil, { clients_of = "ca" }) },
    anonymous = { of("good", trusting, nil, { clients_of = "ca" }) },
    plain = { { ("https://127.0.0.1:%d"):format(upstream:listen({ kind = "http" }).port),
      tls = trusting } },
  }
end

setup(function()
  upstream = upstreams.start()
  local here = { A = { "127.0.0.1" } }
  upstream:names({ ["good.test"] = here, ["other.test"] = here })
  local ups = {}
  for name, made in pairs(wanted()) do
    ups[name], listeners[name] = made[1], made[2]
  end
  gateway = proxy.start(ups.trusted, {
    upstreams = ups, http = { nameservers = upstream.nameservers },
  }, [[
app:any("/of/:name/*path", function(ctx)
  ctx:proxy(ctx.params.name, { path = "/" .. ctx.params.path })
end)
]])
end)
teardown(function()
  gateway:stop()
  upstream:stop()
end)

local function ask(name)
  local conn = gateway:connect()
  local res = conn:request(wire.get("/of/" .. name .. "/echo"))
  conn:close()
  return res
end

local function tls_of(name)
  local res = ask(name)
  assert.equal(200, res.status, res.body)
  return listeners[name]:seen().requests[1].tls
end

-- A 502, why in the log alone, and no request at the server.
local function assert_refused(name, pattern)
  local res = ask(name)
  assert.equal(502, res.status)
  assert.equal("the upstream server did not answer", (json.decode(res.body)).detail)
  gateway:wait_for_log("upstream " .. name .. ": https://[^ ]+: " .. pattern)
  if listeners[name] then
    assert.same({}, listeners[name]:seen().requests)
  end
end

describe("the certificate of a server", function()
  it("is trusted if tls.ca has signed it", function()
    assert.equal("http/1.1", tls_of("trusted").alpn)
  end)

  it("is not, by the system's authorities", function()
    assert_refused("system", ".*certificate")
  end)

  it("of another authority is a 502, and why stands in the log", function()
    assert_refused("unknown", ".*certificate")
  end)

  it("that has expired is a 502", function()
    assert_refused("expired", ".*expired")
  end)

  it("for another address or name is a 502", function()
    assert_refused("elsewhere", ".*127%.0%.0%.1")
    assert_refused("other", ".*other%.test")
  end)

  it("may be for tls.server_name instead", function()
    assert.equal("good.test", tls_of("renamed").server_name)
    assert_refused("wrongly", ".*elsewhere%.test")
  end)

  it("is not looked at with tls.insecure, and the log says so", function()
    assert.equal("other.test", tls_of("insecure").server_name)
    gateway:wait_for_log("INSECURE: the certificate of https://")
  end)
end)

describe("a server over TLS", function()
  it("is asked for its name, none if that is an address", function()
    assert.equal("good.test", tls_of("named").server_name)
    assert.is_nil(tls_of("trusted").server_name)
  end)

  it("is shown tls.cert if it asks for one", function()
    assert.equal("elsewhere", tls_of("shown").client)
    assert_refused("stranger", ".+")
    assert_refused("anonymous", ".+")
  end)

  it("that speaks none is a 502", function()
    assert_refused("plain", ".+")
  end)
end)
