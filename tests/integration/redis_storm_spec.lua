--- A Redis that is killed or frozen under load, and comes back. `make endurance` runs it longer and
--- judges how late the loop was.
local lag = require("support.lag")
local process = require("support.process")
local redis = require("support.redis")
local services = require("support.service")
local wire = require("support.wire")

local WHOLE = os.getenv("REDIS_ROUNDS") ~= nil
local ROUNDS = tonumber(os.getenv("REDIS_ROUNDS")) or 30 -- of one call on each connection
local READERS, MAKERS = 16, 8

-- A call that Redis does not answer fails after 0.3 s, long before the handler's own deadline.
local LINES = [[
app:get("/read", { timeout = 2 }, function(ctx)
  local value, err = ctx:query_cache("k"):try_await()
  return err and 503 or 200, err and err.code or value
end)
app:get("/cached/:n", { timeout = 2 }, function(ctx)
  return ctx:cached("made:" .. ctx.params.n, 60, function() return "made" end):await()
end)
app:post("/store", function(ctx)
  ctx:update_cache("k", "kept"):await()
  return 204, ""
end)
]]

describe("Redis under a storm", function()
  local database, service, quiet, readers, makers

  setup(function()
    database = redis.start()
    service = services.start({ cache = database:url("?timeout=0.3&backoff=0.1"), workers = 1,
      timeouts = lag.TIMEOUTS }, "one", LINES .. lag.LINES)
    quiet = WHOLE and lag.quiet(service)
    readers, makers = {}, {}
    for n = 1, READERS do
      readers[n] = service:connect()
    end
    for n = 1, MAKERS do
      makers[n] = service:connect()
    end
  end)
  teardown(function()
    for _, conn in ipairs(readers) do
      conn:close()
    end
    for _, conn in ipairs(makers) do
      conn:close()
    end
    service:stop()
    database:stop()
  end)

  -- A call on each connection at once. Returns how many reads failed; makers never do.
  local function round(n)
    for _, conn in ipairs(readers) do
      conn:send(wire.get("/read"))
    end
    for i, conn in ipairs(makers) do
      conn:send(wire.get("/cached/" .. n * MAKERS + i))
    end
    assert.equal("one", service:body("/"))
    local failed = 0
    for _, conn in ipairs(readers) do
      local res = conn:read()
      assert.equal(res.status == 200 and "kept" or "cache", res.body)
      failed = failed + (res.status == 200 and 0 or 1)
    end
    for _, conn in ipairs(makers) do
      assert.equal("made", conn:read().body)
    end
    return failed
  end

  local faults = {
    ["that is killed"] = {
      begin = function() database:kill() end,
      finish = function() database:start() end,
    },
    ["that is frozen"] = {
      begin = function() database:signal("STOP") end,
      finish = function() database:signal("CONT") end,
    },
  }

  for name, fault in pairs(faults) do
    it(name .. " fails its calls in time, and nothing else", function()
      local function store()
        return service:request(wire.post("/store", "")).status == 204
      end
      process.wait_until("it is there", store)
      lag.forget(service)
      local failed = 0
      for n = 1, ROUNDS do
        if n == 5 then
          fault.begin()
        end
        failed = failed + round(n)
      end
      if WHOLE then
        lag.judge(service, quiet, "Redis " .. name)
      end
      assert.is_true(failed > 0)
      fault.finish()
      process.wait_until("it is found again", store)
      process.wait_until("nothing fails any more", function()
        return round(ROUNDS + 1) == 0
      end)
    end)
  end
end)
