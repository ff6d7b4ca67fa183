--- The proxy: times are between bytes; what was waited for is told to the log, never to the client.
--- And a client that leaves takes its call with it.
local black_hole = require("support.black_hole")
local http = require("support.http")
local proxy = require("support.proxy")
local upstreams = require("support.upstream")
local wire = require("support.wire")

local upstream, raw

setup(function()
  upstream = upstreams.start()
end)
teardown(function()
  upstream:stop()
end)
before_each(function()
  raw = upstream:listen({ kind = "raw" })
end)
after_each(function()
  raw:close()
end)

-- The client is told nothing but the status; the log names what was waited for, and where.
local function assert_504(gateway, target, what, server)
  local res = gateway:get(target)
  assert.equal(504, res.status)
  assert.equal(504, http.problem(res).status)
  for _, word in ipairs({ "127.0.0.1", "connect", "first byte", tostring(server) }) do
    assert.is_nil(res.body:find(word, 1, true), res.body)
  end
  local log = gateway:wait_for_log(what)
  assert.truthy(log:find(tostring(server), 1, true), log)
end

for how, prefix in pairs(proxy.PREFIXES) do
  describe("a time, " .. how .. ",", function()
    it("to connect is 504", function()
      local hole = black_hole.open("127.0.0.1")
      local url = "http://127.0.0.1:" .. hole.port
      proxy.with({ url, timeouts = { connect = 0.2 } }, nil, function(gateway)
        assert_504(gateway, prefix .. "/x", "connect", hole.port)
      end)
      hole:close()
    end)

    it("to the first byte is 504", function()
      proxy.with({ raw, timeouts = { first_byte = 0.2 } }, nil, function(gateway)
        assert_504(gateway, prefix .. "/never", "no response within", raw.port)
        raw:wait_until_left()
      end)
    end)

    it("to the first byte does not run while an upload does", function()
      raw:script("/x", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
      proxy.with({ raw, timeouts = { first_byte = 0.3 } }, nil, function(gateway)
        local conn = gateway:connect()
        conn:send(wire.head_of("POST", prefix .. "/x", "Content-Length: 12") .. "\r\n")
        for _ = 1, 12 do
          require("socket").sleep(0.05) -- twice as long in all
          conn:send("u")
        end
        assert.equal(200, conn:read("POST").status)
        conn:close()
      end)
    end)

    it("between two pieces cuts the answer, not a total one", function()
      raw:script("/slow", { { "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n", { wait_ms = 150 },
        "abcd", { wait_ms = 150 }, "efgh", { wait_ms = 150 }, "ijkl" } })
      raw:script("/stuck", { { "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nabcd" } })
      proxy.with({ raw, timeouts = { idle = 0.3, first_byte = 5 } }, nil, function(gateway)
        assert.equal("abcdefghijkl", gateway:get(prefix .. "/slow").body)
        local conn = gateway:connect()
        conn:send(wire.get(prefix .. "/stuck"))
        assert.is_false((pcall(conn.read, conn, "GET")))
        conn:close()
        raw:wait_until_left()
      end)
    end)

    it("for all of it holds to the last byte, whatever comes meanwhile", function()
      raw:script("/drip", { { "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n",
        { send = ("x"):rep(9) }, { wait_ms = 150 }, "x", { wait_ms = 150 }, "x",
        { wait_ms = 150 }, "x", { wait_ms = 150 }, "x" } })
      proxy.with({ raw, timeouts = { total = 0.4 } }, nil, function(gateway)
        assert_504(gateway, prefix .. "/silent", "the answer was not complete within 0.4 s",
          raw.port)
        local conn = gateway:connect()
        conn:send(wire.get(prefix .. "/drip"))
        assert.is_false((pcall(conn.read, conn, "GET")))
        conn:close()
        raw:wait_until_left()
      end)
    end)

    it("of refusal is none: a closed port is 502 at once", function()
      local closed = upstream:listen({ kind = "raw" })
      closed:close()
      proxy.with({ closed }, nil, function(gateway)
        local res = gateway:get(prefix .. "/x")
        assert.equal(502, res.status)
        assert.is_nil(res.body:find("127.0.0.1", 1, true))
        gateway:wait_for_log(tostring(closed.port))
      end)
    end)
  end)
end

describe("a client that leaves", function()
  local gateway, server

  setup(function()
    server = upstream:listen({ kind = "raw" })
    gateway = proxy.start({ server }, { timeouts = { half_close = 0.05 } })
  end)
  teardown(function()
    gateway:stop()
    server:close()
  end)
  before_each(function()
    server:forget()
  end)
  after_each(function()
    assert.is_nil(gateway:stderr():find(" error ", 1, true)) -- to leave is none
  end)

  local function begin(bytes)
    local conn = gateway:connect()
    conn:send(bytes)
    server:wait_until("the request arrives", function(seen)
      return #seen.requests == 1
    end)
    return conn
  end

  for how, prefix in pairs(proxy.PREFIXES) do
    it("before the answer takes its call with it, " .. how, function()
      begin(wire.get(prefix .. "/never")):reset()
      server:wait_until_left()
    end)

    it("with a FIN takes its call with it, " .. how, function()
      begin(wire.get(prefix .. "/never")):close()
      server:wait_until_left()
    end)

    it("within the answer takes its call with it, " .. how, function()
      server:script("/x", { { "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nsome" } })
      local conn = begin(wire.get(prefix .. "/x"))
      assert.equal("HTTP/1.1 200 OK", conn:take_line())
      conn:reset()
      server:wait_until_left()
    end)

    it("within its upload takes its call with it, " .. how, function()
      server:script("/upload", { { { wait_ms = 1000000 } } }, { answer_at = "head" })
      begin(wire.head_of("POST", prefix .. "/upload", "Content-Length: 100") .. "\r\nsome"):reset()
      server:wait_until_left()
    end)

    it("leaves the connections of others alone, " .. how, function()
      server:script("/good", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood")
      assert.equal("good", gateway:get(prefix .. "/good").body)
      for _ = 1, 5 do
        local conn = gateway:connect()
        conn:send(wire.get(prefix .. "/never"))
        conn:reset()
      end
      for _ = 1, 5 do
        assert.equal("good", gateway:get(prefix .. "/good").body)
      end
    end)
  end
end)
