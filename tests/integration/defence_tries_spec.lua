--- Another server is asked: because one failed, because it is slow, or with a copy.
local process = require("support.process")
local proxy = require("support.proxy")
local upstreams = require("support.upstream")
local wire = require("support.wire")

local OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
local BUSY = "HTTP/1.1 503 Its Own\r\nX-From: it\r\nContent-Length: 4\r\n\r\nbusy"

local upstream, a, b

setup(function()
  upstream = upstreams.start()
end)
teardown(function()
  upstream:stop()
end)
before_each(function()
  a, b = upstream:listen({ kind = "raw" }), upstream:listen({ kind = "raw" })
end)
after_each(function()
  a:close()
  b:close()
end)

local function count(listener)
  return #listener:seen().requests
end

local function total()
  return count(a) + count(b)
end

local function with_retries(retries, more)
  local up = { a, b, balance = "round_robin", retries = retries }
  for k, v in pairs(more or {}) do
    up[k] = v
  end
  return up
end

local function repeated(gateway, n, target)
  local conn = gateway:connect()
  local statuses = {}
  for _ = 1, n do
    local status = conn:request(wire.get(target)).status
    statuses[status] = (statuses[status] or 0) + 1
  end
  conn:close()
  return statuses
end

for how, prefix in pairs(proxy.PREFIXES) do
  describe("a retry, " .. how .. ",", function()
    it("goes to another server", function()
      a:script("/x", BUSY)
      b:script("/x", OK)
      proxy.with(with_retries({ count = 1 }), nil, function(gateway)
        assert.same({ [200] = 20 }, repeated(gateway, 20, prefix .. "/x"))
        assert.is_true(count(a) >= 5 and count(b) == 20)
      end)
    end)

    -- More than the budget allows at once, and each second one meets the port that is closed.
    it("finds who is well, however many are refused by who is not", function()
      local port = upstream:listen({ kind = "raw" })
      local dead = ("http://127.0.0.1:%d"):format(port.port)
      port:close()
      a:script("/x", { { { wait_ms = 100 }, OK } })
      for _, balance in ipairs({ "round_robin", "least_requests", "p2c" }) do
        proxy.with({ a, dead, balance = balance, retries = { count = 1 } }, nil, function(gateway)
          local conns = {}
          for i = 1, 32 do
            conns[i] = gateway:connect()
            conns[i]:send(wire.get(prefix .. "/x"))
          end
          for i = 1, 32 do
            assert.equal(200, conns[i]:read("GET").status)
            conns[i]:close()
          end
        end)
      end
    end)

    -- Each is sent again over a fresh connection, as one that was stale, and finds the port closed.
    it("finds another server for all that were under way when one died", function()
      local dying = upstream:listen({ kind = "raw" })
      dying:script("/x", { OK, { { wait_ms = 3000 }, OK } })
      b:script("/x", { { { wait_ms = 50 }, OK } })
      local up = { dying, b, balance = "round_robin", retries = { count = 1 } }
      proxy.with(up, nil, function(gateway)
        local conns = {}
        for round = 1, 2 do
          for i = 1, 32 do
            conns[i] = conns[i] or gateway:connect()
            conns[i]:send(wire.get(prefix .. "/x"))
          end
          if round == 2 then
            dying:wait_until("it has the second half", function(seen)
              return #seen.requests == 32 -- of both rounds
            end)
            dying:close()
          end
          for i = 1, 32 do
            assert.equal(200, conns[i]:read("GET").status)
          end
        end
        for i = 1, 32 do
          conns[i]:close()
        end
      end)
    end)

    it("is not for a POST, whose answer passes as it came", function()
      a:script("/x", BUSY)
      b:script("/x", BUSY)
      proxy.with(with_retries({ count = 3 }), nil, function(gateway)
        local res = gateway:request(wire.post(prefix .. "/x", "data"), "POST")
        assert.equal(503, res.status)
        assert.equal("it", res.headers["x-from"])
        assert.equal("busy", res.body)
        assert.equal(1, total())
      end)
    end)

    it("is not made unless it is configured", function()
      a:script("/x", BUSY)
      b:script("/x", BUSY)
      proxy.with({ a, b }, nil, function(gateway)
        assert.equal("busy", gateway:get(prefix .. "/x").body)
        assert.equal(1, total())
      end)
    end)

    it("that fails too passes what the server said", function()
      a:script("/x", BUSY)
      b:script("/x", BUSY)
      proxy.with(with_retries({ count = 5 }), nil, function(gateway)
        local res = gateway:get(prefix .. "/x")
        assert.equal(503, res.status)
        assert.equal("busy", res.body)
        assert.equal(2, total()) -- there is no third server
      end)
    end)
  end)

  describe("a hedge, " .. how .. ",", function()
    it("asks a second server when the first is slow, and cancels the loser", function()
      a:script("/x", OK) -- b never answers
      proxy.with({ a, b, balance = "round_robin", hedge = { after = 0.1 } }, nil, function(gateway)
        for _ = 1, 4 do
          assert.equal(200, gateway:get(prefix .. "/x").status)
        end
        assert.is_true(count(b) >= 2)
        b:wait_until_left()
      end)
    end)
  end)
end

describe("the budget", function()
  it("holds a dead upstream to 1.2 times the load", function()
    a:script("/x", BUSY)
    b:script("/x", BUSY)
    proxy.with(with_retries({ count = 3 }), { workers = 2 }, function(gateway)
      local n = 500
      assert.same({ [503] = n }, repeated(gateway, n, "/x"))
      assert.is_true(total() <= 1.2 * n + 10, total() .. " tries")
      assert.is_true(total() > n)
    end)
  end)
end)

describe("a body", function()
  it("up to 64 KiB is sent again, a longer one is not", function()
    a:script("/x", BUSY)
    b:script("/x", BUSY)
    proxy.with(with_retries({ count = 1 }), nil, function(gateway)
      local function put(bytes)
        local before = total()
        local body = ("x"):rep(bytes)
        local conn = gateway:connect()
        conn:send(wire.head_of("PUT", "/x", "Content-Length: " .. bytes) .. "\r\n")
        require("socket").sleep(0.05) -- the body is behind its head: it is streamed
        conn:send(body)
        assert.equal(503, conn:read("PUT").status)
        conn:close()
        return total() - before
      end
      assert.equal(2, put(65536))
      assert.equal(1, put(65537))
    end)
  end)
end)

describe("a mirror", function()
  it("that is frozen is not noticed, dropped and bounded", function()
    a:script("/x", OK)
    proxy.with({ a, mirror = { to = "shadow" } }, { upstreams = { shadow = { b } } },
      function(gateway)
        assert.same({ [200] = 300 }, repeated(gateway, 300, "/x"))
        assert.equal(300, count(a))
        assert.is_true(count(b) > 0 and count(b) <= 64, count(b) .. " copies")
      end)
  end)

  it("gets a share, with the body", function()
    a:script("/x", OK)
    b:script("/x", "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")
    proxy.with({ a, mirror = { to = "shadow", share = 0.5 } }, { upstreams = { shadow = { b } } },
      function(gateway)
        for _ = 1, 100 do
          assert.equal(200, gateway:request(wire.post("/x", "data"), "POST").status)
        end
        process.wait_until("copies arrive", function()
          return count(b) >= 20
        end)
        assert.is_true(count(b) < 80, count(b) .. " copies")
        for _, request in ipairs(b:seen().requests) do
          assert.equal("data", request.body)
        end
      end)
  end)
end)
