--- The command line, and what it says of faults.
local servers = require("support.server")
local process = require("support.process")

local function moongate(...)
  return process.run({ servers.BINARY, ... })
end

-- Runs a command on a project with that configuration; `files` replaces files of the fixture.
local function on_project(command, text, files)
  local folder = servers.project(text)
  for name, content in pairs(files or {}) do
    process.write_file(folder .. "/" .. name, content)
  end
  local words = { servers.BINARY, unpack(command) }
  words[#words + 1] = folder .. "/conf/moongate.lua"
  local result = process.run(words)
  process.remove_folder(folder)
  result.said = result.out .. result.err
  return result
end

local GOOD = servers.config_text({ listen = { "127.0.0.1:1" }, app = "lua/app.lua" })

local function check(text, files)
  return on_project({ "check" }, text, files)
end

local function check_app(app)
  return check(GOOD, { ["lua/app.lua"] = app })
end

local function assert_says(result, ...)
  for _, piece in ipairs({ ... }) do
    assert(result.said:find(piece), ("%q is not said:\n%s"):format(piece, result.said))
  end
end

describe("moongate check", function()
  it("is content with a good project", function()
    local result = check(GOOD)
    assert.equal(0, result.status)
    assert.is_nil(result.said:find("ERROR: ", 1, true))
  end)

  it("is content with the sample app, which lies beside the framework", function()
    local result = moongate("check")
    assert.equal(0, result.status, result.err)
    assert.truthy(result.out:find("^conf/moongate.lua and /.*/lua/app.lua are good\n$"), result.out)
  end)

  it("warns of a database in memory that each of several workers has for itself", function()
    local function check_memory(workers)
      return check(servers.config_text({
        listen = { "127.0.0.1:1" }, app = "lua/app.lua", workers = workers,
        database = "sqlite::memory:",
      }))
    end
    local result = check_memory(2)
    assert.equal(0, result.status)
    assert_says(result, "warning: database: each worker has a \"sqlite::memory:\" of its own")
    assert.is_nil(check_memory(1).said:find("warning", 1, true))
    local server = servers.start({ workers = 2, database = "sqlite::memory:" })
    server:wait_for_log("warn +.*database: each worker has a \"sqlite::memory:\" of its own")
    server:stop()
  end)

  it("opens nothing: a taken port does not matter", function()
    local server = servers.start()
    local result = check(servers.config_text({
      listen = { "127.0.0.1:" .. server.port }, app = "lua/app.lua",
    }))
    assert.equal(0, result.status)
    server:stop()
  end)

  local faults = {
    ["an unknown key"] = { "lisen = { }", { "lisen", "did you mean", "listen" } },
    ["an unknown limit"] = { "limits = { bodi = 1 }", { "limits%.bodi", "did you mean", "body" } },
    ["an unknown timeout"] = { "timeouts = { header_s = 1 }", { "timeouts%.header_s" } },
    ["a wrong type"] = { 'workers = { "two" }', { "workers" } },
    ["a text for a number"] = { 'limits = { header_fields = "a" }', { "limits%.header_fields" } },
    ["a negative size"] = { "limits = { body = -1 }", { "limits%.body" } },
    ["a malformed size"] = { 'limits = { body = "64X" }', { "limits%.body", "64X" } },
    ["a negative time"] = { "timeouts = { idle = -1 }", { "timeouts%.idle" } },
    ["a port that is a name"] = { 'listen = { "localhost:http" }', { "listen" } },
    ["a port that is none"] = { 'listen = { "127.0.0.1:99999" }', { "listen", "99999" } },
    ["an empty list of addresses"] = { "listen = { }", { "listen" } },
    ["a proxy that is no network"] = { 'trusted_proxies = { "10.0.0.0/99" }',
      { "trusted_proxies", "10%.0%.0%.0/99" } },
    ["a field of no proxy"] = { 'forwarded = { "x-forwarded-fro" }',
      { "forwarded", "x%-forwarded%-fro", "x%-forwarded%-for" } },
    ["an unknown level"] = { 'log = { level = "loud" }', { "log%.level", "loud", "info" } },
    ["an unknown format"] = { 'log = { format = "xml" }', { "log%.format", "combined" } },
    ["a function as a value"] = { "workers = function() end", { "workers" } },
    ["an app that is not there"] = { 'app = "lua/none.lua"', { "none%.lua" } },
  }
  for what, fault in pairs(faults) do
    it("names the file and the key of " .. what, function()
      local result = check("return { " .. fault[1] .. " }\n")
      assert.equal(1, result.status)
      assert_says(result, "moongate%.lua", unpack(fault[2]))
    end)
  end

  it("names all faults at once", function()
    local result = check("return { lisen = {}, limits = { bodi = 1 }, timeouts = { idle = -1 } }\n")
    assert.equal(1, result.status)
    assert_says(result, "lisen", "limits%.bodi", "timeouts%.idle")
  end)

  it("names the line of a syntax or runtime fault of the configuration", function()
    assert_says(check("return {\n  listen = = 1,\n}\n"), "moongate%.lua:2")
    assert_says(check("local x\nreturn { listen = x.y }\n"), "moongate%.lua:2")
    assert.equal(1, check("return 5\n").status)
    assert.equal(1, check("").status)
  end)

  it("ends on a configuration that does not", function()
    assert.equal(1, check("while true do end\n").status)
  end)

  it("says so when there is no configuration", function()
    local result = moongate("check", "/nowhere/moongate.lua")
    assert.equal(1, result.status)
    assert.truthy((result.out .. result.err):find("/nowhere/moongate.lua", 1, true))
  end)

  it("names the line of a syntax fault of the app", function()
    local result = check_app("local moongate = require(\"moongate\")\nlocal x = = 1\n")
    assert.equal(1, result.status)
    assert_says(result, "app%.lua:2")
  end)

  it("names the line of a fault at load", function()
    local result = check_app("local t = nil\n\nreturn t.x\n")
    assert.equal(1, result.status)
    assert_says(result, "app%.lua:3")
  end)

  it("names the file of a module that is missing or broken", function()
    assert_says(check_app('require("routes.none")\n'), "routes[./]none")
    local result = check(GOOD, { ["lua/routes/marks.lua"] = "return function(\n" })
    assert.equal(1, result.status)
    assert_says(result, "marks%.lua:%d")
  end)

  it("refuses an app that returns none", function()
    assert.equal(1, check_app("return 5\n").status)
    assert.equal(1, check_app("\n").status)
  end)

  it("points an await at load to app:on_start", function()
    local result = check_app([[
local moongate = require("moongate")
local app = moongate.app()
moongate.sleep(1):await()
return app
]])
    assert.equal(1, result.status)
    assert_says(result, "app:on_start", "app%.lua:3")
  end)

  it("names both places of routes of which one can never be reached", function()
    local result = check_app([[
local app = require("moongate").app()
app:get("/a/:x", function() return "1" end)
app:get("/b", function() return "2" end)
app:get("/a/:y", function() return "3" end)
return app
]])
    assert.equal(1, result.status)
    assert_says(result, "app%.lua:2", "app%.lua:4")
  end)

  it("names the line of a malformed route", function()
    local result = check_app("local app = require(\"moongate\").app()\n"
      .. "app:get(\"no-slash\", function() end)\nreturn app\n")
    assert.equal(1, result.status)
    assert_says(result, "app%.lua:2")
  end)

  it("names forgotten awaits that no run notices, but those that a comment means", function()
    local app = [[
local app = require("moongate").app()
app:get("/", function(ctx)
  if ctx:query_cache("k") then return "there" end%s
  return 404
end)
return app
]]
    local result = check_app(app:format(""))
    assert.equal(1, result.status)
    assert_says(result, "^lua/app%.lua:3: ctx:query_cache%(%.%.%.%) is a Future, which is always "
      .. "true: write ctx:query_cache%(%.%.%.%):await%(%)\n", "moongate: not awaited")
    assert.equal(0, check_app(app:format(" -- moongate: not awaited")).status)
  end)

  it("prints its defaults as a configuration that it accepts", function()
    local defaults = moongate("check", "--defaults")
    assert.equal(0, defaults.status)
    for _, key in ipairs({ "listen", "request_line", "header_bytes", "requests_per_connection",
      "half_close", "drain", "trusted_proxies" }) do
      assert.truthy(defaults.out:find(key, 1, true))
    end
    assert.equal(0, check(defaults.out).status)
  end)
end)

describe("moongate run", function()
  it("fails with the same words as check", function()
    local result = on_project({ "run" }, "return { lisen = {} }\n")
    assert.equal(1, result.status)
    assert_says(result, "lisen", "listen")
  end)

  it("fails when the app does not load", function()
    local result = on_project({ "run" }, GOOD, { ["lua/app.lua"] = "return = 1\n" })
    assert.equal(1, result.status)
    assert_says(result, "app%.lua:1")
  end)

  it("fails when on_start does", function()
    local port = servers.free_port()
    local text = servers.config_text({ listen = { "127.0.0.1:" .. port }, app = "lua/app.lua" })
    local result = on_project({ "run" }, text, { ["lua/app.lua"] = [[
local app = require("moongate").app()
app:on_start(function() error("not today") end)
return app
]] })
    assert.not_equal(0, result.status)
    assert_says(result, "not today")
  end)
end)

describe("moongate explain", function()
  it("tells which route answers, with the configuration's limits, and why others do not", function()
    local text = servers.config_text({
      listen = { "127.0.0.1:1" }, app = "lua/app.lua", limits = { body = "1M" },
    })
    local result = on_project({ "explain", "GET", "/users/7" }, text, { ["lua/app.lua"] = [[
local app = require("moongate").app()
app:get("/users/:id", function() return "x" end)
app:get("/users/:id/posts", function() return "x" end)
return app
]] })
    assert.equal(0, result.status)
    assert_says(result, "answered by  GET /users/:id, declared at lua/app.lua:2\n",
      'params       id = "7"\n', "body         at most 1M %(limits.body%)\n",
      'GET /users/:id/posts: the path ends before segment 3, "posts"\n')
  end)
end)

describe("moongate routes", function()
  it("prints method, pattern, name, place and middleware", function()
    local result = on_project({ "routes" }, GOOD, { ["lua/app.lua"] = [[
local app = require("moongate").app()
app:get("/plain", function() return "x" end)
app:post("/users/:id", { name = "user" }, function() return "x" end)
return app
]] })
    assert.equal(0, result.status)
    local lines = {}
    for line in result.out:gmatch("[^\n]+") do
      lines[#lines + 1] = line
    end
    local function line_with(text)
      for _, line in ipairs(lines) do
        if line:find(text, 1, true) then
          return line
        end
      end
      error(text .. " is in no line of:\n" .. result.out)
    end
    assert.truthy(line_with("/plain"):match("GET.*/plain.*app%.lua:2"))
    assert.truthy(line_with("/users/:id"):match("POST.*/users/:id.*user.*app%.lua:3"))
  end)

  it("fails as check does", function()
    local result = on_project({ "routes" }, GOOD, { ["lua/app.lua"] = "return = 1\n" })
    assert.equal(1, result.status)
    assert_says(result, "app%.lua:1")
  end)
end)

describe("the command line", function()
  it("prints its version", function()
    local result = moongate("--version")
    assert.equal(0, result.status)
    assert.truthy(result.out:lower():match("^moongate %d+%.%d+"))
  end)

  it("prints help for itself and for each command", function()
    local help = moongate("--help")
    assert.equal(0, help.status)
    for _, command in ipairs({ "run", "check", "routes", "test" }) do
      assert.truthy(help.out:find(command, 1, true))
      local page = moongate(command, "--help")
      assert.equal(0, page.status)
      assert.truthy(page.out:find("moongate " .. command, 1, true))
      for line in page.out:gmatch("[^\n]+") do
        assert(#line <= 80, "wider than 80 columns: " .. line)
      end
    end
  end)

  it("refuses an unknown command with 2 and a suggestion", function()
    local result = moongate("chekc")
    assert.equal(2, result.status)
    assert.truthy(result.err:find("chekc", 1, true))
    assert.truthy(result.err:find("check", 1, true))
  end)

  it("refuses an unknown option with 2 and a suggestion", function()
    local result = moongate("run", "--lisen", "127.0.0.1:1")
    assert.equal(2, result.status)
    assert.truthy(result.err:find("--listen", 1, true))
  end)

  it("refuses an option without its value", function()
    assert.equal(2, moongate("run", "--listen").status)
  end)
end)

describe("moongate test", function()
  local folder
  before_each(function()
    folder = process.temp_folder()
    process.make_folder(folder .. "/spec")
  end)
  after_each(function()
    process.remove_folder(folder)
  end)

  local function run(text)
    process.write_file(folder .. "/spec/a_spec.lua", text)
    return process.run({ servers.BINARY, "test", folder .. "/spec" })
  end

  it("runs the specs of a folder, but no hidden files", function()
    for _, name in ipairs({ "._a_spec.lua", ".b_spec.lua", ".#c_spec.lua" }) do
      process.write_file(folder .. "/spec/" .. name, "error('hidden')")
    end
    local said = run("it('is good', function() end)")
    assert.equal(0, said.status, said.out)
    assert.matches("1 success / 0 failures / 0 errors", said.out, 1, true)
  end)

  it("takes a spec that ends the process as a failure, with its line", function()
    for _, text in ipairs({
      "it('ends', function() os.exit(0) end)",
      "describe('x', function() os.exit(true) end)",
      "os.exit()",
    }) do
      local said = run(text)
      assert.equal(1, said.status)
      assert.matches("a_spec.lua:1: os.exit would end all specs", said.out)
    end
  end)

  it("takes any other end of the process before its time as a failure", function()
    local said = run("local ffi = require('ffi') ffi.cdef('void exit(int);')\n"
      .. "it('ends', function() ffi.C.exit(0) end)")
    assert.equal(1, said.status)
    assert.matches("the process was ended before the specs were through", said.err, 1, true)
  end)
end)
