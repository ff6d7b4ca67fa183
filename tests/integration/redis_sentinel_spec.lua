--- Sentinels say where the master is, and what has become of it.
local process = require("support.process")
local redis = require("support.redis")
local servers = require("support.server")

local APP = [[
local moongate = require("moongate")
local app = moongate.app()
app:get("/set", { timeout = 5 }, function(ctx)
  local ok, err = moongate.redis():command("SET", "k", ctx.query.value):try_await()
  return ok and 200 or 503, ok or err.message
end)
app:get("/get", { timeout = 5 }, function()
  return moongate.redis():command("GET", "k"):try_await() or "none"
end)
return app
]]

describe("sentinels", function()
  local master, replica, sentinel, server

  setup(function()
    master = redis.start()
    replica = redis.start({ "--replicaof", "127.0.0.1 " .. master.port })
    process.wait_until("the replica follows", function()
      return replica:cli("INFO", "replication"):find("master_link_status:up", 1, true)
    end)
    sentinel = redis.start_sentinel(master)
    process.wait_until("the sentinel knows the replica", function()
      return sentinel:cli("SENTINEL", "REPLICAS", "main"):find(tostring(replica.port), 1, true)
    end)
    server = servers.start({
      -- The first one is not there.
      redis = ("redis+sentinel://127.0.0.1:%d,127.0.0.1:%d/main?backoff=0.1&timeout=0.5"):format(
        servers.free_port(), sentinel.port),
    }, { app = APP })
  end)
  teardown(function()
    server:stop()
    sentinel:stop()
    replica:stop()
    master:stop()
  end)

  it("name the master, and a failover is followed", function()
    assert.equal("OK", server:get("/set?value=1").body)
    assert.equal("1", master:cli("GET", "k"))
    process.wait_until("the replica has it", function()
      return replica:cli("GET", "k") == "1"
    end)
    master:kill()
    process.wait_until("the replica is the master, and is asked", function()
      return server:get("/set?value=2").status == 200
    end, 30)
    assert.equal("2", replica:cli("GET", "k"))
    assert.equal("2", server:get("/get").body)
    assert.matches("the master is 127.0.0.1:" .. replica.port .. " now", server:stderr(), 1, true)
  end)
end)
