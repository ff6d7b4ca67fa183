--- The HTTP client against nginx, whose habits are those of the field.
local callers = require("support.caller")
local json = require("dkjson")
local process = require("support.process")
local upstreams = require("support.upstream")
local nginxes = require("support.nginx")

local server, upstream, origin, nginx, program, why

local DIGITS = ("0123456789"):rep(500000)

setup(function()
  program, why = nginxes.find()
  upstream = upstreams.start()
  server = callers.start(upstream)
  origin = upstream:listen({ kind = "http" })
  nginx = program and nginxes.start(program, upstream, origin:url(""), {
    ["digits.txt"] = DIGITS, ["small.txt"] = "small\n", ["empty.txt"] = "",
  })
end)
teardown(function()
  if nginx then
    nginx:stop()
  end
  callers.stop(server, upstream)
end)

local function it_with_nginx(name, fn)
  it(name, function()
    if not nginx then
      pending("there is no nginx: " .. why)
    else
      fn()
    end
  end)
end

describe("nginx", function()
  it_with_nginx("serves files of any size", function()
    assert.equal("small\n", server:must_call(nginx:url("/small.txt")).body)
    assert.equal("", server:must_call(nginx:url("/empty.txt")).body)
    for _, url in ipairs({ nginx:url("/digits.txt"), nginx:tls_url("/digits.txt") }) do
      assert.equal(#DIGITS, server:must_call(url).body_bytes)
      local told = server:ask("/read_stream", { call = { url = url } })
      assert.equal(#DIGITS, told.body_bytes)
    end
  end)

  it_with_nginx("compresses, and what is decoded is the same", function()
    local plain = server:must_call(nginx:url("/digits.txt"))
    for _, url in ipairs({ nginx:url("/coded/digits.txt"), nginx:tls_url("/coded/digits.txt") }) do
      local told = server:must_call(url)
      assert.equal(plain.sha256, told.sha256)
      assert.is_nil(told.headers["content-encoding"])
      local raw = server:must_call({ url = url, decompress = false,
        headers = { ["Accept-Encoding"] = "gzip" } })
      assert.equal("gzip", raw.headers["content-encoding"])
      assert.is_true(raw.body_bytes < #DIGITS / 10)
    end
  end)

  it_with_nginx("answers conditions and ranges", function()
    local told = server:must_call(nginx:url("/digits.txt"))
    local again = server:call({ url = nginx:url("/digits.txt"),
      headers = { ["If-None-Match"] = told.headers.etag } })
    assert.equal(304, again.status)
    assert.equal(0, again.body_bytes)
    local range = server:call({ url = nginx:url("/digits.txt"),
      headers = { Range = "bytes=10-14" } })
    assert.equal(206, range.status)
    assert.equal("01234", range.body)
    local head = server:call({ url = nginx:url("/digits.txt"), method = "HEAD" })
    assert.equal(tostring(#DIGITS), head.headers["content-length"])
    assert.equal(404, server:call(nginx:url("/nowhere")).status)
  end)

  it_with_nginx("closes after some requests, which no call notices", function()
    local calls = { { url = nginx:url("/hasty/small.txt") } }
    for _ = 1, 3 do
      assert.equal(100, server:ask("/calls", { n = 100, calls = calls }).resolved)
    end
    for _ = 1, 30 do
      server:must_call(nginx:url("/hasty/small.txt"))
    end
  end)

  it_with_nginx("closes what idles, which no call notices", function()
    for i = 1, 12 do
      server:must_call({ url = nginx:url("/brief/small.txt") })
      process.run({ "sleep", tostring(0.02 * i) })
    end
  end)

  it_with_nginx("may close without a word", function()
    for _ = 1, 3 do
      server:must_fail(nginx:url("/silence"), "closed")
    end
  end)

  it_with_nginx("refuses a large body early, and its answer is heard", function()
    local path = server.folder .. "/large.bin"
    process.write_file(path, DIGITS)
    for _, url in ipairs({ nginx:url("/small"), nginx:tls_url("/small") }) do
      for _ = 1, 5 do
        assert.equal(413, server:call({ url = url, method = "POST", file = path }).status)
        assert.equal(413, server:call({ url = url, method = "POST", large_body = 3000000 }).status)
        local told = server:call({ url = url, method = "POST",
          upload = { pieces = 300, bytes = 10000 } })
        assert.equal(413, told.status)
      end
    end
  end)

  it_with_nginx("relays bodies of each framing", function()
    for _, target in ipairs({ "/relayed/echo", "/streamed/echo" }) do
      for _, url in ipairs({ nginx:url(target), nginx:tls_url(target) }) do
        local got = server:call_for_json({ url = url, method = "POST",
          upload = { pieces = 300, bytes = 10000 } })
        assert.equal(3000000, got.body_bytes)
        got = server:call_for_json({ url = url, method = "PUT", large_body = 3000000 })
        assert.equal(3000000, got.body_bytes)
        got = server:call_for_json({ url = url, method = "POST", json = { 1 } })
        assert.equal("[1]", got.body)
      end
    end
  end)

  it_with_nginx("redirects with a body", function()
    local told = server:must_call({ url = nginx:url("/moved"), method = "POST", body = "again" })
    assert.equal("again", json.decode(told.body).body)
    assert.equal(nginx:url("/relayed/echo"), told.url)
  end)

  it_with_nginx("sees a call go that was cancelled", function()
    local call = { url = nginx:url("/streamed/never") }
    server:ask("/cancelled_call", { call = call, after = 0.1 })
    origin:wait_for_state("aborted")
  end)

  it_with_nginx("serves many at once", function()
    local calls = { { url = nginx:url("/coded/digits.txt") }, { url = nginx:tls_url("/small.txt") },
      { url = nginx:url("/relayed/bytes?n=1000") } }
    local told = server:ask("/calls", { n = 60, calls = calls })
    assert.same({ ["200"] = 60 }, told.statuses)
    assert.equal(20 * (#DIGITS + 6 + 1000), told.bytes)
  end)
end)
