--- What all workers know of an upstream's servers: verdicts of health checks, ejections, circuits.
--- One that finds something out is believed by all at once, through reloads and deaths.
local process = require("support.process")
local proxy = require("support.proxy")
local socket = require("socket")
local upstreams = require("support.upstream")

local OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
local BUSY = "HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy"
local BROKEN = "HTTP/1.1 500 No\r\nContent-Length: 4\r\n\r\noops"

local upstream, a, b

setup(function()
  upstream = upstreams.start()
end)
teardown(function()
  upstream:stop()
end)
before_each(function()
  a, b = upstream:listen({ kind = "raw" }), upstream:listen({ kind = "raw" })
  for _, listener in ipairs({ a, b }) do
    listener:script("/health", OK)
    listener:script("/x", OK)
  end
end)
after_each(function()
  a:close()
  b:close()
end)

-- How many requests for `target` a listener has seen.
local function seen(listener, target)
  local n = 0
  for _, request in ipairs(listener:seen().requests) do
    if request.head:match("^%S+ (%S+)") == target then
      n = n + 1
    end
  end
  return n
end

-- `n` requests, each on a connection of its own: all workers get some.
local function ask(gateway, n, target)
  local statuses = {}
  for _ = 1, n do
    local status = gateway:get(target or "/x").status
    statuses[status] = (statuses[status] or 0) + 1
  end
  return statuses
end

-- Of each worker a request.
local function ask_all(gateway, workers, target)
  for worker = 1, workers do
    local conn = gateway:connect_to(worker)
    conn:request(("GET %s HTTP/1.1\r\nHost: h\r\n\r\n"):format(target or "/x"))
    conn:close()
  end
end

local function kill_worker(gateway, worker)
  local pid = gateway:pids()[worker]
  assert(os.execute("kill -KILL " .. pid) == 0)
  process.wait_until("worker " .. worker .. " is replaced", function()
    local now = gateway:pids()[worker]
    return now and now ~= pid
  end)
end

local function checked(options)
  local health = { path = "/health", interval = 0.2, timeout = 2, up = 1, down = 1 }
  for k, v in pairs(options or {}) do
    health[k] = v
  end
  return { a, b, health = health, balance = "round_robin" }
end

describe("a health check", function()
  it("takes a server out in all workers at once, and brings it back", function()
    proxy.with(checked(), { workers = 4 }, function(gateway)
      ask_all(gateway, 4)
      a:script("/health", BUSY)
      gateway:wait_for_log("is down: 1 checks failed in a row, at last: the status was 503")
      local before = seen(a, "/x")
      ask_all(gateway, 4)
      ask_all(gateway, 4)
      assert.equal(before, seen(a, "/x"))
      a:script("/health", OK)
      gateway:wait_for_log("is up")
      process.wait_until("it is used again", function()
        ask(gateway, 4)
        return seen(a, "/x") > before
      end)
    end)
  end)

  it("is one an interval, however many workers there are", function()
    proxy.with(checked({ interval = 0.3 }), { workers = 8 }, function()
      local began = socket.gettime()
      a:forget()
      process.wait_until("there were some", function()
        return seen(a, "/health") >= 5
      end)
      local n = seen(a, "/health")
      local most = (socket.gettime() - began) / 0.3 + 2
      assert.is_true(n <= most, n .. " checks, at most " .. most .. " are due")
    end)
  end)

  it("goes on when the worker that made it is killed", function()
    proxy.with(checked(), { workers = 2 }, function(gateway)
      process.wait_until("the first one is made", function()
        return seen(a, "/health") > 0
      end)
      for worker = 1, 2 do
        kill_worker(gateway, worker)
        local before = seen(a, "/health")
        process.wait_until("the next one is made", function()
          return seen(a, "/health") > before
        end)
      end
    end)
  end)

  it("needs no path: a connection that opens is enough", function()
    proxy.with({ a, b, health = { interval = 0.2, timeout = 1, up = 1, down = 2 } }, {},
      function(gateway)
        a:close()
        gateway:wait_for_log("is down: 2 connections failed in a row, at last: no connection")
        assert.same({ [200] = 10 }, ask(gateway, 10))
        a = upstream:listen({ kind = "raw" })
      end)
  end)
end)

describe("what is known of a server", function()
  local function eject_a(gateway)
    a:script("/x", BROKEN)
    process.wait_until("it is left out", function()
      ask(gateway, 2)
      return gateway:stderr():find("is left out for 60.0 s: it failed 3 times in a row", 1, true)
    end)
  end

  local function outlier()
    return { a, b, balance = "round_robin", outlier = { failures = 3, eject = 60, most = 0.5 } }
  end

  it("is known to all workers, to new ones, and after a reload", function()
    proxy.with(outlier(), { workers = 3 }, function(gateway)
      eject_a(gateway)
      local before = seen(a, "/x")
      ask_all(gateway, 3)
      kill_worker(gateway, 2)
      ask_all(gateway, 3)
      gateway:must_reload()
      ask_all(gateway, 3)
      assert.equal(before, seen(a, "/x"))
      assert.same({ [200] = 10 }, ask(gateway, 10))
    end)
  end)

  it("never takes the last one out", function()
    proxy.with({ a, outlier = { failures = 1, eject = 60, most = 1 } }, {}, function(gateway)
      a:script("/x", BROKEN)
      assert.same({ [500] = 10 }, ask(gateway, 10))
      assert.equal(10, seen(a, "/x"))
    end)
    proxy.with({ a, b, balance = "round_robin", outlier = { failures = 1, eject = 60, most = 1 } },
      { workers = 2 }, function(gateway)
        b:script("/x", BROKEN)
        ask(gateway, 20)
        local before = seen(a, "/x") + seen(b, "/x")
        ask(gateway, 10)
        assert.equal(before + 10, seen(a, "/x") + seen(b, "/x"))
      end)
  end)

  it("takes nobody out unless that is configured", function()
    proxy.with({ a, b, balance = "round_robin" }, {}, function(gateway)
      a:script("/x", BROKEN)
      assert.same({ [200] = 10, [500] = 10 }, ask(gateway, 20))
    end)
  end)
end)

describe("below half of them usable", function()
  it("all servers are used", function()
    local c = upstream:listen({ kind = "raw" })
    c:script("/health", OK)
    c:script("/x", OK)
    local up = checked()
    up[3] = c
    proxy.with(up, { workers = 2 }, function(gateway)
      a:script("/health", BUSY)
      process.wait_until("one is out", function()
        local before = seen(a, "/x")
        ask(gateway, 12)
        return seen(a, "/x") == before
      end)
      b:script("/health", BUSY)
      process.wait_until("all are used", function()
        local before_a, before_b, before_c = seen(a, "/x"), seen(b, "/x"), seen(c, "/x")
        ask(gateway, 12)
        return seen(a, "/x") > before_a and seen(b, "/x") > before_b and seen(c, "/x") > before_c
      end)
    end)
    c:close()
  end)
end)

describe("a circuit", function()
  it("that is open is a 503 at once, of every worker, and says when to come again", function()
    local up = { a, circuit = { failures = 0.5, volume = 4, open = 60 } }
    proxy.with(up, { workers = 2 }, function(gateway)
      a:script("/x", BROKEN)
      assert.same({ [500] = 4 }, ask(gateway, 4))
      gateway:wait_for_log("the circuit is open for 60.0 s")
      local before = seen(a, "/x")
      ask_all(gateway, 2)
      local res = gateway:get("/x")
      assert.equal(503, res.status)
      local seconds = tonumber(res.headers["retry-after"])
      assert.is_true(seconds >= 1 and seconds <= 60, tostring(seconds))
      assert.equal(before, seen(a, "/x"))
      ask(gateway, 30)
      local _, lines = gateway:stderr():gsub("the circuit is open: too many requests failed", "")
      assert.is_true(lines >= 1 and lines <= 20, lines) -- ten of each worker
    end)
  end)

  it("closes again when its probe is well", function()
    local up = { a, circuit = { failures = 0.5, volume = 4, open = 0.2 } }
    proxy.with(up, {}, function(gateway)
      a:script("/x", BROKEN)
      ask(gateway, 4)
      a:script("/x", OK)
      process.wait_until("it is closed", function()
        return gateway:get("/x").status == 200
      end)
      gateway:wait_for_log("the circuit is closed again")
      assert.same({ [200] = 10 }, ask(gateway, 10))
    end)
  end)

  it("bounds what is in flight over all workers; more wait, and then there is a 503", function()
    local up = { a, circuit = { in_flight = 2, waiting = 1 }, timeouts = { connect = 30 } }
    proxy.with(up, { workers = 2 }, function(gateway)
      local function ask_silent(worker)
        local conn = gateway:connect_to(worker)
        conn:send("GET /silent HTTP/1.1\r\nHost: h\r\n\r\n")
        return conn
      end
      local first, second = ask_silent(1), ask_silent(2)
      process.wait_until("both are under way", function()
        return seen(a, "/silent") == 2
      end)
      local third = gateway:connect_to(1)
      third:send("GET /x HTTP/1.1\r\nHost: h\r\n\r\n")
      local fourth = gateway:connect_to(1) -- that worker has seen the third by now
      local refused = fourth:request("GET /x HTTP/1.1\r\nHost: h\r\n\r\n")
      fourth:close()
      assert.equal(503, refused.status)
      assert.equal("1", refused.headers["retry-after"])
      assert.equal(0, seen(a, "/x"))
      second:close() -- of the other worker
      assert.equal(200, third:read("GET").status)
      first:close()
      third:close()
    end)
  end)
end)
