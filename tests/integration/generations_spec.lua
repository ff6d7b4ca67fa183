--- What outlives a reload, and for how long: generations, jobs, snapshots, memory.
local services = require("support.service")
local process = require("support.process")
local servers = require("support.server")
local wire = require("support.wire")

local service
local start, stop = services.each(function(now)
  service = now
end)

after_each(stop)

local STREAM = [[
app:get("/stream", function(ctx)
  ctx:stream("text/plain", function(out)
    out:write("begun\n")
    ctx:sleep(60):await()
    out:write("never\n")
  end)
end)]]

-- /until streams until the file at %q is there.
local UNTIL = [[
app:get("/until", function(ctx)
  ctx:stream("text/plain", function(out)
    out:write("begun\n")
    local told
    repeat
      ctx:sleep(0.02):await()
      told = ctx:stat_file(%q):try_await()
    until told
    out:write("ended\n")
  end)
end)]]

describe("generations", function()
  it("are shown with what keeps them", function()
    start({ workers = 1 }, "one", STREAM)
    local conn = service:connect()
    conn:send(wire.get("/stream"))
    conn:fill_some()
    local waiting = service:connect()
    waiting:send(wire.get("/sleep/60000"))
    process.wait_until("both are under way", function()
      local current = service:status().workers[1].generations[1]
      return current.streams == 1 and current.requests == 1
    end)
    service:must_reload()
    process.wait_until("status shows both", function()
      local generations = service:status().workers[1].generations
      local now, old = generations[1], generations[2]
      return now.generation == 2 and now.streams + now.requests == 0
        and old and old.generation == 1 and old.streams == 1 and old.requests == 1
    end)
    local text = service:command("status").out
    assert.truthy(text:find("generation 1 is kept by 1 request, 1 stream\n", 1, true), text)
    waiting:close()
    process.wait_until("status shows the stream", function()
      return service:command("status").out:find("generation 1 is kept by 1 stream\n", 1, true)
    end)
    conn:close()
    process.wait_until("the generation is over", function()
      return #service:status().workers[1].generations == 1
    end)
  end)

  it("beyond limits.generations end: streams whole, waiting requests with 503", function()
    local last = os.tmpname()
    os.remove(last)
    start({ workers = 1, limits = { generations = 1 } }, "one", STREAM .. UNTIL:format(last))
    local stream, waiting, younger = service:connect(), service:connect(), service:connect()
    stream:send(wire.get("/stream"))
    stream:fill_some()
    waiting:send(wire.get("/sleep/60000"))
    process.wait_until("both are under way", function()
      local current = service:status().workers[1].generations[1]
      return current.streams == 1 and current.requests == 1
    end)
    service:must_reload()
    younger:send(wire.get("/until"))
    younger:fill_some()
    local generations = service:status().workers[1].generations
    assert.same({ 1, 1 }, { generations[2].streams, generations[2].requests })
    assert.is_true(waiting:is_quiet())
    service:must_reload()
    local res = stream:read()
    assert.equal("begun\n", res.body) -- and the last chunk, or this would raise
    res = waiting:read()
    assert.equal(503, res.status)
    assert.equal("1", res.headers["retry-after"])
    service:wait_for_log("generation 1 ends for lack of room")
    assert.equal("one", stream:request(wire.get("/")).body)
    process.wait_until("only the younger stream is left", function()
      generations = service:status().workers[1].generations
      return #generations == 2
    end)
    assert.same({ 3, 2, 1 }, {
      generations[1].generation, generations[2].generation, generations[2].streams,
    })
    process.write_file(last, "")
    assert.equal("begun\nended\n", younger:read().body)
    stream:close()
    waiting:close()
    younger:close()
    os.remove(last)
  end)

  it("that nothing holds any more do not count", function()
    start({ workers = 1, limits = { generations = 1 }, timeouts = { drain = 5 } }, "one",
      "app:on_stop(function() moongate.sleep(60):await() end)")
    for _ = 1, 4 do
      service:must_reload()
    end
    assert.is_nil(service:stderr():find("lack of room", 1, true))
  end)

  it("cancel their background with code reload after timeouts.drain", function()
    local lines = [[
      local function note(text)
        local file = io.open("%s", "a")
        file:write(text, "\n")
        file:close()
      end
      app:on_start(function()
        moongate.spawn(function()
          local _, err = pcall(function() moongate.sleep(60):await() end)
          note(err.code)
        end)
      end)
      app:on_stop(function() note("stopped") end)]]
    local path = os.tmpname()
    start({ workers = 1, timeouts = { drain = 0.3 } }, "one", lines:format(path))
    service:must_reload()
    process.wait_until("the old background has ended", function()
      return process.read_file(path) == "reload\nstopped\n"
        or process.read_file(path) == "stopped\nreload\n"
    end)
    os.remove(path)
  end)

  it("leave memory and descriptors where they were", function()
    start()
    local pids = service:pids()
    pids[#pids + 1] = service.pid
    local function footprints()
      local list = {}
      for i, pid in ipairs(pids) do
        list[i] = { descriptors = process.descriptors(pid), rss_kb = process.rss_kb(pid) }
      end
      return list
    end
    local function wait_for_one_generation()
      process.wait_until("old generations are over", function()
        for _, worker in ipairs(service:status().workers) do
          if #worker.generations > 1 then
            return false
          end
        end
        return true
      end)
    end
    local kept_back = servers.BINARY:find("asan") -- freed memory, by the sanitizer
    local reloads = tonumber(os.getenv("RELOADS")) or (kept_back and 3 or 60)
    for _ = 1, kept_back and 3 or 10 do
      service:must_reload()
    end
    wait_for_one_generation()
    local before = footprints()
    for _ = 1, reloads do
      service:must_reload()
    end
    wait_for_one_generation()
    process.wait_until("the descriptors are closed", function()
      for i, now in ipairs(footprints()) do
        if now.descriptors > before[i].descriptors then
          return false
        end
      end
      return true
    end)
    if not kept_back then
      local told
      local settled = pcall(process.wait_until, "what loading has left is collected", function()
        for i, now in ipairs(footprints()) do
          local from, to = before[i].rss_kb, now.rss_kb
          told = i .. ": " .. from .. " KB before, " .. to .. " KB after"
          if to >= from * 1.06 then
            return false
          end
        end
        return true
      end)
      assert.is_true(settled, told)
    end
    table.remove(pids)
    assert.same(pids, service:pids())
  end)
end)

describe("a snapshot", function()
  it("is what a replaced worker and a later require load, whatever is on the disk", function()
    start(nil, "one", [[app:get("/late", function() return require("late") end)]])
    service:write("lua/late.lua", "return 'good'")
    service:must_reload()
    service:write("lua/late.lua", "return 'half-edited'")
    service:write("lua/app.lua", "x = = 1")
    local before = service:pids()
    os.execute("kill -9 " .. before[1])
    process.wait_until("the worker is replaced", function()
      local now = service:pids()
      return now[1] and now[1] ~= before[1]
    end)
    for worker = 1, 2 do
      local conn = service:connect_to(worker)
      assert.equal("one", conn:request(wire.get("/")).body)
      assert.equal("good", conn:request(wire.get("/late")).body)
      conn:close()
    end
  end)
end)

describe("a job", function()
  local path

  before_each(function()
    path = os.tmpname()
  end)
  after_each(function()
    os.remove(path)
  end)

  local function job(word, options)
    return ([[
      app:every("tick", 0.05, %s, function()
        local file = io.open("%s", "a")
        file:write("%s ", moongate.info().pid, "\n")
        file:close()
      end)]]):format(options or "{}", path, word)
  end

  local function lines()
    local list = {}
    for line in (process.read_file(path) or ""):gmatch("[^\n]+") do
      list[#list + 1] = line
    end
    return list
  end

  -- How many processes have written the lines from `first` on.
  local function processes_of(list, first)
    local set, n = {}, 0
    for i = first or 1, #list do
      local line = list[i]
      if not set[line:match("%d+$")] then
        set[line:match("%d+$")] = true
        n = n + 1
      end
    end
    return n
  end

  local function wait_for_lines(n)
    process.wait_until(n .. " runs", function()
      return #lines() >= n
    end)
  end

  it("runs once a service, and moves when its worker dies", function()
    start({ workers = 3 }, "one", job("run"))
    wait_for_lines(10)
    assert.equal(1, processes_of(lines()))
    local dead = lines()[1]:match("%d+$")
    os.execute("kill -9 " .. dead)
    process.wait_until("another worker runs it", function()
      local list = lines()
      return list[#list]:match("%d+$") ~= dead
    end)
    local seen = #lines()
    wait_for_lines(seen + 10)
    assert.equal(1, processes_of(lines(), seen))
  end)

  it("runs in each worker, if it says so", function()
    start({ workers = 3 }, "one", job("run", "{ each_worker = true }"))
    process.wait_until("all three have run it", function()
      return processes_of(lines()) == 3
    end)
  end)

  it("is replaced by a reload, not doubled", function()
    start({ workers = 2 }, "one", job("old"))
    wait_for_lines(3)
    service:write_app("two", job("new"))
    service:must_reload()
    process.wait_until("the new one runs", function()
      local list = lines()
      return list[#list]:find("new", 1, true)
    end)
    local list, turned = lines(), false
    wait_for_lines(#list + 10)
    for _, line in ipairs(lines()) do
      turned = turned or line:find("new", 1, true) ~= nil
      assert.is_false(turned and line:find("old", 1, true) ~= nil)
    end
  end)
end)
