--- The connections of the HTTP client: kept, shared, limited, given up.
local callers = require("support.caller")
local upstreams = require("support.upstream")

local OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
local STRAY = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstray"

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

  it("are for streams and files too, but not for what a function writes", function()
    local raw = listen("raw")
    raw:script("/", { { { reset = true } } })
    local told = server:ask("/read_stream", { call = { url = raw:url("/"), retries = 2 } })
    assert.equal("closed", told.code)
    assert.equal(3, #raw:seen().requests)
    raw:forget()
    server:must_fail({ url = raw:url("/"), retries = 2, method = "PUT",
      file = "conf/moongate.lua" }, "closed")
    assert.equal(3, #raw:seen().requests)
    raw:forget()
    server:must_fail({ url = raw:url("/"), retries = 2, method = "PUT", upload = { pieces = 1 } },
      "closed")
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
