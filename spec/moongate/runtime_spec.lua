--- What only scripts of a project see: spec/fixture/runtime/lua/app.lua.
local test = require("moongate.test")

local FOLDER = "spec/fixture/runtime/lua/"
local app

before_each(function()
  app = test.app(FOLDER .. "app.lua")
end)

after_each(function()
  app:assert_no_leaks()
end)

describe("an await inside a user's own coroutine", function()
  it("passes through coroutine.wrap to the scheduler", function()
    assert.same({ 1, 2, 3 }, app:get("/wrap"):json())
    assert.near(3, app.clock:elapsed(), 0.001)
  end)

  it("passes through several of them", function()
    assert.same({ "inner", "done" }, app:get("/nested"):json())
    assert.near(2, app.clock:elapsed(), 0.001)
  end)

  it("passes through coroutine.resume, which gives its own values and errors", function()
    assert.same({ true, 2, false, "raised with b", "dead" }, app:get("/resume"):json())
  end)

  it("keeps errors as they are", function()
    assert.same({ message = "below", code = "error" }, app:get("/wrap-error"):json())
  end)

  it("is no other request's: coroutine.wrap", function()
    local first, second = app:start("GET", "/shared-wrap"), app:start("GET", "/shared-wrap")
    assert.equal(500, second:response().status)
    local line = "lua/app%.lua:%d+: this coroutine waits for the Future made at "
      .. "lua/app%.lua:%d+ in another task"
    assert.matches(line, app.logs[1].message)
    assert.equal("value", first:response().body)
    assert.equal("value", app:get("/shared-wrap").body)
  end)

  it("is no other request's: coroutine.resume", function()
    local first, second = app:start("GET", "/shared-resume"), app:start("GET", "/shared-resume")
    assert.matches("^lua/app%.lua:%d+: this coroutine waits for the Future made at lua/app%.lua:",
      second:response().body)
    assert.equal("value", first:response().body)
  end)

  it("is not ended by whoever resumes the coroutine of a request", function()
    local first = app:start("GET", "/kept")
    local answer = app:get("/resume-kept"):json()
    assert.is_false(answer[1])
    assert.matches("^lua/app%.lua:%d+: this coroutine belongs to the server", answer[2])
    assert.equal("kept", first:response().body)
    assert.near(2, app.clock:elapsed(), 0.001)
  end)

  it("names the C function that stands outside of it", function()
    local expected = "app%.lua:%d+: await cannot cross string%.gsub, called at lua/app%.lua:"
    assert.matches(expected, app:get("/wrap-in-gsub").body)
  end)
end)

describe("a stray coroutine.yield", function()
  it("fails its request alone", function()
    assert.equal(500, app:get("/stray-yield").status)
    assert.matches("await a Future instead", app.logs[1].message)
    assert.equal(200, app:get("/print").status)
  end)
end)

describe("an await in a module that a handler requires", function()
  it("raises and names require and its line, again and again", function()
    local expected = "lua/parts/waits%.lua:1: await cannot cross require, called at lua/app%.lua:"
    for _ = 1, 2 do
      assert.matches(expected, app:get("/require-lines").body)
    end
    assert.matches("await cannot cross require", app:get("/require").body)
    app.clock:advance(2) -- the sleeps that it could not wait for
  end)
end)

describe("in a handler", function()
  it("an accidental global is an error with its line", function()
    assert.matches("lua/app%.lua:%d+: accidental global 'counter': declare it with 'local'",
      app:get("/global").body)
  end)

  it("calls that would block the loop are refused, naming the way that does not", function()
    local expected = {
      execute = "os%.execute would stop every request.*ctx:http_request",
      exit = "os%.exit would end the server.*ctx:fail",
      popen = "io%.popen would stop every request.*ctx:http_request",
      read = "io%.read would stop every request.*ctx:read_file",
      socket = "module 'socket' blocks the loop: use ctx:http_request",
    }
    for name, pattern in pairs(expected) do
      assert.matches("^lua/app%.lua:%d+: .*" .. pattern, app:get("/blocking?call=" .. name).body)
    end
  end)

  it("print goes to the log", function()
    app:get("/print")
    assert.equal("seen\t1\tnil", app.logs[1].message)
    assert.equal("info", app.logs[1].level)
  end)
end)

describe("while the app is loading", function()
  local function fault_of(name)
    local ok, message = pcall(test.app, FOLDER .. "load_" .. name .. ".lua")
    assert.is_false(ok)
    return message
  end

  it("an accidental global is an error with its line", function()
    assert.matches("lua/load_global%.lua:1: accidental global 'counter'", fault_of("global"))
  end)

  it("await, spawn and I/O raise with their line and name app:on_start", function()
    for _, name in ipairs({ "await", "spawn", "future", "file", "after" }) do
      local message = fault_of(name)
      assert.matches("lua/load_" .. name .. "%.lua:1: ", message)
      assert.matches("while the app is loading.*put it into app:on_start%(fn%)", message)
    end
  end)
end)
