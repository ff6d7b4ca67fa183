--- The HTTP client: calls that end early, by time, by will, or because nobody waits for them.
local callers = require("support.caller")
local servers = require("support.server")
local upstreams = require("support.upstream")
local black_holes = require("support.black_hole")

local server, upstream, origin, hole

setup(function()
  upstream = upstreams.start()
  server = callers.start(upstream)
  hole = black_holes.open("127.0.0.1")
end)
teardown(function()
  hole:close()
  callers.stop(server, upstream)
end)
before_each(function()
  origin = upstream:listen({ kind = "http" }) -- of its own counts
end)

local function hole_url()
  return ("http://127.0.0.1:%d/"):format(hole.port)
end

-- What becomes of a call that never ends by itself, and that the upstream has seen.
local function aborted(route, value)
  local told = server:ask(route, value)
  origin:wait_for_state("aborted")
  origin:wait_until_left()
  return told
end

describe("a server that refuses connections", function()
  it("is told with its address and code connect", function()
    local port = servers.free_port()
    server:must_fail(("http://127.0.0.1:%d/x"):format(port), "connect", "127%.0%.0%.1:" .. port)
    server:must_fail({ url = ("http://127.0.0.1:%d/"):format(port), retries = 2 }, "connect")
  end)
end)

describe("option connect_timeout", function()
  it("bounds how long a connection may take", function()
    server:must_fail({ url = hole_url(), connect_timeout = 0.2 }, "timeout", "connect")
  end)

  it("does not bound the answer", function()
    server:must_call({ url = origin:url("/slow?head_ms=400&body_ms=100"), connect_timeout = 0.2 })
  end)
end)

describe("option first_byte_timeout", function()
  it("bounds the wait for the head", function()
    local call = { url = origin:url("/never"), first_byte_timeout = 0.2 }
    callers.assert_failed(aborted("/call", call), "timeout")
  end)

  it("does not bound the body", function()
    server:must_call({ url = origin:url("/slow?body_ms=500"), first_byte_timeout = 0.3 })
  end)

  it("does not run while the server still takes the request", function()
    server:must_call({ url = origin:url("/slow-read?ms=8"), method = "POST",
      large_body = 24 * 1048576, first_byte_timeout = 0.8 })
  end)

  it("is not met by an interim answer", function()
    local raw = upstream:listen({ kind = "raw" })
    raw:script("/", { { "HTTP/1.1 103 Early Hints\r\n\r\n" } })
    server:must_fail({ url = raw:url("/"), first_byte_timeout = 0.3 }, "timeout")
    raw:wait_until_left()
  end)
end)

describe("option timeout", function()
  it("bounds all of the call: no answer", function()
    local told = aborted("/call", { url = origin:url("/never"), timeout = 0.2 })
    callers.assert_failed(told, "timeout", "127%.0%.0%.1:" .. origin.port)
  end)

  it("bounds all of the call: a body that drips", function()
    local call = { url = origin:url("/drip?ms=10"), timeout = 0.3 }
    callers.assert_failed(aborted("/call", call), "timeout")
  end)

  it("bounds all of the call: redirections together", function()
    server:must_fail({ url = origin:url("/redirect-many?left=5&ms=200"), timeout = 0.5 }, "timeout")
    origin:wait_until_left()
    assert.is_true(#origin:seen().requests < 5)
  end)

  it("bounds all of the call: tries together", function()
    local raw = upstream:listen({ kind = "raw" })
    raw:script("/", { { { wait_ms = 200 }, { reset = true } } })
    server:must_fail({ url = raw:url("/"), timeout = 0.5, retries = 5 }, "timeout")
    assert.is_true(#raw:seen().requests < 5)
  end)

  it("bounds all of the call: the connection", function()
    server:must_fail({ url = hole_url(), timeout = 0.2 }, "timeout")
  end)

  it("does not bound a stream once its head is there", function()
    local told = server:ask("/read_stream", { stop_after = 30,
      call = { url = origin:url("/drip?ms=20"), timeout = 0.3 } })
    assert.is_nil(told.fault)
    assert.is_true(told.body_bytes >= 30)
  end)
end)

describe("option idle_timeout", function()
  it("bounds the wait for the next piece of a stream", function()
    local told = aborted("/read_stream", {
      call = { url = origin:url("/slow?body_ms=60000"), idle_timeout = 0.2 },
    })
    assert.equal(5, told.body_bytes)
    assert.equal("timeout", told.fault.code)
  end)

  it("lets a stream drip", function()
    local told = server:ask("/read_stream", { stop_after = 20,
      call = { url = origin:url("/drip?ms=50"), idle_timeout = 0.6 } })
    assert.is_nil(told.fault)
  end)

  it("does not count while the reader takes its time", function()
    local told = server:ask("/read_stream", { pause = 0.5,
      call = { url = origin:url("/bytes?n=300000"), idle_timeout = 0.2 } })
    assert.is_nil(told.fault)
    assert.equal(300000, told.body_bytes)
  end)
end)

describe("cancelling a call", function()
  it("closes its connection: the server sees it, whatever was under way", function()
    for _, target in ipairs({ "/never", "/drip?ms=10", "/endless", "/slow?body_ms=60000" }) do
      local call = { url = origin:url(target), max = 1e14 }
      local told = aborted("/cancelled_call", { call = call, after = 0.1, why = "enough" })
      callers.assert_failed(told, "cancelled")
    end
  end)

  it("at once sends nothing", function()
    local told = server:ask("/cancelled_call", { call = { url = origin:url("/echo") } })
    callers.assert_failed(told, "cancelled")
    assert.equal(0, #origin:seen().requests)
  end)

  it("works while it connects", function()
    local told = server:ask("/cancelled_call", { call = { url = hole_url() }, after = 0.05 })
    callers.assert_failed(told, "cancelled")
  end)

  it("works while it waits for a connection, and for its place in the queue", function()
    callers.with(upstream, { http = { connections = 1 } }, function(few)
      local conn = few:begin("/call", { url = origin:url("/slow?head_ms=500") })
      origin:wait_for_state("open")
      local call = { url = origin:url("/echo") }
      local told = few:ask("/cancelled_call", { call = call, after = 0.05 })
      callers.assert_failed(told, "cancelled")
      few:must_call(origin:url("/echo"))
      assert.equal(200, conn:read("POST").status)
      conn:close()
      assert.equal(2, #origin:seen().requests)
    end)
  end)

  it("by f:timeout closes its connection", function()
    local told = aborted("/timed_call", { call = { url = origin:url("/never") }, after = 0.1 })
    callers.assert_failed(told, "timeout")
  end)

  it("by a race that another one won closes its connection", function()
    local winner = upstream:listen({ kind = "http" })
    for _, how in ipairs({ "any", "race" }) do
      local told = aborted("/combined_calls", { how = how, calls = {
        { url = origin:url("/never") }, { url = winner:url("/slow?head_ms=100") },
      } })
      assert.equal(200, told.status)
    end
  end)

  it("by the failure of another one of all closes its connection", function()
    local other = upstream:listen({ kind = "http" })
    local told = aborted("/combined_calls", { how = "all", calls = {
      { url = other:url("/drop") }, { url = other:url("/slow?head_ms=100") },
      { url = origin:url("/never") },
    } })
    callers.assert_failed(told, "closed")
  end)
end)

describe("a call of a request", function()
  it("ends when the request's client leaves", function()
    for _, leave in ipairs({ "close", "reset" }) do
      origin:forget()
      local conn = server:begin("/call", { url = origin:url("/never") })
      origin:wait_for_state("open")
      conn[leave](conn)
      origin:wait_for_state("aborted")
      origin:wait_until_left()
    end
  end)

  it("that streams ends when the request's client leaves", function()
    local conn = server:begin("/relay", { url = origin:url("/drip?ms=5") })
    assert(conn:take(200))
    conn:close()
    origin:wait_for_state("aborted")
    origin:wait_until_left()
  end)

  it("ends with the request's deadline", function()
    local conn = server:begin("/call_short", { url = origin:url("/never") })
    assert.equal(504, conn:read("POST").status)
    conn:close()
    origin:wait_for_state("aborted")
  end)

  it("ends with its handler's failure", function()
    local conn = server:begin("/failing_call", { url = origin:url("/never") })
    assert.equal(500, conn:read("POST").status)
    conn:close()
    server:wait_for_log("its call was pending")
    origin:wait_for_state("aborted")
  end)

  it("runs on if the handler has only answered", function()
    local call = { url = origin:url("/slow?head_ms=200") }
    assert.is_true(server:ask("/forgotten_call", call).answered)
    origin:wait_for_state("answered")
  end)

  it("that nobody looked at and that failed is logged", function()
    server:ask("/forgotten_call", { url = origin:url("/drop") })
    server:wait_for_log("calls%.lua:%d+")
  end)
end)

describe("a stop", function()
  it("waits for requests whose calls are under way", function()
    local other = callers.start(upstream)
    local conn = other:begin("/call", { url = origin:url("/slow?head_ms=400") })
    origin:wait_for_state("open")
    other.process:signal("TERM")
    assert.equal(200, conn:read("POST").status)
    conn:close()
    other:stop()
  end)

  it("ends calls that take longer than timeouts.drain", function()
    local timeouts = { drain = 0.2, half_close = 0.2 }
    local other = callers.start(upstream, { timeouts = timeouts })
    other:ask("/background_call", { name = "long", call = { url = origin:url("/never") } })
    local conn = other:begin("/call", { url = origin:url("/never") })
    origin:wait_until("both are there", function(seen)
      return #seen.requests == 2
    end)
    other:stop()
    conn:close()
    origin:wait_until_left()
  end)

  it("does not wait for connections that idle", function()
    local other = callers.start(upstream)
    other:must_call(origin:url("/echo"))
    other:must_call(upstream:listen({ kind = "https" }):url("/echo"))
    other:stop()
    origin:wait_until_left()
  end)
end)
