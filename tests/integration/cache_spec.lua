--- The cache of four workers: what one stores the others see; it outlives reloads and workers that
--- are killed in the middle of using it.
local socket = require("socket")
local services = require("support.service")
local process = require("support.process")
local wire = require("support.wire")

local KILLS = 12

local LINES = [[
local crypto = moongate
local function value_of(key, n)
  local body = (key .. ":"):rep(n % 400 + 1)
  return { key = key, body = body, sum = crypto.hex_encode(crypto.sha256(body)) }
end

app:get("/set/:key", function(ctx)
  ctx:update_cache(ctx.params.key, ctx.query.value or "one"):await()
  return "stored"
end)
app:get("/get/:key", function(ctx)
  local value = ctx:query_cache(ctx.params.key):await() -- of a miss nothing at all
  return tostring(value)
end)
app:get("/count", function(ctx)
  return tostring(ctx:increment_cache("count"):await())
end)

-- Stores and reads, and tells of every value that is not what belongs to its key.
app:get("/hammer/:seed", function(ctx)
  local wrong, busy = 0, 0
  math.randomseed(ctx.params.seed)
  for i = 1, 2000 do
    local n = math.random(300)
    local key = "k" .. n
    if math.random(3) == 1 then
      local ok, err = ctx:update_cache(key, value_of(key, n), { ttl = 20 }):try_await()
      busy = busy + (ok and 0 or 1)
      assert(ok or err.code == "cache", tostring(err))
    else
      local value = ctx:query_cache(key):await()
      local sum = value and crypto.hex_encode(crypto.sha256(value.body))
      if value and (value.key ~= key or value.sum ~= sum) then
        wrong = wrong + 1
      end
    end
    if i % 100 == 0 then ctx:sleep(0.001):await() end
  end
  return { wrong = wrong, busy = busy }
end)

app:get("/made", function(ctx)
  return ctx:cached("made", 60, function()
    ctx:increment_cache("makings"):await()
    ctx:sleep(0.3):await()
    return "made by " .. moongate.info().worker
  end):await()
end)
app:get("/made/:key", function(ctx)
  return ctx:cached(ctx.params.key, 60, function()
    ctx:increment_cache("makings:" .. ctx.params.key):await()
    ctx:sleep(tonumber(ctx.query.s)):await()
    return "made"
  end):await()
end)
app:get("/stats", function() return moongate.cache():stats() end)
]]

describe("the cache of four workers", function()
  local service

  before_each(function()
    service = services.start({ workers = 4, cache = "memory:8M" }, "one", LINES)
  end)
  after_each(function()
    service:stop()
  end)

  local function ask_of(worker, target)
    local conn = service:connect_to(worker)
    local res = conn:request(wire.get(target))
    conn:close()
    assert.equal(200, res.status, res.status ~= 200 and res.body .. service:stderr() or nil)
    return res.body
  end

  it("is one cache, over reloads and deaths", function()
    ask_of(1, "/set/a?value=first")
    for worker = 1, 4 do
      assert.equal("first", ask_of(worker, "/get/a"))
    end
    service:must_reload()
    assert.equal("first", ask_of(2, "/get/a"))
    os.execute("kill -9 " .. service:pids()[1])
    process.wait_until("four workers serve", function()
      return #service:pids() == 4
    end)
    assert.equal("first", ask_of(1, "/get/a"))
  end)

  it("counts for all of them", function()
    local conns = {}
    for i = 1, 200 do
      conns[i] = service:connect()
      conns[i]:send(wire.get("/count"))
    end
    for _, conn in ipairs(conns) do
      assert.equal(200, conn:read("GET").status)
      conn:close()
    end
    assert.equal("201", ask_of(3, "/count"))
  end)

  it("has a value made once, by whichever worker", function()
    local conns = {}
    for i = 1, 40 do
      conns[i] = service:connect_to(i % 4 + 1)
    end
    for _, conn in ipairs(conns) do
      conn:send(wire.get("/made"))
    end
    local bodies = {}
    for _, conn in ipairs(conns) do
      bodies[conn:read("GET").body] = true
      conn:close()
    end
    assert.is_string(next(bodies))
    assert.is_nil(next(bodies, (next(bodies))))
    assert.equal("1", ask_of(1, "/get/makings"))
  end)

  it("has another worker make it when the one that does is killed, or its client leaves", function()
    local first, second = service:connect_to(1), service:connect_to(2)
    first:send(wire.get("/made/dead?s=30"))
    process.wait_until("it is being made", function()
      return ask_of(3, "/get/makings:dead") == "1"
    end)
    second:send(wire.get("/made/dead?s=0"))
    os.execute("kill -9 " .. service:pids()[1])
    assert.equal("made", second:read("GET").body)
    first:close()
    second:close()

    first, second = service:connect_to(2), service:connect_to(3)
    first:send(wire.get("/made/left?s=30"))
    process.wait_until("it is being made", function()
      return ask_of(3, "/get/makings:left") == "1"
    end)
    second:send(wire.get("/made/left?s=0"))
    first:reset()
    assert.equal("made", second:read("GET").body)
    second:close()
  end)

  it("never gives a wrong value, however many workers are killed in it", function()
    local json = require("dkjson")
    local conns, done, lost, kills, seed = {}, 0, 0, 0, 0
    local next_kill = socket.gettime() + 0.1
    while kills < KILLS or done < 20 do
      for i = 1, 8 do
        local ok, conn = pcall(service.connect, service)
        if ok then
          seed = seed + 1
          conn:send(wire.get("/hammer/" .. seed))
          conns[i] = conn
        end
      end
      while socket.gettime() > next_kill and kills < KILLS do
        local pid = service:pids()[kills % 4 + 1]
        if pid then
          os.execute("kill -9 " .. pid .. " 2>/dev/null")
          kills = kills + 1
        end
        next_kill = socket.gettime() + 0.05
      end
      for i, conn in pairs(conns) do
        local ok, res = pcall(conn.read, conn, "GET")
        conn:close()
        conns[i] = nil
        if ok then
          assert.equal(200, res.status, res.status ~= 200 and res.body .. service:stderr() or nil)
          assert.equal(0, json.decode(res.body).wrong)
          done = done + 1
        else
          lost = lost + 1
        end
      end
    end
    process.wait_until("four workers serve", function()
      return #service:pids() == 4
    end)
    ask_of(1, "/set/after?value=all")
    assert.equal("all", ask_of(4, "/get/after"))
    local stats = json.decode(ask_of(2, "/stats"))
    assert.is_true(stats.hits > 0 and stats.sets > 0 and stats.bytes <= stats.capacity)
    print(("cache: %d rounds of 2000, %d lost to %d kills; %d shards emptied"):format(done, lost,
      kills, stats.emptied))
  end)
end)
