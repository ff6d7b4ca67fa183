--- The connections of the HTTP client: kept, shared, limited, given up.
local callers = require("support.caller")
local process = require("support.process")
local upstreams = require("support.upstream")

local OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
local STRAY = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstray"
local CUT = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nc"

local server, upstream

setup(function()
  upstream = upstreams.start()
  server = callers.start(upstream)
end)
teardown(function()
  callers.stop(server, upstream)
end)

local function listen(kind)
  return upstream:listen({ kind = kind or "http" })
end

describe("a connection", function()
  it("serves calls in a row", function()
    local origin = listen()
    for _ = 1, 5 do
      server:must_call(origin:url("/echo"))
    end
    server:must_call(origin:url("/chunked"))
    server:must_call(origin:url("/trailers"))
    server:must_call({ url = origin:url("/bytes?n=10"), method = "HEAD" })
    assert.equal(204, server:call(origin:url("/empty")).status)
    server:must_call({ url = origin:url("/echo"), method = "POST", body = "hello" })
    local seen = origin:seen()
    assert.equal(10, #seen.requests)
    assert.equal(1, seen.connections)
  end)

  it("is of one server: another port has its own", function()
    local one, other = listen(), listen()
    for _ = 1, 2 do
      server:must_call(one:url("/echo"))
      server:must_call(other:url("/echo"))
    end
    assert.equal(1, one:seen().connections)
    assert.equal(1, other:seen().connections)
  end)

  it("is not used again if the answer says so, or cannot say", function()
    for _, answer in ipairs({
      "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
      "HTTP/1.1 200 OK\r\nConnection: x, CLOSE\t\r\nContent-Length: 2\r\n\r\nok",
      "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    }) do
      local raw = listen("raw")
      raw:script("/", answer)
      for _ = 1, 2 do
        assert.equal("ok", server:must_call(raw:url("/")).body)
      end
      assert.equal(2, raw:seen().connections)
      raw:wait_until_left() -- nobody but the gateway closes
    end
  end)

  it("of HTTP/1.0 is used again if both wish it", function()
    local raw = listen("raw")
    raw:script("/", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok")
    for _ = 1, 2 do
      assert.equal("ok", server:must_call(raw:url("/")).body)
    end
    assert.is_true(raw:seen().connections <= 2)
  end)

  it("that the server has closed meanwhile is not used, not even for a POST", function()
    local origin = listen()
    for _ = 1, 3 do
      server:must_call(origin:url("/keepalive-then-close"))
      origin:wait_until_left()
      local told = server:must_call({ url = origin:url("/echo"), method = "POST", body = "a" })
      assert.equal(1, #told.body:match("\"body\":\"(%w+)\""))
      origin:drop_connections()
      origin:wait_until_left()
    end
  end)

  it("on which something comes unasked is closed", function()
    local raw = listen("raw")
    raw:script("/", { { OK, { wait_ms = 30 }, STRAY } })
    assert.equal("ok", server:must_call(raw:url("/")).body)
    raw:wait_until_left()
    raw:script("/next", OK)
    assert.equal("ok", server:must_call(raw:url("/next")).body)
  end)
end)

-- The first request of each connection is answered, the second ends it.
local ENDS = {
  ["a FIN"] = { ["end"] = true },
  ["a reset"] = { reset = true },
}

describe("a kept connection that dies under a request", function()
  for how, step in pairs(ENDS) do
    it("by " .. how .. " is replaced once for a request that may be repeated", function()
      for _, method in ipairs({ "GET", "HEAD", "PUT", "DELETE", "OPTIONS" }) do
        local raw = listen("raw")
        raw:script("/first", OK)
        raw:script("/", { OK, { step } })
        server:must_call(raw:url("/first"))
        local told = server:call({ url = raw:url("/"), method = method })
        assert.is_true(told.ok, method .. ": " .. tostring(told.message))
      end
    end)

    it("by " .. how .. " fails a POST, which is not repeated", function()
      local raw = listen("raw")
      raw:script("/", { OK, { step } })
      server:must_call(raw:url("/"))
      server:must_fail({ url = raw:url("/"), method = "POST", body = "pay" }, "closed")
      local seen = raw:seen()
      assert.equal(2, #seen.requests)
      assert.equal(1, seen.connections)
    end)

    it("by " .. how .. " in the middle of an answer fails the call", function()
      local raw = listen("raw")
      raw:script("/", { OK, { "HTTP/1.1 200 OK\r\nContent-Le", { wait_ms = 20 }, step } })
      server:must_call(raw:url("/"))
      server:must_fail(raw:url("/"), "closed")
      assert.equal(2, #raw:seen().requests)
    end)
  end

  it("is replaced for a GET whose first connection it was not", function()
    local raw = listen("raw")
    raw:script("/", { OK, { { reset = true } } })
    for _ = 1, 4 do
      assert.equal("ok", server:must_call(raw:url("/")).body)
    end
  end)
end)

describe("retries", function()
  it("are none unless asked for, on a fresh connection", function()
    local raw = listen("raw")
    raw:script("/", { { { reset = true } } })
    server:must_fail(raw:url("/"), "closed")
    assert.equal(1, #raw:seen().requests)
  end)

  it("are as many as asked for, of what may be repeated", function()
    local raw = listen("raw")
    raw:script("/", { { { reset = true } } })
    server:must_fail({ url = raw:url("/"), retries = 2 }, "closed")
    assert.equal(3, #raw:seen().requests)
    raw:forget()
    server:must_fail({ url = raw:url("/"), retries = 2, method = "POST", body = "a" }, "closed")
    assert.equal(1, #raw:seen().requests)
  end)

  it("do not repeat what was answered", function()
    local origin = listen()
    assert.equal(503, server:call({ url = origin:url("/status?n=503"), retries = 3 }).status)
    assert.equal(1, #origin:seen().requests)
  end)
end)

describe("http.connections", function()
  it("bounds the connections to one server; the others wait", function()
    callers.with(upstream, { http = { connections = 2 } }, function(few)
      local origin = listen()
      local slow = { url = origin:url("/slow?head_ms=30") }
      local told = few:ask("/calls", { n = 8, calls = { slow } })
      assert.equal(8, told.resolved)
      assert.equal(80, told.bytes)
      assert.equal(2, origin:seen().connections)
    end)
  end)

  it("serves in order those who wait", function()
    callers.with(upstream, { http = { connections = 1 } }, function(few)
      local origin, calls = listen(), {}
      for i = 1, 10 do
        calls[i] = { url = origin:url("/bytes?n=" .. i) }
      end
      assert.equal(10, few:ask("/calls", { n = 10, calls = calls }).resolved)
      for i, request in ipairs(origin:seen().requests) do
        assert.equal("/bytes?n=" .. i, request.url)
      end
    end)
  end)

  it("gives the place of a failed connection to the next", function()
    callers.with(upstream, { http = { connections = 1 } }, function(few)
      local raw = listen("raw")
      raw:script("/", { { "nonsense\r\n\r\n" } })
      raw:script("/good", OK)
      local calls = { { url = raw:url("/") }, { url = raw:url("/good") } }
      local told = few:ask("/calls", { n = 6, calls = calls })
      assert.equal(3, told.resolved)
      assert.equal(3, told.codes.protocol)
    end)
  end)

  it("lets a call wait no longer than its timeout", function()
    callers.with(upstream, { http = { connections = 1 } }, function(few)
      local origin = listen()
      local told = few:ask("/calls", { n = 2, calls = {
        { url = origin:url("/slow?head_ms=600") }, { url = origin:url("/echo"), timeout = 0.2 },
      } })
      assert.equal(1, told.resolved)
      assert.equal(1, told.codes.timeout)
      assert.equal(1, #origin:seen().requests)
    end)
  end)
end)

describe("http.waiting", function()
  it("refuses with code limit those who find too many waiting", function()
    callers.with(upstream, { http = { connections = 1, waiting = 2 } }, function(few)
      local origin = listen()
      few:must_call(origin:url("/echo"))
      local slow = { url = origin:url("/slow?head_ms=50") }
      local told = few:ask("/calls", { n = 5, calls = { slow } })
      assert.equal(3, told.resolved)
      assert.equal(2, told.codes.limit)
      assert.equal(4, #origin:seen().requests)
    end)
  end)
end)

describe("http.idle", function()
  it("closes a connection that nobody used for so long", function()
    callers.with(upstream, { http = { idle = 0.2 } }, function(hasty)
      local origin = listen()
      hasty:must_call(origin:url("/echo"))
      origin:wait_until_left()
      hasty:must_call({ url = origin:url("/echo"), method = "POST", body = "a" })
      assert.equal(2, origin:seen().connections)
    end)
  end)
end)

describe("http.idle_connections", function()
  it("bounds those that are kept", function()
    callers.with(upstream, { http = { idle_connections = 1 } }, function(tidy)
      local origin = listen()
      local slow = { url = origin:url("/slow?head_ms=50") }
      local told = tidy:ask("/calls", { n = 4, calls = { slow } })
      assert.equal(4, told.resolved)
      assert.equal(4, origin:seen().connections)
      origin:wait_until("one is left", function(seen)
        return seen.open == 1
      end)
      tidy:must_call(origin:url("/echo"))
      assert.equal(4, origin:seen().connections)
    end)
  end)
end)

describe("a Unix socket", function()
  it("is called with the URL's host as the Host field alone", function()
    local path = upstream.folder .. "/one.sock"
    local origin = upstream:listen({ kind = "http", path = path })
    local got = server:call_for_json({ url = "http://service.internal/echo", unix = path })
    assert.equal("service.internal", got.headers.host)
    server:must_call({ url = "http://service.internal/echo", unix = path })
    assert.equal(1, origin:seen().connections)
  end)

  it("does not share connections with another one of the same URL", function()
    local answers = {}
    for i = 1, 2 do
      local path = ("%s/raw%d.sock"):format(upstream.folder, i)
      local raw = upstream:listen({ kind = "raw", path = path })
      raw:script("/", ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d"):format(i))
      answers[i] = path
    end
    for _ = 1, 2 do
      for i, path in ipairs(answers) do
        assert.equal(tostring(i), server:must_call({ url = "http://a/", unix = path }).body)
      end
    end
  end)

  it("that is not there fails with code connect", function()
    server:must_fail({ url = "http://a/", unix = "/nowhere/x.sock" }, "connect", "nowhere")
  end)

  it("whose path is too long is refused", function()
    local told = server:call({ url = "http://a/", unix = "/" .. ("x"):rep(200) })
    assert.is_false(told.ok)
  end)
end)

describe("many calls", function()
  it("in parallel are all answered", function()
    local origin = listen()
    local calls = { { url = origin:url("/slow?head_ms=20&body_ms=20") },
      { url = origin:url("/bytes?n=100000") }, { url = origin:url("/chunked?bytes=1000") } }
    local told = server:ask("/calls", { n = 200, calls = calls })
    assert.same({ ["200"] = 200 }, told.statuses)
    assert.equal(67 * 10 + 67 * 100000 + 66 * 1000, told.bytes)
    assert.is_true(origin:seen().connections <= 64)
  end)

  it("leave no descriptor behind, however they end", function()
    callers.with(upstream, { http = { idle = 0.1 } }, function(tidy)
      local origin, raw, tls = listen(), listen("raw"), listen("https")
      local unknown = upstream:listen({ kind = "https", cert = "unknown" })
      raw:script("/garbage", "nonsense\r\n\r\n")
      raw:script("/cut", { { CUT, { ["end"] = true } } })
      upstream:names({ ["here.test"] = { A = { "127.0.0.1" }, ttl = 0 } })
      local named = ("http://here.test:%d/echo"):format(origin.port)
      local calls = {
        { url = named }, { url = tls:url("/echo") }, { url = unknown:url("/echo") },
        { url = raw:url("/garbage") }, { url = raw:url("/cut") }, { url = origin:url("/reset") },
        { url = "http://nowhere.test/" }, { url = "http://127.0.0.1:1/" },
        { url = origin:url("/never"), timeout = 0.2 }, { url = origin:url("/bytes?n=9"), max = 3 },
        { url = origin:url("/redirect?to=/echo") }, { url = raw:url("/silent"), timeout = 0.1 },
      }
      tidy:ask("/calls", { n = #calls, calls = calls }) -- what is opened once and kept
      for _, listener in ipairs({ origin, raw, tls, unknown }) do
        listener:wait_until_left()
      end
      local before = tidy:footprint().descriptors
      for _ = 1, 3 do
        local told = tidy:ask("/calls", { n = 8 * #calls, calls = calls })
        assert.equal(8 * 3, told.statuses["200"])
        assert.same({ tls = 8, protocol = 8, closed = 16, dns = 8, connect = 8, timeout = 16,
          limit = 8 }, told.codes)
        tidy:ask("/cancelled_call", { call = { url = origin:url("/never") }, after = 0.05 })
        tidy:ask("/cancelled_call", { call = { url = named } })
      end
      tidy:wait_for_descriptors(before)
      process.wait_until("all have left", function()
        return origin:seen().open + raw:seen().open + tls:seen().open + unknown:seen().open == 0
      end)
    end)
  end)
end)

describe("thousands of calls", function()
  it("leave no memory behind", function()
    local origin, raw = listen(), listen("raw")
    raw:script("/", "nonsense\r\n\r\n")
    local calls = { { url = origin:url("/echo") }, { url = origin:url("/coded?how=gzip") },
      { url = origin:url("/bytes?n=20000") }, { url = raw:url("/") },
      { url = origin:url("/redirect?to=/echo") }, { url = origin:url("/drop") } }
    local function round()
      local told = server:ask("/calls", { n = 600, calls = calls })
      assert.equal(400, told.resolved)
      return server:footprint().rss_kb
    end
    for _ = 1, 4 do
      round()
    end
    local before, after = round(), nil
    for _ = 1, 6 do
      after = round()
    end
    assert.is_true(after < before + 8000, ("%d kB became %d kB"):format(before, after))
  end)
end)

describe("a reload", function()
  it("of several workers fails no call", function()
    callers.with(upstream, { workers = 2 }, function(many)
      local origin, tls = listen(), listen("https")
      local calls = { { url = origin:url("/slow?head_ms=20&body_ms=20") },
        { url = tls:url("/bytes?n=10000") }, { url = origin:url("/redirect?to=/echo") } }
      for _ = 1, 4 do
        many.process:signal("HUP")
        for _ = 1, 5 do
          assert.equal(12, many:ask("/calls", { n = 12, calls = calls }).resolved)
        end
      end
      many:wait_for_log("reload")
    end)
  end)

  it("ends calls of the background that the old scripts made", function()
    local timeouts = { drain = 0.3, half_close = 0.2 }
    callers.with(upstream, { timeouts = timeouts }, function(short)
      local origin = listen()
      short:ask("/background_call", { name = "old", call = { url = origin:url("/never") } })
      origin:wait_for_state("open")
      short.process:signal("HUP")
      origin:wait_for_state("aborted")
      origin:wait_until_left()
    end)
  end)

  it("lets calls under way end, and keeps the connections", function()
    local origin = listen()
    server:must_call(origin:url("/echo"))
    local conn = server:begin("/call", { url = origin:url("/slow?head_ms=300&body_ms=300") })
    origin:wait_for_state("open")
    server.process:signal("HUP")
    server:wait_for_log("reload")
    assert.truthy(conn:read("POST").body:find("firstlater"))
    conn:close()
    server:must_call(origin:url("/echo"))
    assert.equal(1, origin:seen().connections)
  end)
end)
