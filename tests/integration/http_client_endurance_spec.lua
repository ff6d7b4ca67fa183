--- The HTTP client: many calls, through reloads, and what they leave behind.
local callers = require("support.caller")
local process = require("support.process")
local upstreams = require("support.upstream")

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
