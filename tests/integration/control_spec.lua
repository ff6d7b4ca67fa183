--- The commands that speak to a running server, and `moongate dev`.
local services = require("support.service")
local servers = require("support.server")
local process = require("support.process")
local wire = require("support.wire")
local json = require("dkjson")

local service
local start, stop = services.each(function(now)
  service = now
end)

after_each(stop)

local function mode_of(path)
  local pipe = io.popen("stat -c %a '" .. path .. "'")
  local mode = pipe:read("*l")
  pipe:close()
  return mode
end

describe("moongate status", function()
  it("shows each worker", function()
    start()
    local conn = service:connect_to(1)
    local status = process.wait_until("what asked whether it accepts has gone", function()
      local now = service:status()
      return now.workers[1].connections == 1 and now
    end)
    assert.equal(service.pid, status.pid)
    assert.equal(1, status.generation)
    assert.same({ "127.0.0.1:" .. service.port }, status.listen)
    assert.equal(2, #status.workers)
    local first = status.workers[1]
    assert.equal("serving", first.state)
    assert.is_true(first.requests >= 1)
    assert.is_true(first.memory > 1e6)
    conn:close()
    local text = service:command("status").out
    assert.truthy(text:find("pid " .. service.pid, 1, true))
    assert.truthy(text:find("\n +1 +%d+ +serving"), text)
    assert.truthy(text:find("\n +2 +%d+ +serving"), text)
  end)

  it("says that there is no server", function()
    local folder = servers.project(servers.config_text({}))
    for _, verb in ipairs({ "status", "reload", "stop" }) do
      local said = process.run({ servers.BINARY, verb, folder .. "/conf/moongate.lua" })
      assert.equal(1, said.status)
      assert.truthy(said.err:find("no server runs for " .. folder, 1, true), said.err)
    end
    process.remove_folder(folder)
  end)
end)

describe("moongate stop", function()
  it("waits until the server is gone", function()
    start()
    local said = service:command("stop")
    assert.equal(0, said.status)
    assert.equal("stopped\n", said.out)
    assert.equal(0, service.process:wait())
  end)

  it("breaks off what is under way with --now", function()
    start()
    local conn = service:connect()
    conn:send(wire.get("/sleep/60000"))
    assert.equal("stopped\n", service:command("stop", "--now").out)
    assert.equal(0, service.process:wait())
    conn:close()
  end)
end)

describe("a control socket", function()
  it("belongs to its user alone, and goes with its server", function()
    start({ control = "run.sock" })
    local path = service.folder .. "/run.sock"
    assert.equal("600", mode_of(path))
    assert.equal(1, service:status().generation)
    assert.equal(0, service:command("status", "--control", path).status)
    assert.equal("stopped\n", service:command("stop").out)
    assert.is_false((pcall(wire.connect_unix, path)))
    assert.equal(0, service.process:wait())
  end)

  it("is taken by the next server once the one before has finished", function()
    start({ control = "run.sock", timeouts = { drain = 60 } })
    local conn = service:connect()
    conn:send(wire.get("/sleep/3000"))
    process.wait_until("the handler runs", function()
      for _, worker in ipairs(service:status().workers) do
        local generation = worker.generations[1] -- nil: it begins
        if generation and generation.requests > 0 then
          return true
        end
      end
    end)
    service.process:signal("TERM")
    service:wait_for_log("stopping")
    local out = service.folder .. "/next"
    local next_one = process.start({ servers.BINARY, "run", service.conf }, out, out)
    process.wait_until("it has no control socket yet", function()
      return process.read_file(out):find("no control socket yet", 1, true)
    end)
    assert.equal("slept\n", conn:read().body)
    process.wait_until("it has one", function()
      return process.read_file(out):find("commands reach this server", 1, true)
    end)
    assert.equal(next_one.pid, service:status().pid)
    assert.equal("stopped\n", service:command("stop").out)
    assert.equal(0, next_one:wait())
    conn:close()
  end)

  it("answers nonsense with a fault and takes no harm", function()
    start({ control = "run.sock" })
    local path = service.folder .. "/run.sock"
    local silent = wire.connect_unix(path)
    for _, bytes in ipairs({ "\n", "{}\n", "[1]\n", '{"command":"fly"}\n', "\0\255\n",
      '{"command":"status"', ("x"):rep(100000) }) do
      local visitor = wire.connect_unix(path)
      pcall(visitor.send, visitor, bytes)
      if bytes:sub(-1) == "\n" then
        assert.is_false(json.decode(visitor:take_rest()).ok)
      end
      visitor:close()
      assert.equal(1, service:status().generation)
    end
    silent:close()
  end)
end)

describe("moongate dev", function()
  local HTML = "Accept: text/html"

  local function start_dev(lines)
    return start({ workers = 1 }, "one", lines, { verb = "dev" })
  end

  local function wait_for(target, what, pattern)
    return process.wait_until(what, function()
      local res = service:request(wire.get(target, HTML))
      return res.body:find(pattern, 1, true) and res
    end)
  end

  it("serves what was saved without a command", function()
    start_dev()
    service:wait_for_log("loaded again when they are saved")
    service:write_app("two")
    wait_for("/", "the saved route is served", "two")
    process.write_file(service.folder .. "/lua/new.lua", services.app("three"))
    os.rename(service.folder .. "/lua/new.lua", service.folder .. "/lua/app.lua")
    wait_for("/", "the renamed file is served", "three")
  end)

  it("shows a script's fault to browsers until it is mended", function()
    start_dev()
    service:wait_for_log("loaded again when they are saved")
    service:write_app("two", "local x = = '<b>'")
    local res = wait_for("/", "the fault is shown", "lua/app.lua:12")
    assert.equal(500, res.status)
    assert.truthy(res.body:find("<mark>   12  local x = = &#39;&lt;b&gt;&#39;", 1, true)
      or res.body:find("<mark>   12  local x = = '&lt;b&gt;'", 1, true), res.body)
    assert.is_nil(res.body:find("<b>", 1, true))
    local plain = service:request(wire.get("/"))
    assert.truthy(plain.headers["content-type"]:find("text/plain", 1, true))
    assert.is_true(json.decode(service:body("/.moongate/dev")).fault)
    service:write_app("three")
    wait_for("/", "the mended script is served", "three")
    assert.is_false(json.decode(service:body("/.moongate/dev")).fault)
  end)

  it("shows a handler's fault with its source", function()
    start_dev("app:get('/boom', function() local x; return x.y end)")
    local res = service:request(wire.get("/boom", HTML))
    assert.equal(500, res.status)
    assert.truthy(res.body:find("<mark>   12  app:get(", 1, true), res.body)
    res = service:request(wire.get("/boom"))
    assert.equal("text/plain; charset=utf-8", res.headers["content-type"])
    assert.truthy(res.body:find(">    12  app:get(", 1, true), res.body)
  end)
end)
