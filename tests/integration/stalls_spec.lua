--- Scripts that do not give the loop back.
local services = require("support.service")
local process = require("support.process")
local wire = require("support.wire")
local websocket = require("support.websocket")

local service

local TIMEOUTS = { stall_warn = 0.1, stall_abort = 0.5, stall_kill = 2 }

local LINES = [[
app:get("/loop", function() while true do end end)
app:get("/caught", function() while true do pcall(function() while true do end end) end end)
app:get("/hot", function() local x = 0 for i = 1, 1e13 do x = x + i % 7 end return { x = x } end)
app:get("/wrapped", function()
  while true do coroutine.wrap(function() while true do end end)() end
end)
app:get("/later", function(ctx) ctx:sleep(0.05):await() while true do end end)
app:get("/pattern", function()
  return tostring((("a"):rep(30)):find(("a?"):rep(30) .. ("a"):rep(30) .. "b"))
end)
]]

-- Where it is not time that ends a script, however slow the machine is.
local UNHURRIED = { stall_warn = 10, stall_abort = 30, stall_kill = 60, handler = 60 }

local function start(options, lines)
  options = options or {}
  options.timeouts = options.timeouts or TIMEOUTS
  service = services.start(options, "one", lines or LINES)
  return service
end

after_each(function()
  if service then
    service:stop()
    service = nil
  end
end)

describe("a handler that never ends", function()
  for target, line in pairs({ loop = 12, caught = 13, hot = 14, wrapped = 16, later = 18 }) do
    it("is ended with 503, as /" .. target .. "; its worker lives on", function()
      start()
      local before = service:pids()
      local res = service:request(wire.get("/" .. target))
      assert.equal(503, res.status)
      local log = service:wait_for_log("stall, made to fail")
      assert.truthy(log:find("waits for /" .. target, 1, true), log)
      assert.truthy(log:find("at lua/app.lua:" .. line, 1, true), log)
      assert.same(before, service:pids())
      for worker = 1, 2 do
        service:connect_to(worker):close()
      end
    end)
  end

  it("is ended alone, however many come at once: together they do not stop the loop", function()
    start({ workers = 1, timeouts = { stall_warn = 0.05, stall_abort = 0.1, stall_kill = 1 } })
    local before = service:pids()
    local conns = {}
    for i = 1, 15 do
      conns[i] = service:connect()
    end
    for _, conn in ipairs(conns) do
      conn:send(wire.get("/loop"))
    end
    for _, conn in ipairs(conns) do
      assert.equal(503, conn:read().status)
      conn:close()
    end
    assert.same(before, service:pids())
  end)

  it("is ended in scripts that were replaced as well", function()
    start({ workers = 1 }, [[
      app:get("/old", function(ctx) ctx:sleep(1):await() while true do end end)]])
    local conn = service:connect()
    conn:send(wire.get("/old"))
    process.wait_until("the request is under way", function()
      return service:status().workers[1].requests > 0
    end)
    service:write_app("two", LINES)
    service:must_reload()
    assert.equal(503, conn:read().status)
    assert.equal("two", conn:request(wire.get("/")).body)
    conn:close()
  end)

  it("is ended if it is a job", function()
    start({ workers = 1 }, [[
      local runs = 0
      app:every("spin", 0.05, function()
        runs = runs + 1
        while runs == 1 do end
      end)
      app:get("/runs", function() return tostring(runs) end)]])
    service:wait_for_log("job spin failed")
    process.wait_until("it runs again", function()
      return tonumber(service:body("/runs")) > 2
    end)
  end)

  it("gives its key of the cache back if it was making a value, however it is ended", function()
    start({ workers = 1, limits = { lua_memory = "64M" } }, [[
      local once = { loop = true, memory = true }
      local deaths = {
        loop = function() while true do pcall(function() while true do end end) end end,
        memory = function() local t = {} for i = 1, 1e9 do t[i] = { i, tostring(i) } end end,
      }
      app:get("/cached/:how", function(ctx)
        return ctx:cached(ctx.params.how, 60, function()
          if once[ctx.params.how] then
            once[ctx.params.how] = nil
            ctx:sleep(0.2):await()
            deaths[ctx.params.how]()
          end
          return "made"
        end):await()
      end)]])
    for _, how in ipairs({ "loop", "memory" }) do
      local conns = {}
      for i = 1, 3 do
        conns[i] = service:connect()
        conns[i]:send(wire.get("/cached/" .. how))
      end
      for i = 1, 3 do
        assert.equal(503, conns[i]:read().status)
        conns[i]:close()
      end
      local res = service:request(wire.get("/cached/" .. how))
      assert.equal(200, res.status)
      assert.equal("made", res.body)
    end
  end)

  it("is not ended in one process alone either: it fails there too", function()
    start({ workers = 0 })
    assert.equal(503, service:request(wire.get("/loop")).status)
    assert.equal("one", service:body("/"))
  end)
end)

describe("a function of C that never ends", function()
  it("is named, its worker is killed and replaced; others do not notice", function()
    start()
    local before = service:pids()
    local other, stuck = service:connect_to(1), service:connect_to(2)
    stuck:send(wire.get("/pattern"))
    local log = service:wait_for_log("in a function of C")
    assert.truthy(log:find("waits for /pattern", 1, true), log)
    assert.truthy(log:find("at lua/app.lua:20", 1, true), log)
    process.wait_until("the worker is known to be stuck", function()
      return service:status().workers[2].state ~= "serving"
    end)
    for _ = 1, 50 do -- none of them waits in the queue of the stuck one
      assert.equal("one", service:body("/"))
    end
    service:wait_for_log("worker 2 .* is stuck for")
    process.wait_until("worker 2 is replaced", function()
      local pids = service:pids()
      return pids[2] and pids[2] ~= before[2]
    end)
    assert.equal(before[1], service:pids()[1])
    assert.equal("one", other:request(wire.get("/")).body)
    other:close()
    stuck:close()
  end)

  it("does not hold up the end of the server: its worker is killed then too", function()
    start({ workers = 1, timeouts = { stall_warn = 0.1, stall_abort = 0.3, stall_kill = 1 } })
    local stuck = service:connect()
    stuck:send(wire.get("/pattern"))
    service:wait_for_log("in a function of C")
    service.process:signal("TERM")
    service:wait_for_log("is stuck for [%d.]+ s: killed")
    assert.equal(0, service.process:wait())
    stuck:close()
  end)
end)

describe("a service that was stopped for a while", function()
  it("ends and kills nobody for it", function()
    start()
    local conn = service:connect_to(1)
    conn:send(wire.get("/sleep/100"))
    local before = service:pids()
    local all = table.concat(before, " ") .. " " .. service.pid
    os.execute("kill -STOP " .. all .. "; sleep 3; kill -CONT " .. all)
    assert.equal("slept\n", conn:read().body)
    assert.same(before, service:pids())
    assert.falsy(service:stderr():find("stall", 1, true))
    conn:close()
  end)
end)

describe("scripts that use too much memory", function()
  it("fail with 503; the worker lives on", function()
    start({ limits = { lua_memory = "32M" }, timeouts = UNHURRIED }, [[
      app:get("/eat", function()
        local t = {}
        while true do t[#t + 1] = ("x"):rep(1000) .. #t end
      end)
      app:get("/again", function()
        while true do
          pcall(function() local t = {} while true do t[#t + 1] = ("x"):rep(1000) .. #t end end)
        end
      end)
      app:get("/big", function() return #("x"):rep(1e9) .. "" end)]])
    local before = service:pids()
    for _, target in ipairs({ "/eat", "/again", "/big" }) do
      local res = service:request(wire.get(target))
      assert.equal(503, res.status, target)
      assert.equal("1", res.headers["retry-after"], target)
    end
    assert.equal("one", service:body("/"))
    assert.same(before, service:pids())
  end)

  it("close the WebSocket whose message finds no room, and no other", function()
    start({ workers = 1, limits = { lua_memory = "24M" }, timeouts = UNHURRIED }, [[
      local kept = {}
      app:get("/fill", function()
        for i = 1, 12 do kept[i] = ("k"):rep(2 ^ 20) .. i end
        return "full"
      end)
      app:websocket("/ws", { max_message = "20M" }, {
        message = function(ws, data) ws:send(#data) end,
        close = function(_, code) kept = {} moongate.log.info("told of " .. code) end,
      })]])
    assert.equal("full", service:body("/fill"))
    local other = websocket.open(service:connect(), "/ws")
    local ws = websocket.open(service:connect(), "/ws")
    local four = websocket.frame("xxxx"):sub(-4) -- masked
    ws.conn:send("\129\255\0\0\0\0\1\0\0\0\1\2\3\4" .. four:rep(2 ^ 22)) -- 16 MiB
    local _, code = ws:receive()
    assert.equal(1011, code)
    service:wait_for_log("a socket of /ws is closed with 1011: what came of it found no room")
    service:wait_for_log("told of 1011")
    assert.equal("2", other:ask("xx"))
    assert.equal(1000, other:close())
  end)

  it("are not kept by what was compiled of them", function()
    start({ workers = 1, limits = { lua_memory = "64M" } }, [[
      local kept = {}
      app:get("/fill", function()
        for i = 1, 44 do kept[i] = ("k"):rep(2 ^ 20) .. i end
        return "full"
      end)
      app:get("/blob", function(ctx) ctx:send_file("blob", { root = "." }) end)
      app:get("/read/:port", function(ctx)
        local url = "http://127.0.0.1:" .. ctx.params.port .. "/blob"
        local response = ctx:http_request({ url = url, stream = true }):await()
        local pieces = {}
        for piece in response:chunks() do -- a closure, called often enough to be compiled
          pieces[#pieces + 1] = piece .. #pieces
        end
      end)]])
    service:write("blob", ("b"):rep(40 * 2 ^ 20))
    assert.equal("full", service:body("/fill"))
    assert.equal(503, service:request(wire.get("/read/" .. service.port)).status)
    service:wait_for_body("/", "one")
  end)

  -- So many new texts that none more can be made, until they are collected.
  it("fail with 503 if a form finds no room, though nothing is left to tell it with", function()
    start({
      workers = 1, limits = { lua_memory = "64M", form_fields = 1000000 },
      timeouts = { stall_kill = 30 },
    }, [[
      app:post("/form", { timeout = 5 }, function(ctx)
        return #ctx:body_form():await() .. ""
      end)]])
    local fields = {}
    for i = 1, 400000 do
      fields[i] = ("key%d=value%d"):format(i, i)
    end
    local form = wire.post("/form", table.concat(fields, "&"),
      "Content-Type: application/x-www-form-urlencoded")
    for _ = 1, 2 do
      assert.equal(503, service:request(form).status)
      assert.equal("one", service:body("/"))
    end
    assert.is_nil(service:stderr():find("was interrupted", 1, true))
  end)

  it("fail with 503 if rows that are pushed in slices find no room", function()
    start({ workers = 1, limits = { lua_memory = "48M" }, database = "sqlite::memory:" }, [[
      app:get("/rows", { timeout = 5 }, function(ctx)
        return #ctx:query_database("WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c "
          .. "WHERE n < 300000) SELECT n, hex(n) AS a, 'row ' || n AS b FROM c"):await() .. ""
      end)]])
    for _ = 1, 3 do
      assert.equal(503, service:request(wire.get("/rows")).status)
      assert.equal("one", service:body("/"))
    end
    assert.is_nil(service:stderr():find("was interrupted", 1, true))
  end)

  it("fail with 503 if the results of calls find no room, of which nothing is kept", function()
    start({ workers = 1, limits = { lua_memory = "64M" } }, [[
      app:get("/blob/:n", function(ctx) ctx:send_file("blob" .. ctx.params.n, { root = "." }) end)
      app:get("/ten/:port", function(ctx)
        local calls = {}
        for i = 1, 10 do
          calls[i] = ctx:http_request("http://127.0.0.1:" .. ctx.params.port .. "/blob/" .. i)
        end
        local results = moongate.Future.all(calls):await()
        assert(results[1].status == 200)
        return "all of them"
      end)]])
    for i = 1, 10 do -- equal ones would be one string of Lua
      service:write("blob" .. i, tostring(i % 10):rep(15 * 2 ^ 20))
    end
    local pid = service:pids()[1]
    local function resident()
      local status = process.read_file("/proc/" .. pid .. "/status")
      return tonumber(status:match("VmRSS:%s*(%d+)")) / 1024
    end
    local function ask()
      local res = service:request(wire.get("/ten/" .. service.port))
      assert.equal(503, res.status)
      assert.equal("1", res.headers["retry-after"])
    end
    ask()
    ask()
    local before = resident()
    for _ = 1, 4 do
      ask()
    end
    assert.is_true(resident() < before + 100, before .. " MiB became " .. resident())
    process.wait_until("what was left over is collected", function()
      return service:body("/") == "one"
    end)
    assert.same({ pid }, service:pids())
  end)
end)
