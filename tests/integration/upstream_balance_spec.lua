--- Whom a request goes to: balance, weights, hash keys, backups, splits.
local proxy = require("support.proxy")
local servers = require("support.server")
local services = require("support.service")
local wire = require("support.wire")

-- Each server says who it is, as the gateway named it.
local BEHIND = [[
app:get("/slow", function(ctx) ctx:sleep(30):await() return "late" end)
app:any("/*path", function(ctx) return ctx.host end)
]]
local ROUTES = [[
app:any("/to/:name/*path", function(ctx)
  ctx:proxy(ctx.params.name, { path = "/" .. ctx.params.path })
end)
]]

local ports, behind, gateway = {}, nil, nil

local function url_of(i)
  return "http://127.0.0.1:" .. ports[i]
end

-- An upstream of the first `n` servers.
local function of(n, options)
  local up = { host = "upstream" }
  for i = 1, n do
    up[i] = url_of(i)
  end
  for key, value in pairs(options or {}) do
    up[key] = value
  end
  return up
end

local function all_upstreams()
  local dead = "http://127.0.0.1:" .. ports[4]
  return {
    rr = of(3, { balance = "round_robin" }),
    weighted = of(0, { { url = url_of(1), weight = 3 }, { url = url_of(2) },
      balance = "round_robin" }),
    weighted_least = of(0, { { url = url_of(1), weight = 3 }, { url = url_of(2) },
      balance = "least_requests" }),
    random = of(3, { balance = "random" }),
    p2c = of(3, { balance = "p2c" }),
    least = of(2, { balance = "least_requests" }),
    header = of(3, { hash = "header:X-Key" }),
    query = of(3, { hash = "query:k" }),
    cookie = of(3, { hash = "cookie:cart" }),
    path = of(3, { hash = "path" }),
    ip = of(3, { hash = "ip" }),
    spare = of(0, { dead, { url = url_of(1), backup = true }, retries = { count = 1 } }),
    calm = of(0, { url_of(2), { url = url_of(1), backup = true } }),
    one = of(1), two = of(0, { url_of(2) }),
    half = { split = { { "one", 50 }, { "two", 50 } } },
    sure = { split = { { "one", 0 }, { "two", 1 } }, sticky = "cookie:sure" },
    sticky = { split = { { "one", 50 }, { "two", 50 } }, sticky = "cookie:release" },
    single = of(1, { connections = 1, timeouts = { connect = 0.2 } }),
  }
end

setup(function()
  local listen = {}
  for i = 1, 4 do
    ports[i] = servers.free_port()
    listen[i] = i < 4 and "127.0.0.1:" .. ports[i] or nil
  end
  behind = services.start({ workers = 0, listen = listen }, "one", BEHIND, { wait_for = ports[3] })
  local ups = all_upstreams()
  gateway = proxy.start(ups.one, { upstreams = ups, trusted_proxies = { "127.0.0.1" } }, ROUTES)
end)
teardown(function()
  gateway:stop()
  behind:stop()
end)

-- The number of the server that has answered.
local function server_of(res)
  assert.equal(200, res.status, res.body)
  for i = 1, 3 do
    if res.body == "127.0.0.1:" .. ports[i] then
      return i
    end
  end
  error("nobody's answer: " .. res.body)
end

-- Counts whom `n` requests go to; `request(i)` is what the i-th asks, below the upstream's name.
local function spread(name, n, request)
  local conn = gateway:connect()
  local counts = { 0, 0, 0 }
  for i = 1, n do
    local target, field = "x", nil
    if request then
      target, field = request(i)
    end
    local i_of = server_of(conn:request(wire.get(("/to/%s/%s"):format(name, target), field)))
    counts[i_of] = counts[i_of] + 1
  end
  conn:close()
  return counts
end

local function used(counts)
  local n = 0
  for _, count in ipairs(counts) do
    n = n + (count > 0 and 1 or 0)
  end
  return n
end

describe("balance", function()
  it("round_robin asks each in turn", function()
    assert.same({ 10, 10, 10 }, spread("rr", 30))
  end)

  it("heeds weights", function()
    assert.same({ 15, 5, 0 }, spread("weighted", 20))
    local drawn = spread("weighted_least", 100) -- nothing else is under way: 75, give or take 4.3
    assert.is_true(drawn[1] > 48 and drawn[1] < 97, drawn[1])
  end)

  it("random and p2c ask all", function()
    assert.equal(3, used(spread("random", 60)))
    assert.equal(3, used(spread("p2c", 60)))
  end)

  it("least_requests leaves the one alone that is busy", function()
    local slow = gateway:connect()
    slow:send(wire.get("/to/least/slow"))
    local counts
    repeat -- until that request has arrived
      counts = spread("least", 6)
    until used(counts) == 1
    assert.equal(1, used(spread("least", 10)))
    slow:close()
  end)

  it("with one connection to a server lets others wait for it, up to timeouts.connect", function()
    local slow, conn = gateway:connect(), gateway:connect()
    slow:send(wire.get("/to/single/slow"))
    local res
    repeat
      res = conn:request(wire.get("/to/single/x"))
    until res.status ~= 200
    assert.equal(504, res.status)
    slow:close()
    repeat
      res = conn:request(wire.get("/to/single/x"))
    until res.status == 200
    conn:close()
  end)
end)

describe("hash", function()
  for name, request in pairs({
    header = function(key) return "x", "X-Key: " .. key end,
    query = function(key) return "x?a=1&k=" .. key end,
    cookie = function(key) return "x", "Cookie: a=1; cart=" .. key .. "; b=2" end,
    path = function(key) return key end,
    ip = function(key) return "x", "X-Forwarded-For: 192.0.2." .. key end,
  }) do
    it("by " .. name .. " keeps a key with its server, and spreads the keys", function()
      local all = { 0, 0, 0 }
      for key = 1, 24 do
        local counts = spread(name, 3, function() return request(key) end)
        assert.equal(1, used(counts))
        for i, count in ipairs(counts) do
          all[i] = all[i] + count
        end
      end
      assert.equal(3, used(all))
    end)
  end

  it("without a key asks anybody", function()
    for _, name in ipairs({ "header", "query", "cookie" }) do
      assert.is_true(used(spread(name, 6)) >= 1)
    end
  end)
end)

describe("a backup", function()
  it("is asked when no other can be", function()
    assert.same({ 4, 0, 0 }, spread("spare", 4))
  end)

  it("is left alone otherwise", function()
    assert.same({ 0, 10, 0 }, spread("calm", 10))
  end)
end)

describe("a split", function()
  local function cookie_of(res)
    return res.headers["set-cookie"]
  end

  it("draws by weight", function()
    assert.equal(2, used(spread("half", 64)))
    assert.same({ 0, 20, 0 }, spread("sure", 20))
  end)

  it("that is sticky keeps a client where its cookie says", function()
    local conn = gateway:connect()
    local first = conn:request(wire.get("/to/sticky/x"))
    local cookie = cookie_of(first)
    assert.matches("^release=%a+; ", cookie)
    assert.matches("Path=/", cookie)
    assert.matches("HttpOnly", cookie)
    local field = "Cookie: " .. cookie:match("^[^;]+")
    for _ = 1, 20 do
      local res = conn:request(wire.get("/to/sticky/x", field))
      assert.equal(server_of(first), server_of(res))
      assert.is_nil(cookie_of(res))
    end
    conn:close()
  end)

  it("does not heed a cookie that names nobody, or who gets nothing", function()
    local conn = gateway:connect()
    for _, value in ipairs({ "one", "three", "", "two%00", "sure" }) do
      local res = conn:request(wire.get("/to/sure/x", "Cookie: sure=" .. value))
      assert.equal(2, server_of(res))
      assert.matches("^sure=two; ", cookie_of(res))
    end
    conn:close()
  end)

  it("draws anew for a client without it, each time", function()
    local conn = gateway:connect()
    local seen = {}
    for _ = 1, 64 do
      seen[cookie_of(conn:request(wire.get("/to/sticky/x"))):match("=(%a+)")] = true
    end
    assert.same({ one = true, two = true }, seen)
    conn:close()
  end)
end)
