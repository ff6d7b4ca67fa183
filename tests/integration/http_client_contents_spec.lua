--- The HTTP client: coded contents, and how large an answer may be.
local callers = require("support.caller")
local upstreams = require("support.upstream")

local server, upstream, origin

setup(function()
  upstream = upstreams.start()
  server = callers.start(upstream)
  origin = upstream:listen({ kind = "http" })
end)
teardown(function()
  callers.stop(server, upstream)
end)

local function coded(query)
  return origin:url("/coded?" .. query)
end

-- The upstream sees that nobody takes the rest.
local function assert_limited(options)
  server:must_fail(options, "limit")
  origin:wait_until_left()
end

describe("coded content", function()
  for _, how in ipairs({ "gzip", "deflate", "raw-deflate" }) do
    it("of " .. how .. " is decoded", function()
      local told = server:must_call(coded("how=" .. how .. "&text=hello%20there"))
      assert.equal("hello there", told.body)
      assert.is_nil(told.headers["content-encoding"])
      assert.is_nil(told.headers["content-length"])
      assert.equal('"v1"', told.headers.etag)
      told = server:must_call(coded("how=" .. how .. "&bytes=3000000"))
      assert.equal(server:must_call(origin:url("/bytes?n=3000000")).sha256, told.sha256)
    end)

    it("of " .. how .. " that is cut off or damaged fails with code protocol", function()
      server:must_fail(coded("how=" .. how .. "&bytes=10000&cut=5"), "protocol")
      server:must_fail(coded("how=" .. how .. "&bytes=10000&cut=20"), "protocol")
      server:must_fail(coded("how=" .. how .. "&bytes=10000&damage=12"), "protocol")
    end)

    it("of " .. how .. " with something behind it does not let it through", function()
      local told = server:call(coded("how=" .. how .. "&text=hello&tail=evil"))
      if told.ok then
        assert.equal("hello", told.body)
      else
        assert.equal("protocol", told.code)
      end
    end)
  end

  it("is known by any spelling of its name", function()
    for _, label in ipairs({ "GZIP", "x-gzip", "Gzip%20" }) do
      assert.equal("hello", server:must_call(coded("how=gzip&label=" .. label)).body)
    end
  end)

  it("is left alone if decompress is false", function()
    local told = server:must_call({ url = coded("how=gzip"), decompress = false })
    assert.equal("gzip", told.headers["content-encoding"])
    assert.truthy(told.body:find("^hex 1f8b"))
    assert.equal(tostring(told.body_bytes), told.headers["content-length"])
  end)

  it("that is not known is left alone", function()
    local told = server:must_call(coded("how=gzip&label=br"))
    assert.equal("br", told.headers["content-encoding"])
    assert.truthy(told.body:find("^hex 1f8b"))
  end)

  it("that is not what it says fails with code protocol", function()
    local raw = upstream:listen({ kind = "raw" })
    raw:script("/", "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nplain")
    server:must_fail(raw:url("/"), "protocol")
    raw:wait_until_left()
  end)

  it("may be empty, or not there at all", function()
    local raw = upstream:listen({ kind = "raw" })
    raw:script("/", "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 0\r\n\r\n")
    assert.equal("", server:must_call(raw:url("/")).body)
    raw:script("/304", "HTTP/1.1 304 Not Modified\r\nContent-Encoding: gzip\r\n\r\n")
    assert.equal(304, server:call(raw:url("/304")).status)
    local told = server:must_call({ url = coded("how=gzip"), method = "HEAD" })
    assert.equal("gzip", told.headers["content-encoding"])
    assert.equal("", told.body)
  end)

  it("that came whole leaves its connection to the next call", function()
    local fresh = upstream:listen({ kind = "http" })
    for _ = 1, 3 do
      server:must_call(fresh:url("/coded?how=gzip"))
    end
    assert.equal(1, fresh:seen().connections)
  end)
end)

describe("option max", function()
  it("is the largest body that is taken, in each framing", function()
    for _, target in ipairs({ "/bytes?n=1000", "/chunked?bytes=1000&piece=999",
      "/coded?how=gzip&bytes=1000" }) do
      assert.equal(1000, server:must_call({ url = origin:url(target), max = 1000 }).body_bytes)
      assert_limited({ url = origin:url(target), max = 999 })
    end
    local text = ("x"):rep(1000)
    local target = "/close-delimited?text=" .. text
    assert.equal(text, server:must_call({ url = origin:url(target), max = 1000 }).body)
    assert_limited({ url = origin:url(target), max = 999 })
  end)

  it("is 16 MiB if it does not say", function()
    local most = 16 * 1024 * 1024
    assert.equal(most, server:must_call(origin:url("/bytes?n=" .. most)).body_bytes)
    assert_limited(origin:url("/bytes?n=" .. most + 1))
  end)

  it("ends a body without end", function()
    assert_limited(origin:url("/endless"))
    assert_limited({ url = origin:url("/endless?length=1000000000000"), max = 100000 })
  end)

  it("counts what was decoded: a bomb does not go off", function()
    local before = server:footprint().rss_kb
    assert_limited(origin:url("/bomb?mb=300"))
    assert_limited({ url = origin:url("/bomb?mb=300"), max = 1000 })
    assert.is_true(server:footprint().rss_kb < before + 80000)
  end)

  it("does not bound HEAD, whose length is only told", function()
    local told = server:must_call({ url = origin:url("/bytes?n=5000"), method = "HEAD", max = 10 })
    assert.equal("5000", told.headers["content-length"])
  end)

  it("may be nothing at all", function()
    assert.equal(204, server:call({ url = origin:url("/empty"), max = 0 }).status)
    assert_limited({ url = origin:url("/bytes?n=1"), max = 0 })
  end)
end)
