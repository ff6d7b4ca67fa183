--- What handlers see of a request, and how requests find their route.
local servers = require("support.server")
local wire = require("support.wire")
local http = require("support.http")

local server

setup(function()
  server = servers.start()
end)
teardown(function()
  server:stop()
end)

local function echo(target, ...)
  return http.json(server:get(target, ...))
end

describe("a target", function()
  it("is split into path and query", function()
    local seen = echo("/echo/x?a=1&b=two+words&a=%41")
    assert.equal("/echo/x", seen.path)
    assert.equal("A", seen.query.a)
    assert.equal("two words", seen.query.b)
    assert.same({ "1", "A" }, seen.all)
  end)

  it("has a query that is taken as it came, and decoded leniently", function()
    local raw = "a=^`{|}\"<>\\&b=100%&%c%=%zz&d=%41"
    for _, prefix in ipairs({ "", "http://moongate.test" }) do
      local seen = echo(prefix .. "/echo?" .. raw)
      assert.equal("^`{|}\"<>\\", seen.query.a)
      assert.equal("100%", seen.query.b)
      assert.equal("%zz", seen.query["%c%"])
      assert.equal("A", seen.query.d)
      assert.equal(prefix .. "/echo?" .. raw, seen.target)
    end
  end)

  it("keeps an encoded slash inside one parameter", function()
    assert.equal("a/b", echo("/echo/a%2Fb").params.rest)
    assert.equal("plain a/b", server:get("/typed/a%2Fb").body)
    assert.equal(404, server:get("/typed/a/b").status)
  end)

  it("of encoded letters finds its route", function()
    assert.equal("hello\n", server:get("/%74e%78t").body)
  end)

  it("with a slash at its end is another one", function()
    assert.equal(404, server:get("/text/").status)
  end)

  it("is normalised inside the root", function()
    assert.equal("hello\n", server:get("/a/./b/../../text").body)
  end)

  it("in absolute form overrides Host", function()
    local seen = echo("http://other.test:81/echo?a=1", "X-Test: t")
    assert.equal("other.test:81", seen.host)
    assert.equal("other.test:81", seen.headers.host)
    assert.equal("/echo", seen.path)
    assert.equal("1", seen.query.a)
  end)

  it("in absolute form may lack a path", function()
    assert.equal("root\n", server:get("http://other.test").body)
    assert.equal("root\n", server:get("HTTP://other.test").body)
  end)
end)

describe("a route", function()
  it("is found by the host, whatever its case and port", function()
    assert.equal("any", server:get("http://moongate.test/hosted").body)
    assert.equal("api", server:get("http://API.moongate.test:8080/hosted").body)
    assert.equal("below b.a.moongate.test", server:get("http://b.a.moongate.test/hosted").body)
    assert.equal(404, server:get("http://moongate.test/hosted_only").status)
    local res = server:get("http://api.moongate.test/hosted_only")
    assert.equal(405, res.status)
    assert.equal("POST, OPTIONS", res.headers.allow)
  end)

  it("takes whole numbers of 64 bits, and no others", function()
    assert.equal("integer 9007199254740993LL", server:get("/typed/9007199254740993").body)
    assert.equal("plain 9223372036854775808", server:get("/typed/9223372036854775808").body)
  end)

  it("whose handler tells an ETag answers what the client has already", function()
    assert.equal('{"a":1,"b":2}', server:get("/tagged").body)
    local res = server:get("/tagged", 'If-None-Match: "v1"')
    assert.equal(304, res.status)
    assert.equal("", res.body)
    assert.equal(412, server:get("/tagged", 'If-Match: "v2"').status)
  end)

  it("is found with static before typed before plain", function()
    assert.equal("static", server:get("/typed/me").body)
    assert.equal("integer 42", server:get("/typed/42").body)
    assert.equal("plain 42a", server:get("/typed/42a").body)
  end)

  it("that does not exist is a 404 problem", function()
    local res = http.assert_kept(server, wire.get("/nowhere"), 404)
    assert.equal(404, http.problem(res).status)
  end)

  it("for other methods is a 405 with Allow", function()
    local res = http.assert_kept(server, wire.head_of("DELETE", "/only_get") .. "\r\n", 405)
    assert.equal("GET, HEAD, OPTIONS", (res.headers.allow:gsub("%s*,%s*", ", ")))
    http.problem(res)
    res = server:get("/put_or_delete")
    assert.equal(405, res.status)
    for _, method in ipairs({ "PUT", "DELETE", "OPTIONS" }) do
      assert.truthy(res.headers.allow:find(method, 1, true))
    end
    assert.is_nil(res.headers.allow:find("GET", 1, true))
  end)

  it("takes a method of its own, which Allow tells", function()
    local res = http.assert_kept(server, wire.head_of("PURGE", "/cached") .. "\r\n", 200)
    assert.equal("PURGE", res.body)
    res = server:request(wire.head_of("GET", "/cached") .. "\r\n")
    assert.equal(405, res.status)
    assert.truthy(res.headers.allow:find("PURGE", 1, true))
    assert.equal(405, server:request(wire.head_of("PURGE", "/text") .. "\r\n").status)
    assert.equal(501, server:request(wire.head_of("PURG", "/cached") .. "\r\n").status)
    assert.truthy(server:request("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")
      .headers.allow:find("PURGE", 1, true))
  end)

  it("is not found by TRACE and CONNECT", function()
    assert.equal(405, server:request(wire.head_of("TRACE", "/text") .. "\r\n").status)
    local res = server:request("CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n")
    assert.truthy(res.status == 405 or res.status == 404 or res.status == 501)
  end)

  it("serves what comes behind a refused CONNECT or an Upgrade", function()
    http.assert_kept(server, wire.get("/text", "Connection: upgrade", "Upgrade: websocket"), 200)
    http.assert_kept(server, wire.get("/text", "Connection: Upgrade, HTTP2-Settings",
      "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"), 200)
  end)

  it("tells its methods to OPTIONS", function()
    local bytes = wire.head_of("OPTIONS", "/only_get") .. "\r\n"
    local res = http.assert_kept(server, bytes, 204, "OPTIONS")
    for _, method in ipairs({ "GET", "HEAD", "OPTIONS" }) do
      assert.truthy(res.headers.allow:find(method, 1, true))
    end
    assert.equal(404, server:request(wire.head_of("OPTIONS", "/nowhere") .. "\r\n").status)
  end)

  it("is not needed by OPTIONS *", function()
    local res = server:request(wire.head_of("OPTIONS", "*") .. "\r\n")
    assert.truthy(res.status == 200 or res.status == 204)
  end)
end)

describe("a header", function()
  it("is found in any case", function()
    assert.equal("v", server:get("/case", "x-test: v").body)
    assert.equal("v", server:get("/case", "X-TEST: v").body)
  end)

  it("that is repeated is joined", function()
    assert.equal("a, b, c", echo("/echo", "X-Test: a", "x-test: b", "X-TEST: c").headers["x-test"])
  end)

  it("is trimmed of white space around its value", function()
    assert.equal("a  b", echo("/echo", "X-Test: \t a  b \t").headers["x-test"])
  end)
end)

describe("cookies", function()
  it("are read", function()
    assert.equal("2", server:get("/cookie/b", "Cookie: a=1; b=2").body)
    assert.equal("none", server:get("/cookie/c", "Cookie: a=1; b=2").body)
    assert.equal("x=y", server:get("/cookie/b", "Cookie: a=\"q\"; b=x=y").body)
  end)
end)

describe("ctx.state", function()
  it("belongs to one request", function()
    local conn = server:connect()
    assert.equal("nil", conn:request(wire.get("/state/1")).body)
    assert.equal("nil", conn:request(wire.get("/state/2")).body)
    conn:close()
  end)
end)

describe("the request id", function()
  it("is in the answer, is the handler's, and differs each time", function()
    local first, second = server:get("/echo"), server:get("/echo")
    assert.equal(http.json(first).request_id, first.headers["x-request-id"])
    assert.not_equal(first.headers["x-request-id"], second.headers["x-request-id"])
  end)
end)

describe("the client's address", function()
  local FORWARDED = {
    "X-Forwarded-For: 203.0.113.7", "X-Forwarded-Proto: https", "X-Forwarded-Host: shop.test",
  }

  it("is the peer's, whatever an untrusted peer says", function()
    local seen = echo("/echo", unpack(FORWARDED))
    assert.equal("127.0.0.1", seen.client_ip)
    assert.equal("http", seen.scheme)
    assert.equal("moongate.test", seen.host)
  end)

  local PROXIES = { "127.0.0.0/8", "10.0.0.0/8" }
  local FORGED = "Forwarded: for=10.1.1.1;proto=https;host=evil.test"

  it("is believed from a trusted proxy, in the fields that it writes", function()
    local trusting = servers.start({
      trusted_proxies = PROXIES,
      forwarded = { "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host" },
    })
    local seen = http.json(trusting:get("/echo", FORGED, unpack(FORWARDED)))
    assert.equal("203.0.113.7", seen.client_ip)
    assert.equal("https", seen.scheme)
    assert.equal("shop.test", seen.host)
    seen = http.json(trusting:get("/echo", "X-Forwarded-For: 198.51.100.1, 203.0.113.7, 10.1.2.3"))
    assert.equal("203.0.113.7", seen.client_ip)
    trusting:stop()
  end)

  it("is believed in X-Forwarded-For alone if nothing is said", function()
    local trusting = servers.start({ trusted_proxies = PROXIES })
    local seen = http.json(trusting:get("/echo", FORGED, unpack(FORWARDED)))
    assert.equal("203.0.113.7", seen.client_ip)
    assert.equal("http", seen.scheme)
    assert.equal("moongate.test", seen.host)
    seen = http.json(trusting:get("/echo", FORGED))
    assert.equal("127.0.0.1", seen.client_ip)
    trusting:stop()
  end)

  it("is believed in Forwarded if that is named", function()
    local trusting = servers.start({ trusted_proxies = PROXIES, forwarded = "forwarded" })
    local seen = http.json(trusting:get("/echo", "Forwarded: for=203.0.113.7:80;proto=https",
      "X-Forwarded-For: 10.1.1.1", "X-Forwarded-Host: evil.test"))
    assert.equal("203.0.113.7", seen.client_ip)
    assert.equal("https", seen.scheme)
    assert.equal("moongate.test", seen.host)
    seen = http.json(trusting:get("/echo", "Forwarded: for=\"[2001:db8::1]:99\";proto=https"))
    assert.equal("2001:db8::1", seen.client_ip)
    trusting:stop()
  end)
end)
