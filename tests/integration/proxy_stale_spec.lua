--- The proxy: connections that the upstream has closed meanwhile never reach a user, and nothing
--- that must not be repeated is.
local proxy = require("support.proxy")
local upstreams = require("support.upstream")
local wire = require("support.wire")

-- In the suite a small run; `make endurance` runs it whole. One request in five is a POST.
local GETS = tonumber(os.getenv("ENDURANCE_GETS")) or 1600
local REQUESTS = GETS * 5 / 4
local OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
local END, RESET = { ["end"] = true }, { reset = true }

local upstream, gateway, raw

setup(function()
  upstream = upstreams.start()
  raw = upstream:listen({ kind = "raw" })
  gateway = proxy.start({ raw })
end)
teardown(function()
  gateway:stop()
  raw:close()
  upstream:stop()
end)
before_each(function()
  raw:begin_anew()
end)

local function request(method, target, body)
  if body then
    return wire.head_of(method, target, "Content-Length: " .. #body) .. "\r\n" .. body
  end
  return wire.head_of(method, target) .. "\r\n"
end

-- So many requests for that path as the upstream saw.
local function times_seen(path)
  local n = 0
  for _, seen in ipairs(raw:seen().requests) do
    n = n + (seen.head:match("^%S+ (%S+)") == path and 1 or 0)
  end
  return n
end

for how, prefix in pairs(proxy.PREFIXES) do
  describe("a connection that was used before, " .. how .. ",", function()
    local function warm()
      raw:script("/warm", OK)
      assert.equal(200, gateway:get(prefix .. "/warm").status)
    end

    for name, step in pairs({ ["a FIN"] = END, ["a reset"] = RESET }) do
      it("ends with " .. name .. " when a GET has come: it is sent again on a fresh one", function()
        raw:script("/x", { { step }, OK })
        warm()
        -- The first part is for a connection's first request; the reused one has had /warm.
        raw:script("/x", { OK, { step } })
        local res = gateway:get(prefix .. "/x")
        assert.equal(200, res.status)
        assert.equal("ok", res.body)
        assert.equal(2, times_seen("/x"))
        assert.equal(2, raw:seen().connections)
      end)
    end

    for _, method in ipairs({ "PUT", "DELETE", "HEAD", "OPTIONS" }) do
      it("ends under a " .. method .. ": it is sent again", function()
        warm()
        local answer = method == "HEAD" and "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n" or OK
        raw:script("/x", { answer, { END } })
        local res = gateway:request(request(method, prefix .. "/x"), method)
        assert.equal(200, res.status)
      end)
    end

    for _, method in ipairs({ "POST", "PATCH" }) do
      it("ends under a " .. method .. " that it has read: it is not sent again", function()
        warm()
        raw:script("/x", { OK, { END } })
        local res = gateway:request(request(method, prefix .. "/x", "pay"), method)
        assert.equal(502, res.status)
        assert.equal(1, times_seen("/x"))
      end)
    end

    it("is not asked again once a byte of the answer came", function()
      warm()
      raw:script("/x", { OK, { "H", END } })
      assert.equal(502, gateway:get(prefix .. "/x").status)
      assert.equal(1, times_seen("/x"))
    end)

    it("is not tried for ever", function()
      warm()
      raw:script("/x", { { END } })
      assert.equal(502, gateway:get(prefix .. "/x").status)
      assert.equal(2, times_seen("/x"))
    end)

    it("is not used any more once the upstream has ended it", function()
      raw:script("/bye", { { OK, END } })
      raw:script("/x", OK)
      for i = 1, 5 do
        assert.equal(200, gateway:get(prefix .. "/bye").status)
        raw:wait_until_left()
        local post = gateway:request(request("POST", prefix .. "/x", "pay"), "POST")
        assert.equal(200, post.status)
        raw:drop_connections()
        raw:wait_until_left()
        assert.equal(i, times_seen("/x"))
      end
    end)

    it("is not kept longer than the upstream says that it keeps it", function()
      raw:script("/x", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nKeep-Alive: timeout=1\r\n\r\nok")
      assert.equal(200, gateway:get(prefix .. "/x").status)
      raw:wait_until_left() -- the gateway's own end; the upstream does nothing
    end)

    it("is not used again if something came unasked", function()
      raw:script("/x", OK .. OK)
      assert.equal("ok", gateway:get(prefix .. "/x").body)
      raw:wait_until_left()
      raw:script("/y", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nmine")
      assert.equal("mine", gateway:get(prefix .. "/y").body)
    end)
  end)
end

-- Sends `n` requests over one connection after the other; counts what came back.
local function bombard(own, prefix, n)
  local conn, counts = own:connect(), {}
  for i = 1, n do
    local method = i % 5 == 0 and "POST" or "GET"
    local target = ("%s/item/%d"):format(prefix, i)
    local id = "X-Id: " .. prefix .. i
    local bytes = method == "POST" and wire.post(target, "pay", id) or wire.get(target, id)
    local res = conn:request(bytes, method)
    local key = method .. " " .. res.status
    counts[key] = (counts[key] or 0) + 1
    if res.status == 200 then
      local wanted = ("one %s%d %s %d "):format(prefix, i, method,
        method == "POST" and 3 or 0)
      assert(res.body:sub(1, #wanted) == wanted, res.body:sub(1, 80))
    end
    if res.headers.connection == "close" then
      conn:close()
      conn = own:connect()
    end
  end
  conn:close()
  return counts
end

describe("an upstream that closes at random", function()
  for how, prefix in pairs(proxy.PREFIXES) do
    it("costs no GET and repeats no POST, " .. how, function()
      local fickle = upstream:listen({ kind = "fickle", name = "one", seed = REQUESTS,
        most_bytes = 300, within_ms = 2,
        faults = { idle_close = 0.2, idle_reset = 0.1, stale = 0.1, drip = 0.02 } })
      proxy.with({ fickle }, { limits = { requests_per_connection = 1000000 } }, function(own)
        local counts = bombard(own, prefix, REQUESTS)
        assert.is_nil(counts["GET 502"])
        assert.equal(GETS, counts["GET 200"])
        for _, seen in ipairs(fickle:counts().repeated) do
          assert.is_nil(seen.key:match("^POST"), seen.key .. " was seen " .. seen.times .. " times")
        end
        assert.is_true((counts["POST 200"] or 0) > REQUESTS / 10)
      end)
      fickle:close()
    end)
  end
end)
