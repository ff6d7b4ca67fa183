--- The HTTP client against nginx: what a server that everybody runs sends.
local callers = require("support.caller")
local nginxes = require("support.nginx")
local process = require("support.process")
local upstreams = require("support.upstream")

local server, upstream, nginx

setup(function()
  upstream = upstreams.start()
  server = callers.start(upstream)
  nginx = nginxes.start(upstream.folder)
end)
teardown(function()
  nginx:stop()
  callers.stop(server, upstream)
end)

describe("nginx", function()
  it("gives files, plain and zipped, whole", function()
    local plain = server:must_call(nginx:url("/files/large.txt"))
    assert.equal(3000000, plain.body_bytes)
    local zipped = server:must_call(nginx:url("/zipped/large.txt"))
    assert.equal(plain.sha256, zipped.sha256)
    assert.is_nil(zipped.headers["content-encoding"])
  end)

  it("gives a file that is streamed, over TLS and a Unix socket too", function()
    local want = server:must_call(nginx:url("/files/large.txt")).sha256
    for _, call in ipairs({ { url = nginx:url("/zipped/large.txt") },
      { url = nginx:tls_url("/files/large.txt") },
      { url = "http://nginx/files/large.txt", unix = nginx.socket } }) do
      local told = server:ask("/read_stream", { call = call })
      assert.equal(3000000, told.body_bytes)
      assert.equal(want, told.sha256)
    end
  end)

  it("keeps connections, plain and with TLS, and closes them after so many requests", function()
    for _, url in ipairs({ nginx:url("/who"), nginx:tls_url("/who") }) do
      local first = tonumber(server:must_call(url).body:match("%d+$"))
      assert.equal(first + 1, tonumber(server:must_call(url).body:match("%d+$")))
    end
    for _ = 1, 5 do
      assert.equal("small\n", server:must_call(nginx:url("/few/small.txt")).body)
    end
  end)

  it("is understood without a body: HEAD, 304, 204, redirections, refusals", function()
    local head = server:must_call({ url = nginx:url("/files/large.txt"), method = "HEAD" })
    assert.equal("3000000", head.headers["content-length"])
    assert.equal(0, head.body_bytes)
    local same = server:call({ url = nginx:url("/files/large.txt"),
      headers = { ["If-None-Match"] = head.headers.etag } })
    assert.equal(304, same.status)
    assert.equal("small\n", server:must_call(nginx:url("/moved")).body)
    assert.equal(503, server:call(nginx:url("/refused")).status)
    assert.equal(404, server:call(nginx:url("/files/none")).status)
  end)

  it("takes bodies: a string, a file, a stream", function()
    local path = nginx.folder .. "/dav/"
    local function put(name, call)
      call.url, call.method = nginx:url("/dav/" .. name), "PUT"
      assert.equal(201, server:call(call).status)
      return process.read_file(path .. name)
    end
    assert.equal("text", put("a", { body = "text" }))
    local large = nginx.folder .. "/files/large.txt"
    assert.equal(("0123456789"):rep(300000), put("b", { file = large }))
    local gone = server:call({ url = nginx:url("/dav/a"), method = "DELETE" })
    assert.equal(204, gone.status)
  end)

  it("is bounded in time when it is slow", function()
    server:must_fail({ url = nginx:url("/slow/large.txt"), timeout = 0.3 }, "timeout")
    assert.equal("small\n", server:must_call(nginx:url("/slow/small.txt")).body)
  end)

  it("may be restarted: idle connections that it closed are noticed", function()
    server:must_call(nginx:url("/who"))
    nginx.process:signal("HUP") -- new workers; the old ones close their connections
    for _ = 1, 20 do
      server:must_call(nginx:url("/who"))
    end
  end)
end)
