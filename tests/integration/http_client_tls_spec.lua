--- The HTTP client over TLS: whom it trusts, what it says, what it remembers.
local callers = require("support.caller")
local process = require("support.process")
local servers = require("support.server")
local upstreams = require("support.upstream")

local server, upstream

setup(function()
  upstream = upstreams.start()
  server = callers.start(upstream)
  upstream:names({
    ["good.test"] = { A = { "127.0.0.1" } },
    ["other.test"] = { A = { "127.0.0.1" } },
    ["a.wild.test"] = { A = { "127.0.0.1" } },
    ["a.b.wild.test"] = { A = { "127.0.0.1" } },
  })
end)
teardown(function()
  callers.stop(server, upstream)
end)

local function listen(cert, options)
  local all = { kind = "https", cert = cert }
  for k, v in pairs(options or {}) do
    all[k] = v
  end
  return upstream:listen(all)
end

local function named(name, origin, target)
  return ("https://%s:%d%s"):format(name, origin.port, target or "/echo")
end

local function assert_distrusted(options, pattern, gateway)
  local told = (gateway or server):must_fail(options, "tls", pattern)
  assert.truthy(told.message:find("https://", 1, true), told.message)
  return told
end

describe("a certificate", function()
  it("of a trusted authority for the name is good", function()
    local origin = listen("good")
    local tls = server:call_for_json(named("good.test", origin)).tls
    assert.equal("good.test", tls.server_name)
    assert.equal("http/1.1", tls.alpn)
    assert.equal("TLSv1.3", tls.version)
  end)

  it("may be for an address, which is not sent as a server's name", function()
    local tls = server:call_for_json(listen("good"):url("/echo")).tls
    assert.is_nil(tls.server_name)
    tls = server:call_for_json(listen("good", { host = "::1" }):url("/echo")).tls
    assert.is_nil(tls.server_name)
  end)

  it("with a wildcard is for one label", function()
    local origin = listen("good")
    server:must_call(named("a.wild.test", origin))
    assert_distrusted(named("a.b.wild.test", origin))
  end)

  it("of an unknown authority is not trusted", function()
    assert_distrusted(listen("unknown"):url("/echo"), "certificate")
  end)

  it("that has expired is not trusted", function()
    assert_distrusted(listen("expired"):url("/echo"), "expired")
  end)

  it("for another name or address is not trusted", function()
    local origin = listen("elsewhere")
    assert_distrusted(named("good.test", origin), "good%.test")
    assert_distrusted(origin:url("/echo"))
    assert_distrusted(named("other.test", listen("good")))
  end)

  it("that is not trusted sees no request", function()
    local origin = listen("unknown")
    assert_distrusted({ url = origin:url("/echo"), method = "POST", body = "secret", retries = 2 })
    assert.equal(0, #origin:seen().requests)
    origin:wait_until_left()
  end)

  it("is judged by the system's authorities unless others are configured", function()
    callers.with(upstream, { http = { ca = false } }, function(plain)
      assert_distrusted(listen("good"):url("/echo"), nil, plain)
    end)
  end)
end)

describe("option ca", function()
  it("is for its call alone", function()
    local origin = listen("unknown")
    local ca = upstream:pem("unknown_ca")
    for _ = 1, 2 do
      server:must_call({ url = origin:url("/echo"), ca = ca })
      assert_distrusted(origin:url("/echo"))
    end
    assert.equal(2, #origin:seen().requests)
  end)

  it("replaces the configured one", function()
    assert_distrusted({ url = listen("good"):url("/echo"), ca = upstream:pem("unknown_ca") })
  end)

  it("that cannot be read fails the call", function()
    for _, path in ipairs({ "/nowhere/ca.pem", upstream.folder .. "/good.key" }) do
      local told = server:call({ url = listen("good"):url("/echo"), ca = path })
      assert.is_false(told.ok)
      assert.truthy((told.message or told.raised):find(path, 1, true))
    end
  end)
end)

describe("option insecure", function()
  it("accepts any certificate, and the log says so", function()
    for _, cert in ipairs({ "unknown", "expired", "elsewhere" }) do
      local origin = listen(cert)
      server:must_call({ url = origin:url("/echo"), insecure = true })
      server:wait_for_log("127%.0%.0%.1:" .. origin.port)
    end
  end)

  it("lends its connection to no call that wants to be sure", function()
    local origin = listen("unknown")
    for _ = 1, 2 do
      server:must_call({ url = origin:url("/echo"), insecure = true })
      assert_distrusted(origin:url("/echo"))
    end
    assert.equal(2, #origin:seen().requests)
  end)
end)

describe("option server_name", function()
  it("is told to the server, and the certificate is judged by it", function()
    local origin = listen("good")
    local got = server:call_for_json({ url = origin:url("/echo"), server_name = "good.test" })
    assert.equal("good.test", got.tls.server_name)
    assert.equal("127.0.0.1:" .. origin.port, got.headers.host)
    assert_distrusted({ url = origin:url("/echo"), server_name = "other.test" })
    server:must_call({ url = listen("elsewhere"):url("/echo"), server_name = "elsewhere.test" })
  end)

  it("keeps connections apart", function()
    local origin = listen("good")
    server:must_call({ url = origin:url("/echo"), server_name = "good.test" })
    local got = server:call_for_json({ url = origin:url("/echo"), server_name = "localhost" })
    assert.equal("localhost", got.tls.server_name)
  end)
end)

describe("a TLS connection", function()
  it("is kept and used again", function()
    local origin = listen("good")
    for _ = 1, 5 do
      server:must_call(origin:url("/echo"))
    end
    assert.equal(1, origin:seen().connections)
  end)

  for _, version in ipairs({ "TLSv1.2", "TLSv1.3" }) do
    it("of " .. version .. " resumes the session of one before", function()
      local origin = listen("good", { max_version = version })
      local first = server:call_for_json(named("good.test", origin)).tls
      assert.equal(version, first.version)
      assert.is_false(first.resumed)
      origin:drop_connections()
      origin:wait_until_left()
      assert.is_true(server:call_for_json(named("good.test", origin)).tls.resumed)
    end)
  end

  it("does not resume what an insecure call has begun", function()
    local origin = listen("unknown")
    server:must_call({ url = origin:url("/echo"), insecure = true })
    origin:drop_connections()
    origin:wait_until_left()
    assert_distrusted(origin:url("/echo"))
  end)

  it("carries large bodies both ways", function()
    local origin = listen("good")
    local path = server.folder .. "/large.bin"
    process.write_file(path, ("0123456789abcdef"):rep(200000))
    local got = server:call_for_json({ url = origin:url("/echo"), method = "PUT", file = path })
    assert.equal(3200000, got.body_bytes)
    local plain = upstream:listen({ kind = "http" })
    local told = server:must_call(origin:url("/bytes?n=5000000"))
    assert.equal(5000000, told.body_bytes)
    assert.equal(server:must_call(plain:url("/bytes?n=5000000")).sha256, told.sha256)
  end)

  it("serves many calls at once", function()
    local origin = listen("good")
    local call = { url = origin:url("/bytes?n=50000") }
    local told = server:ask("/calls", { n = 60, calls = { call } })
    assert.equal(60, told.resolved)
    assert.equal(60 * 50000, told.bytes)
  end)

  it("that ends in the middle of an answer fails the call", function()
    server:must_fail(listen("good"):url("/drop"), "closed")
    server:must_fail(listen("good"):url("/drop?chunked=1"), "closed")
    server:must_fail(listen("good"):url("/reset"), "closed")
  end)
end)

describe("a handshake", function()
  it("with a server that speaks no TLS fails with code tls", function()
    local raw = upstream:listen({ kind = "raw", greeting = "HTTP/1.1 400 Bad Request\r\n\r\n" })
    server:must_fail(("https://127.0.0.1:%d/"):format(raw.port), "tls")
    raw:wait_until_left()
  end)

  it("with a server that only listens ends with the connect timeout", function()
    local raw = upstream:listen({ kind = "raw" })
    server:must_fail({ url = ("https://127.0.0.1:%d/"):format(raw.port), connect_timeout = 0.3 },
      "timeout")
    raw:wait_until_left()
  end)

  it("with a server that leaves fails", function()
    local origin = upstream:listen({ kind = "raw", greeting = "\21\3\3\0\2\2\40" }) -- a fatal alert
    server:must_fail(("https://127.0.0.1:%d/"):format(origin.port), "tls")
  end)

  -- Not every version of node refuses the handshake then; OpenSSL's own server does.
  it("fails if no protocol suits both", function()
    local port = servers.free_port()
    local s_server = process.start({ "openssl", "s_server", "-accept", "127.0.0.1:" .. port,
      "-cert", upstream:pem("good"), "-key", upstream.folder .. "/good.key", "-alpn", "h2" },
      upstream.folder .. "/s_server.out", upstream.folder .. "/s_server.err")
    finally(function() s_server:destroy() end)
    process.wait_until("openssl listens", function()
      return process.read_file(s_server.out):find("ACCEPT", 1, true)
    end)
    server:must_fail(("https://127.0.0.1:%d/"):format(port), "tls")
  end)

  it("fails below TLS 1.2", function()
    server:must_fail(listen("good", { max_version = "TLSv1.1" }):url("/echo"), "tls")
  end)
end)

describe("http.ca", function()
  it("is what it was at the last reload, for all workers alike", function()
    local origin, unknown = listen("good"), listen("unknown")
    local function copy_ca(name, gateway)
      process.write_file(gateway.folder .. "/conf/ca.pem", process.read_file(upstream:pem(name)))
    end
    local function call_all(gateway, good, bad)
      for _ = 1, 8 do -- whichever worker takes the connection
        good:drop_connections()
        gateway:must_call(good:url("/echo"))
        assert_distrusted(bad:url("/echo"), nil, gateway)
      end
    end
    local how = {
      arrange = function(folder)
        copy_ca("ca", { folder = folder })
        return folder .. "/conf/moongate.lua"
      end,
    }
    callers.with(upstream, { workers = 2, http = { ca = "conf/ca.pem" } }, function(gateway)
      call_all(gateway, origin, unknown)
      copy_ca("unknown_ca", gateway)
      call_all(gateway, origin, unknown)
      local said = process.run({ servers.BINARY, "reload", gateway.conf })
      assert.equal(0, said.status, said.err)
      assert.truthy(said.out:find("~ conf/ca.pem", 1, true), said.out)
      call_all(gateway, unknown, origin)
    end, how)
  end)

  it("that is not there is refused by check", function()
    local folder = servers.project(servers.config_text({ listen = { "127.0.0.1:0" },
      app = "lua/client_app.lua", http = { ca = "nowhere.pem" } }))
    local said = process.run({ servers.BINARY, "check", folder .. "/conf/moongate.lua" })
    process.remove_folder(folder)
    assert.equal(1, said.status)
    assert.truthy(said.err:find("http.ca: " .. folder .. "/nowhere.pem: No such file", 1, true))
  end)
end)
