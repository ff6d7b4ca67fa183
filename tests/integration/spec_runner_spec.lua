--- `moongate test` and plain busted on a project of a user's: what they find, tell and report.
local servers = require("support.server")
local process = require("support.process")

local folder

local function write(name, text)
  process.write_file(folder .. "/" .. name, text)
end

-- Runs it in the project's folder; `said` is all that it wrote.
local function sh(command)
  local result = process.run({ "sh", "-c", "cd '" .. folder .. "' && exec " .. command })
  result.said = result.out .. result.err
  return result
end

local BINARY = servers.BINARY:find("^/") and servers.BINARY or process.run({ "pwd" }).out
  :gsub("\n", "") .. "/" .. servers.BINARY

local function moongate(arguments)
  return sh("'" .. BINARY .. "' " .. arguments)
end

local APP = [[
local moongate = require("moongate")
local app = moongate.app()

app:get("/broken", function()
  error("no such moon")
end)

-- Whoever answers last wins, and nobody thought of another order.
app:get("/race", function(ctx)
  local last
  local first = ctx:query_database("SELECT 1"):and_then(function() last = "first" end)
  local second = ctx:query_database("SELECT 2"):and_then(function() last = "second" end)
  moongate.Future.all({ first, second }):await()
  return last
end)

app:get("/unused", function()
  return "never asked"
end)

return app
]]

local SPEC = [[
local test = require("moongate.test")

describe("the app", function()
  local app
  before_each(function() app = test.app() end)
  after_each(function() app:assert_no_leaks() end)

  it("is not broken", function()
    assert.equal(200, app:get("/broken").status)
  end)

  it("has an order", function()
    app:stub_database({ pattern = "." }, {})
    assert.equal("second", app:get("/race").body)
  end)
end)
]]

describe("the specs of a project", function()
  setup(function()
    folder = process.temp_folder()
    process.make_folder(folder .. "/lua")
    process.make_folder(folder .. "/spec")
    write("lua/app.lua", APP)
    write("spec/app_spec.lua", SPEC)
  end)
  teardown(function()
    process.remove_folder(folder)
  end)

  it("print what their app logged of faults when they fail", function()
    local result = moongate("test")
    assert.equal(1, result.status)
    assert.matches("Logged in: the app is not broken\n  error: the handler of GET /broken failed: "
      .. "lua/app%.lua:5: no such moon", result.err)
    local passing = moongate("test --filter order")
    assert.equal(0, passing.status, passing.said)
    assert.is_nil(passing.said:find("Logged in", 1, true))
  end)

  it("do the same under plain busted", function()
    local tree = process.run({ "pwd" }).out:gsub("\n", "")
    local build = BINARY:match("^(.*)/")
    if build:find("asan", 1, true) then
      build = tree .. "/build" -- a plain LuaJIT cannot load what is sanitized
    end
    if not process.read_file(build .. "/moongate.so") then
      return pending("moongate.so was not built")
    end
    local result = sh(("env LUA_PATH='%s/lua/?.lua;%s/lua/?/init.lua;;' LUA_CPATH='%s/?.so;;' "
      .. "busted --lua=luajit spec"):format(tree, tree, build))
    assert.matches("1 success / 1 failure", result.out)
    assert.matches("Logged in: the app is not broken\n  error: the handler of GET /broken failed: "
      .. "lua/app%.lua:5: no such moon", result.err)
  end)

  it("find a race in some order, which its seed replays", function()
    local failed, passed
    for seed = 1, 20 do
      local result = moongate("test --filter order --shuffle " .. seed)
      assert.truthy(result.err:find("moongate test --shuffle " .. seed .. "\n", 1, true))
      failed = failed or result.status ~= 0 and seed
      passed = passed or result.status == 0 and seed
      if failed and passed then
        break
      end
    end
    assert(failed and passed, "the race is found by some seed, and not by another")
    local again = moongate("test --filter order --shuffle " .. failed)
    assert.equal(1, again.status)
    assert.truthy(again.out:find("'first'", 1, true), again.out)
    assert.equal(0, moongate("test --filter order --shuffle " .. passed).status)
  end)

  it("tell which lines did not run, on wish for lcov", function()
    local result = moongate("test --filter order --coverage=lcov.info")
    assert.equal(0, result.status, result.said)
    assert.matches("\nlua/app%.lua   84%.6 %%  5, 18\nall           84%.6 %%\n", result.err)
    local lcov = process.read_file(folder .. "/lcov.info")
    assert.matches("^TN:\nSF:lua/app%.lua\nDA:1,%d+\n", lcov)
    assert.matches("\nDA:5,0\n.*\nDA:18,0\n.*\nLF:13\nLH:11\nend_of_record\n$", lcov)
  end)

  it("report for machines", function()
    local tap = moongate("test -o TAP")
    assert.matches("not ok 1 %- the app is not broken\n.*\nok 2 %- the app has an order", tap.out)
    moongate("test -o junit -Xoutput junit.xml")
    local xml = process.read_file(folder .. "/junit.xml")
    assert.matches("<testsuites", xml)
    assert.matches("name='the app has an order'", xml)
    assert.matches("<failure", xml)
  end)

  it("refuse a seed that is none", function()
    local result = moongate("test --shuffle=x")
    assert.equal(1, result.status)
    assert.equal("moongate test: --shuffle: a whole number from 1 to 2147483647 is wanted, "
      .. "not 'x'\n", result.err)
  end)

  it("run again when a script is saved", function()
    local watching = process.start({ "sh", "-c", "cd '" .. folder .. "' && exec '" .. BINARY
      .. "' test --watch --filter order" }, folder .. "/out", folder .. "/err")
    local function runs(n)
      process.wait_until(n .. " runs are told", function()
        local _, told = (process.read_file(folder .. "/err") or ""):gsub("Waiting for a script", "")
        return told >= n
      end)
    end
    runs(1)
    write("lua/app.lua", (APP:gsub('last = "second"', 'last = "third"')))
    runs(2)
    write("lua/app.lua", APP)
    runs(3)
    watching:signal("TERM")
    watching:wait()
    local told = process.read_file(folder .. "/out")
    local _, passed = told:gsub("1 success / 0 failures", "")
    assert.equal(2, passed)
    assert.truthy(told:find("'third'", 1, true))
  end)
end)
