--- The HTTP client: bodies that come and go piece by piece, no faster than the slower side.
local callers = require("support.caller")
local process = require("support.process")
local upstreams = require("support.upstream")
local wire = require("support.wire")
local json = require("dkjson")

local MUCH = 64 * 1024 * 1024 -- bytes; beyond what all the buffers of a path may hold

local server, upstream, origin

setup(function()
  upstream = upstreams.start()
  server = callers.start(upstream)
end)
teardown(function()
  callers.stop(server, upstream)
end)
before_each(function()
  origin = upstream:listen({ kind = "http" })
end)

local function last_request()
  local requests = origin:seen().requests
  return requests[#requests]
end

-- Waits until the number that `get` returns stays as it is.
local function settled(get)
  local before, same = nil, 0
  return process.wait_until("the number settles", function()
    local now = get()
    same = now == before and same + 1 or 0
    before = now
    return same >= 20 and now
  end)
end

-- The code of a stream's failure: before its head is handed out, or behind it.
local function fault_of(call)
  local told = server:ask("/read_stream", { call = call })
  return told.fault and told.fault.code or told.code
end

describe("a streamed answer", function()
  it("begins with its head", function()
    local told = server:ask("/head_only", { url = origin:url("/slow?body_ms=60000") })
    assert.equal(200, told.status)
    assert.equal("10", told.headers["content-length"])
    origin:wait_for_state("aborted") -- nobody reads the body
    origin:wait_until_left()
  end)

  it("comes whole, in each framing and coding", function()
    local want = server:must_call(origin:url("/bytes?n=3000000")).sha256
    for _, target in ipairs({ "/bytes?n=3000000", "/chunked?bytes=3000000&piece=9999",
      "/coded?how=gzip&bytes=3000000" }) do
      local told = server:ask("/read_stream", { call = { url = origin:url(target) } })
      assert.equal(3000000, told.body_bytes)
      assert.equal(want, told.sha256)
      assert.is_nil(told.fault)
      assert.is_true(told.pieces > 1)
    end
    local told = server:ask("/read_stream", { call = { url = origin:url("/close-delimited") } })
    assert.equal(13, told.body_bytes)
    told = server:ask("/read_stream", { call = { url = origin:url("/empty") } })
    assert.equal(0, told.body_bytes)
  end)

  it("that was read to its end leaves its connection to the next call", function()
    for _ = 1, 3 do
      server:ask("/read_stream", { call = { url = origin:url("/bytes?n=100000") } })
    end
    assert.equal(1, origin:seen().connections)
  end)

  it("whose end was held back for a slow reader leaves its connection fit for use", function()
    for _, target in ipairs({ "/coded?how=gzip&bytes=3000000", "/bytes?n=3000000" }) do
      for _, pause in ipairs({ 0, 0.005 }) do
        local call = { url = origin:url(target) }
        server:ask("/read_stream", { call = call, pause = pause > 0 and pause or nil })
        server:must_call({ url = origin:url("/echo"), timeout = 5 })
      end
    end
    assert.equal(1, origin:seen().connections)
  end)

  it("comes as it is sent", function()
    local conn = server:begin("/relay", { url = origin:url("/slow?body_ms=60000") })
    local text = ""
    process.wait_until("the first half is there", function()
      text = text .. conn:take_line() .. "\n"
      return text:find("first", 1, true)
    end)
    conn:close()
    origin:wait_for_state("aborted")
  end)

  it("is not read faster than its reader takes it", function()
    local conn = server:begin("/read_stream", { pause = 30,
      call = { url = origin:url("/endless"), max = 1e14 } })
    origin:wait_for_state("open")
    local written = settled(function()
      return last_request().written
    end)
    assert.is_true(written > 0 and written < MUCH, tostring(written))
    conn:close()
    origin:wait_for_state("aborted")
  end)

  it("is not relayed faster than the client takes it", function()
    local before = server:footprint().rss_kb
    local conn = server:begin("/relay", { url = origin:url("/endless"), max = 1e14 },
      { receive_buffer = 4096 })
    conn:take(100000)
    local written = settled(function()
      return last_request().written
    end)
    assert.is_true(written < MUCH, tostring(written))
    assert.is_true(server:footprint().rss_kb < before + 40000)
    conn:take(1000000) -- and it goes on when asked
    conn:close()
    origin:wait_for_state("aborted")
    origin:wait_until_left()
  end)

  it("is relayed whole", function()
    local conn = server:begin("/relay", { url = origin:url("/bytes?n=8000000") })
    assert.equal(8000000, #conn:read("POST").body)
    conn:close()
  end)

  for _, close in ipairs({ true, false }) do
    it("may be left in the middle, " .. (close and "by close()" or "by a break"), function()
      local told = server:ask("/read_stream", { stop_after = 100000, close = close,
        call = { url = origin:url("/endless"), max = 1e14 } })
      assert.is_nil(told.fault)
      origin:wait_for_state("aborted")
      origin:wait_until_left()
      server:must_call(origin:url("/echo"))
    end)
  end

  it("that fails in the middle raises there", function()
    local raw = upstream:listen({ kind = "raw" })
    local head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    raw:script("/chunk", head .. "4\r\ngood\r\nevil\r\n")
    local failures = {
      [origin:url("/drop")] = "closed", [origin:url("/drop?chunked=1")] = "closed",
      [origin:url("/coded?how=gzip&bytes=90000&cut=9")] = "protocol",
      [raw:url("/chunk")] = "protocol",
    }
    for url, code in pairs(failures) do
      assert.equal(code, fault_of({ url = url }), url)
    end
  end)

  it("that fails names the line that reads it", function()
    local call = { url = origin:url("/drop?chunked=1&ms=50") }
    local told = server:ask("/read_stream", { call = call })
    assert.truthy(told.fault.where:find("^lua/routes/call_streams.lua:%d+$"), told.fault.where)
  end)

  it("has no bound unless max sets one", function()
    local told = server:ask("/read_stream", {
      call = { url = origin:url("/chunked?bytes=20000000&piece=50000") } })
    assert.equal(20000000, told.body_bytes)
    assert.is_nil(told.fault)
  end)

  it("with a URL that is none is refused where it is asked for", function()
    for _, options in ipairs({ { stream = true }, { upload = { pieces = 1 }, method = "POST" } }) do
      options.url = "http://a b/"
      local told = server:call(options)
      assert.truthy(told.raised:find("^lua/routes/calls.lua:%d+: http_request: url: "), told.raised)
    end
  end)

  it("is bounded by max in total", function()
    local call = { url = origin:url("/chunked?bytes=5000000&piece=5000"), max = 1000000 }
    local told = server:ask("/read_stream", { call = call })
    assert.equal("limit", told.fault.code)
    assert.is_true(told.body_bytes <= 1000000)
    assert.equal("limit", fault_of({ url = origin:url("/bomb?mb=300"), max = 1e6 }))
  end)

  it("that fails in the middle does not look whole to the client it is relayed to", function()
    local conn = server:begin("/relay", { url = origin:url("/drop?chunked=1&ms=50") })
    local ok, err = pcall(conn.read, conn, "POST")
    assert.is_false(ok)
    assert.truthy(tostring(err):find("closed", 1, true), tostring(err))
    conn:close()
  end)

  it("may be redirected before", function()
    local told = server:ask("/read_stream", {
      call = { url = origin:url("/redirect?to=%2Fbytes%3Fn%3D5000") },
    })
    assert.equal(5000, told.body_bytes)
    assert.equal(1, told.redirects)
  end)
end)

describe("a streamed body", function()
  local function upload(target, options, more)
    local call = { url = origin:url(target), method = "POST", upload = options }
    for k, v in pairs(more or {}) do
      call[k] = v
    end
    return call
  end

  it("is sent in chunks", function()
    local got = server:call_for_json(upload("/echo", { pieces = 300, bytes = 1000 }))
    assert.equal(300000, got.body_bytes)
    assert.equal("chunked", got.headers["transfer-encoding"])
    assert.is_nil(got.headers["content-length"])
  end)

  it("is sent with a length if that is known", function()
    local more = { headers = { ["content-length"] = "3000" } }
    for _, known in ipairs({ { length = 3000 }, more }) do
      local got = server:call_for_json(upload("/echo", { pieces = 3, bytes = 1000 }, known))
      assert.equal(3000, got.body_bytes)
      assert.equal("3000", got.headers["content-length"])
      assert.is_nil(got.headers["transfer-encoding"])
    end
  end)

  it("that is shorter or longer than its length fails, and is not taken for whole", function()
    for _, length in ipairs({ 2999, 3001, 0 }) do
      origin:forget()
      local told = server:call(upload("/echo", { pieces = 3, bytes = 1000 }, { length = length,
        timeout = 5 }))
      assert.is_false(told.ok, "a length of " .. length)
      assert.equal("limit", told.code)
      if length > 0 then
        origin:wait_until("the upstream has got no whole request", function(seen)
          return #seen.requests == 0 or seen.requests[1].state == "aborted"
        end)
      end
    end
  end)

  it("may have empty pieces, which do not end it", function()
    assert.equal("ab", server:call_for_json(upload("/echo", { texts = { "a", "", "b" } })).body)
    assert.equal("", server:call_for_json(upload("/echo", { texts = { "" } })).body)
  end)

  it("goes out as it is written", function()
    local raw = upstream:listen({ kind = "raw" })
    raw:script("/", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", { answer_at = "head" })
    local told = server:call({ url = raw:url("/"), method = "POST", timeout = 5,
      upload = { pieces = 1000, bytes = 10, pause = 0.01 } })
    assert.equal("ok", told.body) -- the answer overtakes the body
    assert.is_true(told.written < 1000)
    raw:wait_until_left()
  end)

  it("is written no faster than the server takes it", function()
    server:must_call(origin:url("/echo"))
    origin:drop_connections()
    origin:wait_until_left()
    local before = server:footprint().descriptors
    local told = server:call(upload("/no-read", { pieces = 10000, bytes = 100000 },
      { timeout = 1 }))
    assert.equal("timeout", told.code)
    assert.is_true(told.written * 100000 < MUCH, tostring(told.written))
    server:wait_for_descriptors(before) -- the upstream cannot see it: it reads nothing
  end)

  it("reaches a slow server whole", function()
    local told = server:must_call(upload("/slow-read?ms=2", { pieces = 300, bytes = 20000 }))
    assert.equal('{"body_bytes":6000000}', told.body)
  end)

  it("may be answered before its end", function()
    local much = { pieces = 100000, bytes = 100000 }
    local told = server:call(upload("/early", much, { timeout = 20 }))
    assert.equal(413, told.status)
    assert.is_true(told.written < 100000)
    local path = server.folder .. "/huge.bin"
    process.run({ "truncate", "-s", "300M", path })
    told = server:call({ url = origin:url("/early"), method = "PUT", file = path })
    assert.equal(413, told.status)
    origin:wait_until_left() -- it cannot be used again
  end)

  it("need not be streamed to be answered before its end", function()
    local raw = upstream:listen({ kind = "raw" })
    raw:script("/", "HTTP/1.1 413 X\r\nContent-Length: 2\r\n\r\nno", { answer_at = "head" })
    local told = server:call({ url = raw:url("/"), method = "POST", large_body = 50000000 })
    assert.equal(413, told.status)
    assert.equal("no", told.body)
    raw:wait_until_left()
  end)

  it("that is passed on is not taken faster than the server takes it", function()
    local before = server:footprint().rss_kb
    -- Its timeout ends it: a client is not seen to leave while its body is not read.
    local call = json.encode({ url = origin:url("/no-read"), method = "PUT", timeout = 3 })
    local conn = server:connect()
    conn:send(wire.head_of("POST", "/pass_on", "Content-Length: 1000000000", "X-Call: " .. call)
      .. "\r\n")
    local piece, sent = ("x"):rep(100000), 0
    conn.sock:settimeout(1)
    local whole
    repeat
      whole = conn:send(piece)
      sent = sent + #piece
    until not whole or sent > 2 * MUCH
    assert.is_true(sent < MUCH, tostring(sent))
    assert.is_true(server:footprint().rss_kb < before + 40000)
    conn:close()
  end)

  it("whose writer fails, fails the call, and is not taken for whole", function()
    local raw = upstream:listen({ kind = "raw" })
    local told = server:call({ url = raw:url("/"), method = "POST",
      upload = { pieces = 3, pause = 0.03, fail = "the writer failed" } })
    assert.is_false(told.ok)
    assert.truthy(told.message:find("the writer failed", 1, true), told.message)
    raw:wait_until_left()
    assert.equal(0, #raw:seen().requests) -- that are whole
  end)

  it("is cancelled with its call", function()
    local told = server:ask("/cancelled_call", { after = 0.2,
      call = upload("/slow-read", { pieces = 100000, bytes = 1000, pause = 0.01 }) })
    callers.assert_failed(told, "cancelled")
    origin:wait_for_state("aborted")
  end)

  it("may be what the gateway's own client sends", function()
    local bytes = ("0123456789"):rep(300000)
    local call = json.encode({ url = origin:url("/echo"), method = "PUT" })
    local told = json.decode(server:request(wire.post("/pass_on", bytes, "X-Call: " .. call)).body)
    assert.is_true(told.ok, told.message)
    local got = json.decode(told.body)
    assert.equal(3000000, got.body_bytes)
  end)

  it("that passes on what a client sends ends when that client leaves", function()
    local call = json.encode({ url = origin:url("/slow-read"), method = "PUT" })
    local conn = server:connect()
    conn:send(wire.head_of("POST", "/pass_on", "Content-Length: 1000000", "X-Call: " .. call)
      .. "\r\n" .. ("x"):rep(50000))
    origin:wait_for_state("open")
    conn:close()
    origin:wait_for_state("aborted")
  end)
end)

-- The buffers of TLS lie between all the others.
describe("over TLS", function()
  local secure

  before_each(function()
    secure = upstream:listen({ kind = "https" })
  end)

  it("an answer comes whole to a reader who takes its time", function()
    local want = server:must_call(origin:url("/bytes?n=3000000")).sha256
    for _, target in ipairs({ "/bytes?n=3000000", "/chunked?bytes=3000000&piece=9999",
      "/coded?how=gzip&bytes=3000000" }) do
      local call = { url = secure:url(target) }
      local told = server:ask("/read_stream", { pause = 0.002, call = call })
      assert.equal(want, told.sha256)
      assert.is_nil(told.fault)
      server:must_call({ url = secure:url("/echo"), timeout = 5 })
    end
    assert.equal(1, secure:seen().connections)
  end)

  it("an answer is not relayed faster than the client takes it", function()
    local conn = server:begin("/relay", { url = secure:url("/endless"), max = 1e14 },
      { receive_buffer = 4096 })
    conn:take(100000)
    local written = settled(function()
      return secure:seen().requests[1].written
    end)
    assert.is_true(written < MUCH, tostring(written))
    conn:take(1000000)
    conn:close()
    secure:wait_for_state("aborted")
    secure:wait_until_left()
  end)

  it("a body reaches a slow server whole", function()
    local told = server:must_call({ url = secure:url("/slow-read?ms=2"), method = "POST",
      upload = { pieces = 300, bytes = 20000 } })
    assert.equal('{"body_bytes":6000000}', told.body)
  end)

  it("a body is written no faster than the server takes it", function()
    local told = server:call({ url = secure:url("/no-read"), method = "POST", timeout = 1,
      upload = { pieces = 10000, bytes = 100000 } })
    assert.equal("timeout", told.code)
    assert.is_true(told.written * 100000 < MUCH, tostring(told.written))
  end)

  it("an end without TLS's own end is no end of an answer", function()
    local told = server:call(secure:url("/close-delimited?abrupt=1"))
    callers.assert_failed(told, "closed")
    assert.equal("until the end", server:must_call(secure:url("/close-delimited")).body)
  end)
end)
