--- The proxy: which fields of a request and of an answer go on, which are ours to set, and that
--- targets stay as they came.
local proxy = require("support.proxy")
local upstreams = require("support.upstream")
local wire = require("support.wire")

local upstream, raw, gateway

local function ok(...)
  return table.concat({ "HTTP/1.1 200 OK", "Content-Length: 2", ... }, "\r\n") .. "\r\n\r\nok"
end

setup(function()
  upstream = upstreams.start()
  raw = upstream:listen({ kind = "raw" })
  gateway = proxy.start({ raw })
end)
teardown(function()
  gateway:stop()
  upstream:stop()
end)

-- Asks for /x with these lines; the answer, and the fields that the upstream saw.
local function relay(prefix, answer, ...)
  raw:script("/x", answer or ok())
  local res = gateway:request(wire.get(prefix .. "/x", ...))
  return res, proxy.fields_of(proxy.last_request(raw).head)
end

for how, prefix in pairs(proxy.PREFIXES) do
  describe("a relayed request, " .. how .. ",", function()
    it("brings its own fields to the upstream", function()
      local _, fields = relay(prefix, nil, "X-One: 1", "Accept: text/html", "Cookie: a=b")
      assert.equal("1", fields["x-one"])
      assert.equal("text/html", fields.accept)
      assert.equal("a=b", fields.cookie)
    end)

    it("keeps repeated fields apart and in order", function()
      local _, fields = relay(prefix, nil, "X-Two: 1", "X-Between: 0", "X-Two: 2")
      assert.equal("1, 2", fields["x-two"])
    end)

    it("loses the fields that are of a connection", function()
      local _, fields = relay(prefix, nil, "Keep-Alive: timeout=5", "Proxy-Connection: keep-alive",
        "TE: gzip", "Proxy-Authorization: Basic eDp5")
      assert.is_nil(fields["keep-alive"])
      assert.is_nil(fields["proxy-connection"])
      assert.is_nil(fields["proxy-authorization"])
      assert.is_not.equal("gzip", fields.te)
    end)

    it("loses the fields that Connection names", function()
      local _, fields = relay(prefix, nil, "Connection: X-Mine , x-OTHER", "X-Mine: 1",
        "X-Other: 2", "X-Kept: 3")
      assert.is_nil(fields["x-mine"])
      assert.is_nil(fields["x-other"])
      assert.equal("3", fields["x-kept"])
    end)

    it("does not lose by Connection what must arrive", function()
      local _, fields = relay(prefix, nil,
        "Connection: close, Host, X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host, "
          .. "Forwarded, Authorization, Content-Length",
        "Authorization: Basic eDp5")
      assert.equal("moongate.test", fields.host)
      assert.equal("Basic eDp5", fields.authorization)
      assert.truthy(fields["x-forwarded-for"])
      assert.truthy(fields["x-forwarded-proto"])
    end)

    it("is not upgraded by the way", function()
      local _, fields = relay(prefix, nil, "Connection: HTTP2-Settings", "HTTP2-Settings: AAMAAABk")
      assert.is_nil(fields["http2-settings"])
    end)

    it("says who asked, for which host and scheme", function()
      local _, fields = relay(prefix)
      assert.equal("127.0.0.1", fields["x-forwarded-for"])
      assert.equal("http", fields["x-forwarded-proto"])
      assert.equal("moongate.test", fields["x-forwarded-host"])
    end)

    it("does not pass on what a stranger says of who asked", function()
      local _, fields = relay(prefix, nil, "X-Forwarded-For: 6.6.6.6", "X-Forwarded-Proto: https",
        "X-Forwarded-Host: evil.test", "Forwarded: for=6.6.6.6;proto=https",
        "X_Forwarded_For: 6.6.6.6")
      assert.equal("127.0.0.1", fields["x-forwarded-for"])
      assert.equal("http", fields["x-forwarded-proto"])
      assert.equal("moongate.test", fields["x-forwarded-host"])
      assert.equal('for=127.0.0.1;host="moongate.test";proto=http', fields.forwarded)
      assert.is_nil(fields["x_forwarded_for"])
    end)

    it("names the way that it came", function()
      local _, fields = relay(prefix)
      assert.truthy(fields.via:find("1.1", 1, true), fields.via)
      _, fields = relay(prefix, nil, "Via: 1.0 before")
      assert.truthy(fields.via:find("^1.0 before, ?1.1 "), fields.via)
    end)

    it("has the client's Host", function()
      local _, fields = relay(prefix)
      assert.equal("moongate.test", fields.host)
    end)

    it("goes on with target and query byte for byte", function()
      for _, target in ipairs({ "/a%2Fb", "/a%2fb", "/a//b", "/a/./b", "/a;p=1", "/a?x=%41&y=%zz",
        "/a?", "/a?b?c", "/%7Euser", "/a/b/", "/:@!$&'()*+,;=" }) do
        local path = target:match("^[^?]*")
        raw:script(target, ok())
        assert.equal(200, gateway:request(wire.get(prefix .. target)).status, target)
        local head = proxy.last_request(raw).head
        assert.equal(target, head:match("^GET (%S+) HTTP/1.1\r\n"), path)
      end
    end)

    it("has the client's method", function()
      for _, method in ipairs({ "GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS" }) do
        raw:script("/x", ok())
        gateway:request(wire.head_of(method, prefix .. "/x", "Content-Length: 0") .. "\r\n")
        assert.equal(method, proxy.last_request(raw).head:match("^%S+"))
      end
    end)

    it("brings its body, however that is framed", function()
      raw:script("/x", ok())
      gateway:request(wire.post(prefix .. "/x", "hello"))
      local seen = proxy.last_request(raw)
      assert.equal("5", proxy.fields_of(seen.head)["content-length"])
      assert.equal("hello", seen.body)
      gateway:request(wire.post_chunked(prefix .. "/x", "hel", "lo"))
      seen = proxy.last_request(raw)
      local fields = proxy.fields_of(seen.head)
      assert.is_true((fields["content-length"] == nil) ~= (fields["transfer-encoding"] == nil))
      assert.truthy(seen.body:find("lo", 1, true))
    end)

    it("has no framing where it had none", function()
      local _, fields = relay(prefix)
      assert.is_nil(fields["content-length"])
      assert.is_nil(fields["transfer-encoding"])
    end)

    it("brings its trailers", function()
      local counting = upstream:listen({ kind = "counting" })
      proxy.with({ counting }, nil, function(other)
        local res = other:request(wire.head_of("POST", prefix .. "/x",
          "Transfer-Encoding: chunked", "Trailer: X-Sum")
          .. "\r\n3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n")
        assert.equal(200, res.status)
        local seen = counting:counts().requests[1]
        assert.equal("abc", seen.body)
        assert.truthy((seen.trailers or ""):lower():find("x-sum: 1", 1, true), seen.head)
      end)
    end)
  end)

  describe("a relayed answer, " .. how .. ",", function()
    it("has the upstream's status and reason, fields and content", function()
      local res = relay(prefix, "HTTP/1.1 418 Teapot\r\nContent-Length: 3\r\nX-A: 1\r\n"
        .. "Content-Type: text/tea\r\nETag: \"v\"\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\ntea")
      assert.equal(418, res.status)
      assert.equal("Teapot", res.reason)
      assert.equal("tea", res.body)
      assert.equal("3", res.headers["content-length"])
      assert.equal("1", res.headers["x-a"])
      assert.equal("text/tea", res.headers["content-type"])
      assert.equal("\"v\"", res.headers.etag)
      assert.equal("a=1, b=2", res.headers["set-cookie"])
    end)

    it("loses the fields of the upstream's connection", function()
      local res = relay(prefix, ok("Connection: X-Private, close", "X-Private: 1",
        "Keep-Alive: timeout=3", "Proxy-Authenticate: Basic", "X-Public: 2"))
      assert.is_nil(res.headers["x-private"])
      assert.is_nil(res.headers["keep-alive"])
      assert.equal("2", res.headers["x-public"])
      assert.is_not.equal("close", res.headers.connection)
    end)

    it("has one Date and no second Server", function()
      local res = relay(prefix, ok("Date: Mon, 01 Jan 2024 00:00:00 GMT"))
      assert.equal("Mon, 01 Jan 2024 00:00:00 GMT", res.headers.date)
    end)

    it("names the way that it came", function()
      assert.truthy(relay(prefix).headers.via)
    end)

    it("may have no content", function()
      for _, head in ipairs({ "204 No Content", "304 Not Modified" }) do
        local res = relay(prefix, "HTTP/1.1 " .. head .. "\r\nX-A: 1\r\n\r\n")
        assert.equal(head:sub(1, 3), tostring(res.status))
        assert.equal("1", res.headers["x-a"])
      end
    end)

    it("to HEAD tells the length and has no content", function()
      raw:script("/x", "HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n")
      local conn = gateway:connect()
      for _ = 1, 2 do
        local res = conn:request(wire.head_of("HEAD", prefix .. "/x") .. "\r\n", "HEAD")
        assert.equal("1234", res.headers["content-length"])
      end
      conn:close()
    end)

    it("has the trailers that came", function()
      local res = relay(prefix, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum"
        .. "\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 7\r\n\r\n")
      assert.equal("ok", res.body)
      assert.equal("7", res.trailers["x-sum"])
    end)

    it("of unknown length ends where the upstream ended it", function()
      local res = relay(prefix, { { "HTTP/1.0 200 OK\r\n\r\nuntil the end", { ["end"] = true } } })
      assert.equal("until the end", res.body)
    end)

    it("comes behind the upstream's early hints", function()
      raw:script("/x", "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n" .. ok())
      local conn = gateway:connect()
      conn:send(wire.get(prefix .. "/x"))
      local first = conn:read()
      assert.equal(103, first.status)
      assert.equal("</a.css>; rel=preload", first.headers.link)
      assert.equal(200, conn:read().status)
      conn:close()
    end)

    it("to a client of HTTP/1.0 comes without interim answers and chunks", function()
      raw:script("/x", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
        .. "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")
      local conn = gateway:connect()
      conn:send("GET " .. prefix .. "/x HTTP/1.0\r\nHost: moongate.test\r\n\r\n")
      local res = conn:read()
      assert.equal(200, res.status)
      assert.is_nil(res.headers["transfer-encoding"])
      assert.equal("ok", res.body)
      conn:close()
    end)
  end)

  describe("100-continue, " .. how .. ",", function()
    it("is the upstream's to say", function()
      raw:script("/c", { { "HTTP/1.1 100 Continue\r\n\r\n", { wait_ms = 30 }, ok() } },
        { answer_at = "head" })
      local conn = gateway:connect()
      conn:send(wire.head_of("PUT", prefix .. "/c", "Content-Length: 5", "Expect: 100-continue")
        .. "\r\n")
      assert.equal(100, conn:read("PUT").status)
      conn:send("hello")
      assert.equal(200, conn:read("PUT").status)
      conn:close()
    end)

    it("is not said for a refusal", function()
      raw:script("/c", "HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig",
        { answer_at = "head" })
      local conn = gateway:connect()
      conn:send(wire.head_of("PUT", prefix .. "/c", "Content-Length: 5", "Expect: 100-continue")
        .. "\r\n")
      local res = conn:read("PUT")
      assert.equal(413, res.status)
      assert.equal("big", res.body)
      conn:close()
    end)
  end)
end

describe("Host", function()
  it("is the upstream's, or a literal, if that is wanted", function()
    local hosts = { upstream = "127.0.0.1:" .. raw.port, ["fixed.test"] = "fixed.test" }
    for host, wanted in pairs(hosts) do
      proxy.with({ raw, host = host }, nil, function(other)
        raw:script("/x", ok())
        assert.equal(200, other:get("/x").status)
        local fields = proxy.fields_of(proxy.last_request(raw).head)
        assert.equal(wanted, fields.host)
        assert.equal("moongate.test", fields["x-forwarded-host"])
      end)
    end
  end)
end)

describe("X-Forwarded-For", function()
  it("is merged to one list behind a proxy that is trusted", function()
    local trusting = { trusted_proxies = { "127.0.0.0/8" }, forwarded = {
      "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host",
    } }
    proxy.with({ raw }, trusting, function(other)
      raw:script("/x", ok())
      other:get("/x", "X-Forwarded-For: 6.6.6.6, 9.9.9.9", "X-Forwarded-For: 8.8.8.8",
        "X-Forwarded-Proto: https", "X-Forwarded-Host: shop.test")
      local fields = proxy.fields_of(proxy.last_request(raw).head)
      assert.truthy(fields["x-forwarded-for"]:find("8.8.8.8, 127.0.0.1", 1, true),
        fields["x-forwarded-for"])
      assert.equal("https", fields["x-forwarded-proto"])
      assert.equal("shop.test", fields["x-forwarded-host"])
    end)
  end)
end)
