--- Replacing scripts and settings while requests are served.
local services = require("support.service")
local servers = require("support.server")
local process = require("support.process")
local wire = require("support.wire")

local service

local function start(...)
  service = services.start(...)
  return service
end

local function wait_for_word(word)
  process.wait_until("GET / answers " .. word, function()
    return service:body("/") == word
  end)
end

after_each(function()
  if service then
    service:stop()
    service = nil
  end
end)

describe("a reload", function()
  it("replaces the scripts under an open connection, and says what changed", function()
    start()
    local conn = service:connect()
    assert.equal("one", conn:request(wire.get("/")).body)
    service:write_app("two")
    local said = service:must_reload()
    assert.truthy(said.out:match("^generation 2 in %d+ ms\n"))
    assert.truthy(said.out:find("~ lua/app.lua", 1, true))
    assert.equal("two", conn:request(wire.get("/")).body)
    conn:close()
  end)

  it("comes by SIGHUP as well", function()
    start()
    local conn = service:connect()
    assert.equal("one", conn:request(wire.get("/")).body)
    service:write_app("two")
    service.process:signal("HUP")
    process.wait_until("the connection answers two", function()
      return conn:request(wire.get("/")).body == "two"
    end)
    conn:close()
  end)

  it("works in one process without a master", function()
    start({ workers = 2 }, nil, nil, { arguments = { "--workers", "0" } })
    local conn = service:connect()
    assert.equal("0 " .. service.pid .. " 1", conn:request(wire.get("/who")).body)
    service:write_app("two")
    service:must_reload()
    assert.equal("two", conn:request(wire.get("/")).body)
    service:write_app("bad", "x = = 1")
    assert.equal(1, service:reload().status)
    assert.equal("two", conn:request(wire.get("/")).body)
    service:write_app("three")
    service.process:signal("HUP")
    wait_for_word("three")
    assert.equal("0 " .. service.pid .. " 4", conn:request(wire.get("/who")).body)
    conn:close()
  end)

  it("lets requests finish on the scripts they began on", function()
    start(nil, "one", "app:get('/late', function(ctx) ctx:sleep(1.2):await() return 'old' end)")
    local conn = service:connect()
    conn:send(wire.get("/late"))
    process.wait_until("the request is under way", function()
      for _, worker in ipairs(service:status().workers) do
        local first = worker.generations[1] -- not there yet, just after the start
        if first and first.requests > 0 then
          return true
        end
      end
    end)
    service:write_app("two", "app:get('/late', function() return 'new' end)")
    service:must_reload()
    assert.equal("new", service:body("/late"))
    assert.equal("old", conn:read().body)
    assert.equal("new", conn:request(wire.get("/late")).body)
    conn:close()
  end)

  it("lets a stream cross several", function()
    local last = os.tmpname() -- the stream ends when it is there
    os.remove(last)
    start(nil, "one", ([[
      app:get("/stream", function(ctx)
        ctx:stream("text/plain", function(out)
          local i, told = 0, nil
          repeat
            i = i + 1
            out:write(i .. "\n")
            ctx:sleep(0.02):await()
            told = ctx:stat_file(%q):try_await()
          until told
          out:write("last of " .. i .. "\n")
        end)
      end)]]):format(last))
    local conn = service:connect()
    conn:send(wire.get("/stream"))
    conn:fill_some()
    for i = 1, 3 do
      service:write_app("word" .. i)
      service:must_reload()
      assert.equal("word" .. i, service:body("/"))
    end
    process.write_file(last, "")
    local wanted, body = {}, conn:read().body
    for i = 1, tonumber(body:match("last of (%d+)\n$")) do
      wanted[i] = i .. "\n"
    end
    assert.equal(table.concat(wanted) .. "last of " .. #wanted .. "\n", body)
    assert.equal("word3", conn:request(wire.get("/")).body)
    conn:close()
    os.remove(last)
  end)

  it("forgets old scripts when nothing holds them", function()
    start()
    for _ = 1, 3 do
      service:must_reload()
    end
    process.wait_until("one generation is left in each worker", function()
      for _, worker in ipairs(service:status().workers) do
        if #worker.generations ~= 1 or worker.generations[1].generation ~= 4 then
          return false
        end
      end
      return true
    end)
  end)
end)

describe("a reload that fails", function()
  -- All on one service: nothing of what fails may be left for the next one.
  local shared, rounds = nil, 0

  setup(function()
    shared = services.start()
  end)

  before_each(function()
    service = shared
  end)

  after_each(function()
    service = nil
  end)

  teardown(function()
    shared:stop()
  end)

  -- What is written, what must be said.
  local function assert_refused(change, said)
    local word, before, status = service:body("/"), service:pids(), service:status()
    local conn = service:connect()
    assert.equal(word, conn:request(wire.get("/")).body)
    service:configure({ timeouts = { reload = 0.5 } })
    change()
    for _, option in ipairs({ "--dry-run", false }) do
      local result = service:reload(option or nil)
      assert.equal(1, result.status)
      assert.truthy(result.err:find(said), result.err)
      assert.equal("", result.out)
    end
    local after = service:status()
    assert.equal(word, conn:request(wire.get("/")).body)
    assert.equal(word, service:body("/"))
    assert.same(before, service:pids())
    assert.same(status.listen, after.listen)
    assert.equal(status.generation, after.generation)
    rounds = rounds + 1
    service:write_app("good " .. rounds)
    service:configure({ timeouts = { reload = 30 } })
    service:must_reload()
    assert.equal("good " .. rounds, conn:request(wire.get("/")).body)
    conn:close()
  end

  local SCRIPTS = {
    ["a syntax error"] = { "x = = 1", "lua/app.lua:12: " },
    ["a runtime error"] = { "local x = nil; x.y = 1", "lua/app.lua:12: attempt to index" },
    ["a missing module"] = { "require('nowhere')", "lua/app.lua:12: module 'nowhere'" },
    ["an on_start that raises"] = {
      "app:on_start(function() error('no luck') end)", "lua/app.lua:12: no luck",
    },
    ["an on_start that never ends"] = {
      "app:on_start(function() moongate.future():await() end)",
      "worker %d was not ready after 0.5 s %(timeouts.reload%)",
    },
    ["a script that never ends"] = { "while true do end", "does not come to an end" },
    ["a script that catches its end"] = {
      "while true do pcall(function() while true do end end) end", "does not come to an end",
    },
  }
  for what, case in pairs(SCRIPTS) do
    it("for " .. what .. " changes nothing", function()
      assert_refused(function()
        service:write_app("bad", case[1])
      end, case[2])
    end)
  end

  local CONFIGS = {
    ["a syntax error in the configuration"] = { "return {", "moongate.lua:1: " },
    ["a configuration that raises"] = { "\nerror('boo')", "moongate.lua:2: boo" },
    ["an unknown key"] = { "return { worker = 2 }", "moongate.lua: worker: is no known key" },
    ["an unknown limit"] = { "return { limits = { bodies = 2 } }", "limits.bodies: is no known" },
    ["an endless configuration"] = {
      "while true do end", "moongate.lua:1: the configuration does not come to an end",
    },
    ["an app that is not there"] = { "return { app = 'lua/none.lua' }", "none.lua" },
  }
  for what, case in pairs(CONFIGS) do
    it("for " .. what .. " changes nothing", function()
      assert_refused(function()
        service:write("conf/moongate.lua", case[1])
      end, case[2])
    end)
  end

  it("for an address that is taken changes nothing, and opens nothing", function()
    local taken, free = require("socket").bind("127.0.0.1", 0), servers.free_port()
    local _, port = taken:getsockname()
    assert_refused(function()
      local own = service.config.listen[1]
      service:configure({ listen = { own, "127.0.0.1:" .. free, "127.0.0.1:" .. port } })
      service.config.listen = { own }
    end, "127.0.0.1:" .. port)
    assert.is_false((pcall(wire.connect, "127.0.0.1", free)))
    taken:close()
  end)
end)

describe("a reload of settings", function()
  it("adds and removes addresses; their connections live on", function()
    start()
    local own, other = service.config.listen[1], servers.free_port()
    service:configure({ listen = { own, "127.0.0.1:" .. other } })
    assert.truthy(service:must_reload().out:find("+ listen 127.0.0.1:" .. other, 1, true))
    local conn = wire.connect("127.0.0.1", other)
    assert.equal("one", conn:request(wire.get("/")).body)
    service:configure({ listen = { own } })
    assert.truthy(service:must_reload().out:find("- listen 127.0.0.1:" .. other, 1, true))
    process.wait_until("the address is closed", function()
      return not pcall(wire.connect, "127.0.0.1", other)
    end)
    assert.equal("one", conn:request(wire.get("/")).body)
    conn:close()
  end)

  it("keeps the socket of an address whose settings change", function()
    start()
    local own, folder = service.config.listen[1], process.temp_folder()
    local path = folder .. "/sock"
    local function stat(what)
      return process.run({ "stat", "-c", what, path }).out
    end
    local function listen_with(mode)
      service:configure({ listen = { own, { address = "unix:" .. path, mode = mode } } })
      return service:must_reload().out
    end
    assert.truthy(listen_with("0600"):find("+ listen unix:" .. path, 1, true))
    local inode, conn = stat("%i"), wire.connect_unix(path)
    assert.equal("600\n", stat("%a"))
    assert.truthy(listen_with("0660"):find("~ listen unix:" .. path, 1, true))
    assert.equal("660\n", stat("%a"))
    assert.equal(inode, stat("%i"))
    assert.equal("one", conn:request(wire.get("/")).body)
    local other = wire.connect_unix(path)
    assert.equal("one", other:request(wire.get("/")).body)
    assert.falsy(listen_with("0660"):find("listen", 1, true))
    assert.truthy(listen_with(nil):find("~ listen", 1, true))
    service:configure({ listen = { own } }) -- gone, path and all
    service:must_reload()
    assert.equal("", stat("%a"))
    conn:close()
    other:close()
    process.remove_folder(folder)
  end)

  it("changes the number of workers up and down; nobody connects in vain", function()
    start({ workers = 1 })
    local open = service:connect()
    for _, workers in ipairs({ 4, 2, 1, 3 }) do
      service:configure({ workers = workers })
      service:must_reload_during(function()
        assert.equal("one", service:body("/"))
      end)
      process.wait_until(workers .. " workers serve", function()
        assert.equal("one", service:body("/"))
        local status = service:status()
        return #status.workers == workers and #service:pids() == workers
      end)
    end
    assert.equal("one", open:request(wire.get("/")).body) -- of worker 1, which stayed
    open:close()
  end)

  it("fills the place of a worker that still drains and is wanted again", function()
    start({ workers = 2 })
    local conn = service:connect_to(2)
    conn:send(wire.get("/sleep/3000"))
    service:configure({ workers = 1 })
    service:must_reload()
    service:configure({ workers = 2 })
    service:must_reload()
    assert.equal("slept\n", conn:read().body)
    process.wait_until("two workers serve", function()
      return #service:pids() == 2
    end)
  end)

  it("changes limits for the next request of an open connection", function()
    start({ limits = { body = 10 } }, "one", [[
      app:post("/", function(ctx) return tostring(#ctx:body():await()) end)]])
    local body = ("x"):rep(50)
    local conn = service:connect()
    assert.equal("one", conn:request(wire.get("/")).body)
    assert.equal(413, service:request(wire.post("/", body)).status)
    service:configure({ limits = { body = 100 } })
    service:must_reload()
    assert.equal("50", conn:request(wire.post("/", body)).body)
    service:configure({ limits = { body = 10 } })
    service:must_reload()
    assert.equal(413, conn:request(wire.post("/", body)).status)
    conn:close()
  end)

  it("changes timeouts for the next request of an open connection", function()
    start()
    local conn = service:connect()
    assert.equal("slept\n", conn:request(wire.get("/sleep/300")).body)
    service:configure({ timeouts = { handler = 0.1 } })
    service:must_reload()
    assert.equal(504, conn:request(wire.get("/sleep/60000")).status)
    conn:close()
  end)

  it("changes the log files", function()
    start({ log = { file = "stderr", access = "access.log", level = "info" } }, nil, [[
      app:get("/note", function() moongate.log.warn("noted") return "" end)]])
    local function wait_for_line(file, text)
      process.wait_until(text .. " is in " .. file, function()
        return (process.read_file(service.folder .. "/" .. file) or ""):find(text, 1, true)
      end)
    end
    service:body("/?before")
    wait_for_line("access.log", "GET /?before ")
    service:configure({ log = { file = "other.log", access = "new.log", level = "info" } })
    service:must_reload()
    service:body("/note?after")
    wait_for_line("new.log", "GET /note?after ")
    wait_for_line("other.log", "reloaded")
    wait_for_line("other.log", "noted")
    assert.is_nil(service:access_log():find("after", 1, true))
    assert.is_nil(process.read_file(service.folder .. "/new.log"):find("before", 1, true))
    assert.is_nil(service:stderr():find("noted", 1, true))
  end)
end)

describe("before a reload", function()
  local SPEC = [[
    local test = require("moongate.test")
    it("answers two", function()
      assert.equal("two", test.app("lua/app.lua"):get("/").body)
    end)]]

  it("a dry run tells the fault or the changes, and swaps nothing", function()
    start()
    service:write_app("two")
    local said = service:reload("--dry-run")
    assert.equal(0, said.status)
    assert.truthy(said.out:find("~ lua/app.lua", 1, true))
    assert.equal("one", service:body("/"))
    assert.equal(1, service:status().generation)
    service:write_app("three", "x = = 1")
    said = service:reload("--dry-run")
    assert.equal(1, said.status)
    assert.truthy(said.err:find("lua/app.lua:12: ", 1, true), said.err)
    assert.equal("one", service:body("/"))
  end)

  it("the specs run on the new scripts, if wanted", function()
    start()
    os.execute("mkdir " .. service.folder .. "/spec")
    service:write("spec/app_spec.lua", SPEC)
    service:write_app("three")
    local said = service:reload("--spec")
    assert.equal(1, said.status)
    assert.truthy(said.err:find("spec/app_spec.lua", 1, true))
    assert.equal("one", service:body("/"))
    service:write_app("two")
    service:must_reload("--spec")
    assert.equal("two", service:body("/"))
  end)

  it("the specs always run, if the configuration says so", function()
    start({ reload = { specs = "spec/" } })
    os.execute("mkdir " .. service.folder .. "/spec")
    service:write("spec/app_spec.lua", SPEC)
    service:write_app("three")
    assert.equal(1, service:reload().status)
    service:write_app("two")
    service:must_reload()
    assert.equal("two", service:body("/"))
  end)
end)
