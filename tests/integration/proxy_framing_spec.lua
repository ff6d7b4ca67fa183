--- The proxy: what an upstream sends is held to the framing rules, and nothing that a client sends
--- is taken for more requests, or fewer, than it was.
local http = require("support.http")
local process = require("support.process")
local proxy = require("support.proxy")
local refused = require("support.refused")
local upstreams = require("support.upstream")
local wire = require("support.wire")

local END, RESET = { ["end"] = true }, { reset = true }
local OK = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood"

local upstream

setup(function()
  upstream = upstreams.start()
end)
teardown(function()
  upstream:stop()
end)

-- Before any of it could be relayed the client is told: 502.
local WRONG = {
  ["both framings"] = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
    .. "4\r\nevil\r\n0\r\n\r\n",
  ["two lengths"] = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nevil!",
  ["a signed length"] = "HTTP/1.1 200 OK\r\nContent-Length: +4\r\n\r\nevil",
  ["a hexadecimal length"] = "HTTP/1.1 200 OK\r\nContent-Length: 0x4\r\n\r\nevil",
  ["a list of lengths"] = "HTTP/1.1 200 OK\r\nContent-Length: 4, 5\r\n\r\nevil!",
  ["chunked twice"] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
  ["an unknown coding"] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: x-new, chunked\r\n\r\n0\r\n\r\n",
  ["a space before the colon"] = "HTTP/1.1 200 OK\r\nContent-Length : 4\r\n\r\nevil",
  ["a folded field"] = "HTTP/1.1 200 OK\r\nX-A: 1\r\n 2\r\nContent-Length: 4\r\n\r\nevil",
  ["a NUL in a field"] = "HTTP/1.1 200 OK\r\nX-A: a\0b\r\nContent-Length: 4\r\n\r\nevil",
  ["a bare CR in a field"] = "HTTP/1.1 200 OK\r\nX-A: a\rb\r\nContent-Length: 4\r\n\r\nevil",
  ["bare line feeds"] = "HTTP/1.1 200 OK\nContent-Length: 4\n\nevil",
  ["no version"] = "200 OK\r\nContent-Length: 4\r\n\r\nevil",
  ["another protocol"] = "SSH-2.0-OpenSSH_9.2p1\r\n",
  ["a status of two digits"] = "HTTP/1.1 20 OK\r\nContent-Length: 4\r\n\r\nevil",
  ["a switch that nobody asked for"] = "HTTP/1.1 101 Switching\r\nUpgrade: evil\r\n"
    .. "Connection: upgrade\r\n\r\n",
  ["a head without end"] = { { send = "HTTP/1.1 200 OK\r\n" },
    { send = "X-A: " .. ("a"):rep(1000) .. "\r\n", times = 5000 } },
  ["a line without end"] = { { send = ("A"):rep(65536), times = 64 } },
  ["interim answers without end"] = { { send = ("HTTP/1.1 103 Early\r\n\r\n"):rep(100),
    times = 2000 } },
  ["an end before the head's"] = { "HTTP/1.1 200 OK\r\nContent-Le", END },
  ["a reset before the head's end"] = { "HTTP/1.1 200 OK\r\nContent-Le", { wait_ms = 20 }, RESET },
  ["nothing but an end"] = { END },
}

-- The head was good: what is wrong comes later. The client's answer is cut, never completed.
local CHUNKED = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nsome\r\n"
local CUT = {
  ["a content shorter than its length"] = {
    "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nsome", END,
  },
  ["a reset within the content"] = { "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nsome",
    { wait_ms = 30 }, RESET },
  ["chunks without their end"] = { CHUNKED, END },
  ["a malformed chunk size"] = { CHUNKED .. "zz\r\nevil\r\n0\r\n\r\n" },
  ["a chunk that does not end"] = { CHUNKED .. "4\r\nevilX\r\n0\r\n\r\n" },
  ["a chunk size that overflows"] = { CHUNKED .. "fffffffffffffffff\r\nevil" },
  ["a malformed trailer"] = { CHUNKED .. "0\r\nX : 1\r\n\r\n" },
}

for how, prefix in pairs(proxy.PREFIXES) do
  describe("an upstream's answer, " .. how .. ",", function()
    local raw, gateway

    setup(function()
      raw = upstream:listen({ kind = "raw" })
      raw:script("/good", OK)
      gateway = proxy.start({ raw })
    end)
    teardown(function()
      gateway:stop()
    end)

    local function assert_clean_after()
      raw:wait_until_left() -- the connection is not used again
      assert.equal("good", gateway:get(prefix .. "/good").body)
    end

    for about, part in pairs(WRONG) do
      it("with " .. about .. " is a 502", function()
        raw:script("/bad", { part })
        for _, method in ipairs({ "GET", "POST" }) do
          local conn = gateway:connect()
          local res = conn:request(method == "GET" and wire.get(prefix .. "/bad")
            or wire.post(prefix .. "/bad", "pay"), method)
          local interims = 0
          while res.status < 200 do
            interims = interims + 1
            res = conn:read(method)
          end
          assert.is_true(interims < 100)
          assert.equal(502, res.status)
          assert.equal(502, http.problem(res).status)
          assert.is_nil(res.body:find("evil", 1, true))
          -- The client's connection has done nothing wrong.
          assert.equal("good", conn:request(wire.get(prefix .. "/good")).body)
          conn:close()
          raw:drop_connections()
          raw:wait_until_left()
          assert.equal("good", gateway:get(prefix .. "/good").body)
        end
      end)
    end

    for about, part in pairs(CUT) do
      it("with " .. about .. " is cut", function()
        raw:script("/cut", { part })
        local conn = gateway:connect()
        conn:send(wire.get(prefix .. "/cut"))
        local ok, res = pcall(conn.read, conn, "GET")
        -- The head may not have been sent yet: then the client is told.
        assert.is_true(not ok or res.status == 502, ok and res.body)
        conn:close()
        raw:drop_connections()
        raw:wait_until_left()
        assert.equal("good", gateway:get(prefix .. "/good").body)
      end)
    end

    it("that stands behind its end belongs to nobody", function()
      raw:script("/more", OK .. "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
      assert.equal("good", gateway:get(prefix .. "/more").body)
      assert_clean_after()
    end)

    it("that comes before the request belongs to nobody", function()
      local greeting = upstream:listen({ kind = "raw",
        greeting = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil" })
      proxy.with({ greeting }, nil, function(other)
        local res = other:get(prefix .. "/x")
        assert.is_true(res.status == 502 or res.body == "evil", res.status)
        assert.equal(0, #res.body:match("^evil(.*)$") or 0)
      end)
    end)

    it("is right wherever its bytes are split", function()
      raw:script("/slow", { { { send = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        .. "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", slowly = true } } })
      assert.equal("abcde", gateway:get(prefix .. "/slow").body)
    end)

    it("may end at any byte", function()
      local whole = "HTTP/1.1 200 OK\r\nX-A: 1\r\nContent-Length: 4\r\n\r\ngood"
      for at = 1, #whole - 1, 3 do
        raw:script("/part", { { whole:sub(1, at), END } })
        local conn = gateway:connect()
        conn:send(wire.get(prefix .. "/part"))
        local ok, res = pcall(conn.read, conn, "GET")
        assert.is_true(not ok or res.status == 502, at)
        conn:close()
      end
    end)
  end)

  -- As many requests arrive as the client was answered, whatever was sent.
  describe("a framing trick, " .. how .. ",", function()
    local counting, gateway

    setup(function()
      counting = upstream:listen({ kind = "counting" })
      gateway = proxy.start({ counting }, { timeouts = { half_close = 0.05 } })
    end)
    teardown(function()
      gateway:stop()
    end)

    local function answers_to(bytes)
      local conn = gateway:connect()
      conn:send(bytes)
      conn:finish_sending()
      local good, all = 0, 0
      while true do
        local ok, res = pcall(conn.read, conn, "GET")
        if not ok then
          break
        end
        all = all + 1
        good = good + (res.headers["x-seen"] and 1 or 0)
      end
      conn:close()
      return good, all
    end

    -- Its target lies below the prefix, so that it is relayed the way that is tested.
    local function relayed(bytes)
      return (bytes:gsub("^(%S+) (/[%w]+ HTTP)", "%1 " .. prefix .. "%2"))
    end

    for _, row in ipairs(refused.rows) do
      it("for " .. row.about .. " reaches nobody", function()
        for i, input in ipairs(row.inputs) do
          counting:call("forget_counts")
          local bytes = relayed(row.make(input))
          local good = answers_to(bytes .. wire.get(prefix .. "/smuggled"))
          local told = counting:counts()
          local about = ("%d: %s"):format(i, http.shown(bytes))
          assert.equal(good, told.total, about)
          for _, seen in ipairs(told.requests) do
            assert.is_not.equal("/smuggled", seen.target, about)
          end
          for _, text in ipairs(told.malformed) do -- an upload that was broken off, at most
            assert.is_nil(text:find("/smuggled", 1, true), about)
          end
        end
      end)
    end

    it("is a body that looks like requests", function()
      counting:call("forget_counts")
      local inner = wire.get(prefix .. "/smuggled")
      local good = answers_to(wire.post(prefix .. "/a", inner) .. wire.post_chunked(prefix .. "/b",
        inner, inner) .. wire.get(prefix .. "/c"))
      assert.equal(3, good)
      assert.equal(3, counting:counts().total)
    end)

    it("is pipelining: each request is answered in order", function()
      counting:call("forget_counts")
      local conn = gateway:connect()
      local all = {}
      for i = 1, 20 do
        all[i] = i % 3 == 0 and wire.post(("%s/%d"):format(prefix, i), "body")
          or wire.get(("%s/%d"):format(prefix, i))
      end
      conn:send(table.concat(all))
      for i = 1, 20 do
        local res = conn:read("GET")
        assert.equal((i % 3 == 0 and "POST /%d 4\n" or "GET /%d 0\n"):format(i), res.body)
      end
      conn:close()
      assert.equal(20, counting:counts().total)
    end)
  end)
end

describe("a storm of interim answers", function()
  it("takes no memory", function()
    local raw = upstream:listen({ kind = "raw" })
    raw:script("/storm", { { { send = ("HTTP/1.1 102 Processing\r\n\r\n"):rep(1000), times = 500 },
      { ["end"] = true } } })
    proxy.with({ raw }, nil, function(gateway)
      gateway:get("/storm")
      local before = process.rss_kb(gateway.pid)
      for _ = 1, 5 do
        gateway:get("/storm")
      end
      assert.is_true(process.rss_kb(gateway.pid) < before + 4000)
    end)
  end)
end)
