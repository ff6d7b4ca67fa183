--- The proxy: contents go through as they come, both ways, with flat memory.
local process = require("support.process")
local proxy = require("support.proxy")
local upstreams = require("support.upstream")
local wire = require("support.wire")

local BYTES = (tonumber(os.getenv("STREAM_MIB")) or 64) * 1024 * 1024 -- of a large content
-- A sanitizer keeps back what was freed.
local KEPT_BACK_KB = require("support.server").BINARY:find("asan", 1, true) and 200000 or 0
local FLAT_KB = 6000 + KEPT_BACK_KB

local upstream, raw, origin, gateway

setup(function()
  upstream = upstreams.start()
  raw = upstream:listen({ kind = "raw" })
  origin = upstream:listen({ kind = "http" })
  gateway = proxy.start({ raw }, { limits = { body = "2G" } })
end)
teardown(function()
  gateway:stop()
  upstream:stop()
end)

-- A gateway in front of the origin.
local with_origin = function(fn)
  proxy.with({ origin }, { limits = { body = "2G" } }, fn)
end

for how, prefix in pairs(proxy.PREFIXES) do
  describe("a content, " .. how .. ",", function()
    for name, part in pairs({
      ["in chunks"] = { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "3\r\none\r\n", "3\r\ntwo\r\n0\r\n\r\n" },
      ["with a length"] = { "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n", "one", "two" },
      ["of events"] = { "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
        .. "Transfer-Encoding: chunked\r\n\r\n", "3\r\none\r\n", "3\r\ntwo\r\n0\r\n\r\n" },
      ["that is not to be buffered"] = { "HTTP/1.1 200 OK\r\nX-Accel-Buffering: no\r\n"
        .. "Content-Length: 6\r\n\r\n", "one", "two" },
    }) do
      it(name .. " is passed on as it comes", function()
        -- The second piece never comes while the first is awaited.
        raw:script("/x", { { part[1], part[2], { wait_ms = 1000000 }, part[3] } })
        local conn = gateway:connect()
        conn:send(wire.get(prefix .. "/x"))
        local line
        repeat
          line = conn:take_line()
        until line == ""
        if part[2]:find("\r\n", 1, true) then
          assert.equal("3", conn:take_line())
        end
        assert.equal("one", conn:take(3))
        conn:close()
        raw:wait_until_left()
      end)
    end

    it("is passed on head first", function()
      raw:script("/x", { { "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n" } })
      local conn = gateway:connect()
      conn:send(wire.get(prefix .. "/x"))
      assert.equal("HTTP/1.1 200 OK", conn:take_line())
      conn:close()
      raw:wait_until_left()
    end)

    it("of a request is passed on as it comes", function()
      raw:script("/x", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", { answer_at = "head" })
      local conn = gateway:connect()
      conn:send(wire.head_of("POST", prefix .. "/x", "Transfer-Encoding: chunked") .. "\r\n")
      assert.equal(200, conn:read("POST").status) -- no byte of the body has been sent
      conn:close()
    end)

    it("is large both ways, and memory stays flat", function()
      with_origin(function(own)
        own:get(prefix .. "/bytes?n=1000000")
        local before = process.rss_kb(own.pid)
        local conn = own:connect()
        conn:send(wire.get(("%s/endless?length=%d"):format(prefix, BYTES)))
        local line
        repeat
          line = conn:take_line()
        until line == ""
        local most = before
        for _ = 1, BYTES / 1048576 do
          conn:take(1048576)
          most = math.max(most, process.rss_kb(own.pid))
        end
        conn:close()
        assert.is_true(most < before + FLAT_KB, ("down: %d kB became %d kB"):format(before, most))
        conn = own:connect()
        conn:send(wire.head_of("POST", prefix .. "/slow-read?ms=0", "Content-Length: " .. BYTES)
          .. "\r\n")
        local piece = ("u"):rep(1048576)
        for _ = 1, BYTES / 1048576 do
          assert.is_true(conn:send(piece))
          most = math.max(most, process.rss_kb(own.pid))
        end
        local res = conn:read("POST")
        assert.equal(('{"body_bytes":%d}'):format(BYTES), res.body)
        conn:close()
        assert.is_true(most < before + FLAT_KB, ("up: %d kB became %d kB"):format(before, most))
      end)
    end)

    it("waits for a client that does not read", function()
      with_origin(function(own)
        local before = process.rss_kb(own.pid)
        local conn = own:connect({ receive_buffer = 4096 })
        local others = origin:seen() -- connections of other tests may still be open
        conn:send(wire.get(prefix .. "/endless"))
        local last = -1
        -- The origin's counter stands still once all buffers on the way are full. Those of the
        -- kernel may grow to 32 MiB each (net.ipv4.tcp_rmem); the gateway's do not.
        process.wait_until("the origin stands still", function()
          local seen = origin:seen().requests
          local written = #seen > #others.requests and seen[#seen].written or 0
          local still = written > 0 and written == last
          last = written
          return still
        end)
        local after = process.rss_kb(own.pid)
        assert.is_true(after < before + FLAT_KB, ("%d kB became %d kB"):format(before, after))
        conn:close()
        origin:wait_until("the gateway has closed its connection", function(now)
          return now.open <= others.open
        end)
      end)
    end)

    it("of an upload waits for an upstream that does not read", function()
      with_origin(function(own)
        local conn = own:connect()
        conn:send(wire.head_of("POST", prefix .. "/no-read", "Content-Length: 1000000000")
          .. "\r\n")
        conn.sock:settimeout(0)
        local piece, sent, last = ("u"):rep(65536), 0, -1
        process.wait_until("nothing more is taken", function()
          for _ = 1, 50 do
            local _, _, partial = conn.sock:send(piece)
            sent = sent + (partial or #piece)
          end
          local still = sent == last
          last = sent
          return still
        end)
        assert.is_true(sent < 64 * 1024 * 1024, tostring(sent))
        assert.is_true(process.rss_kb(own.pid) < 60000)
        conn:close()
        origin:drop_connections() -- it does not read, and so does not see the end
      end)
    end)

    it("of zero bytes is whole", function()
      raw:script("/x", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
      local conn = gateway:connect()
      for _ = 1, 3 do
        local res = conn:request(wire.get(prefix .. "/x"))
        assert.equal("", res.body)
        assert.equal("0", res.headers["content-length"])
      end
      conn:close()
    end)

    it("larger than limits.body is 413, or is told so", function()
      proxy.with({ origin }, { limits = { body = 1000 } }, function(own)
        local conn = own:connect()
        conn:send(wire.head_of("POST", prefix .. "/echo", "Content-Length: 1001") .. "\r\n")
        assert.equal(413, conn:read("POST").status)
        conn:close()
      end)
    end)
  end)
end

describe("buffer = \"request\"", function()
  local LINES = [[
app:proxy("/whole/*path", "up", { buffer = "request", strip = "/whole" })
]]

  it("gives the upstream nothing before the request is whole", function()
    proxy.with({ origin }, { limits = { body = "64M" } }, function(own)
      origin:forget()
      local conn = own:connect()
      conn:send(wire.head_of("POST", "/whole/echo", "Content-Length: 10") .. "\r\nhello")
      assert.equal(200, own:get("/bytes?n=3").status)
      assert.equal(1, #origin:seen().requests)
      conn:send("world")
      local res = conn:read("POST")
      assert.truthy(res.body:find('"body":"helloworld"', 1, true), res.body)
      conn:close()
    end, LINES)
  end)

  it("keeps a large one in a file, and tells its length", function()
    proxy.with({ origin }, { limits = { body = "64M" } }, function(own)
      own:get("/bytes?n=100000")
      local before = process.rss_kb(own.pid)
      local chunks, n = {}, 20
      for i = 1, n do
        chunks[i] = ("u"):rep(1000000)
      end
      local res = own:request(wire.post_chunked("/whole/echo", unpack(chunks)), "POST")
      assert.truthy(res.body:find('"body_bytes":20000000', 1, true), res.body:sub(1, 300))
      assert.truthy(res.body:lower():find('"content-length":"20000000"', 1, true))
      assert.is_true(process.rss_kb(own.pid) < before + 8000 + KEPT_BACK_KB)
    end, LINES)
  end)

  it("with a client that leaves asks nobody", function()
    proxy.with({ origin }, nil, function(own)
      origin:forget()
      local conn = own:connect()
      conn:send(wire.head_of("POST", "/whole/echo", "Content-Length: 10") .. "\r\nhello")
      conn:close()
      assert.equal(200, own:get("/bytes?n=3").status)
      assert.equal(1, #origin:seen().requests)
    end, LINES)
  end)
end)
