local errors = require("moongate.core.errors")
local moongate = require("moongate")
local test = require("moongate.test")

local ADDRESS = "0.0.0.0:7000"

describe("app:stream", function()
  local app

  after_each(function()
    if app then
      app:assert_no_leaks()
      app = nil
    end
  end)

  local function serve(fn, options)
    app = test.app(function(a)
      a:stream(ADDRESS, options, fn)
    end)
    return app:stream_connect(ADDRESS)
  end

  local function logged(level)
    for _, line in ipairs(app.logs) do
      if line.level == level then
        return line.message
      end
    end
  end

  it("ends a connection when its function returns", function()
    local client = serve(function(s)
      s:write("hello from " .. s.address)
    end)
    local text, ended = client:read()
    assert.equal("hello from " .. ADDRESS, text)
    assert.is_true(ended)
    client:disconnect()
  end)

  it("cancels the function when the client leaves", function()
    local code
    local client = serve(function(s)
      local _, err = pcall(function() return s:read():await() end)
      code = err.code
    end)
    app.clock:settle()
    client:disconnect()
    assert.equal("cancelled", code)
    assert.is_nil(logged("error"))
  end)

  it("tells of a function that fails", function()
    local client = serve(function()
      error("oh no")
    end)
    local _, ended = client:read()
    assert.is_true(ended)
    assert.truthy(logged("error"):find("the stream at " .. ADDRESS .. " failed (client unix)", 1,
      true))
    assert.truthy(logged("error"):find("oh no", 1, true))
    client:disconnect()
  end)

  it("tells of what failed beside the connection too: a time, a Future, another server", function()
    for want, fails in pairs({
      ["no result within 0.1 s"] = function() moongate.sleep(1):timeout(0.1):await() end,
      ["it awaited a Future that was cancelled"] = function()
        moongate.sleep(1):cancel():await()
      end,
      ["the database was closed"] = function()
        local future = moongate.future()
        future:reject(errors.new("closed", "the database was closed"))
        future:await()
      end,
    }) do
      local client = serve(fails)
      app.clock:advance(1)
      assert.truthy(logged("error"):find(want, 1, true), logged("error"))
      client:disconnect()
      app:assert_no_leaks()
    end
  end)

  it("does not tell of what the peer has done: it said nothing, or left in the middle", function()
    local client = serve(function(s)
      s:read():await()
    end, { idle = 5 })
    app.clock:advance(6)
    client:disconnect()
    app:assert_no_leaks()
    client = serve(function(s)
      s:read_until("."):await()
    end)
    client:send("no end"):finish():read()
    client:disconnect()
    assert.is_nil(logged("error"))
  end)

  it("has so many connections at once", function()
    local client = serve(function(s)
      s:read():await()
    end, { connections = 1 })
    app.clock:settle()
    local other = app:stream_connect(ADDRESS)
    local _, ended = other:read()
    assert.is_true(ended)
    assert.truthy(logged("warn"):find("more than 1 connections", 1, true))
    other:disconnect()
    local lines = #app.logs
    for _ = 1, 3 do
      local another = app:stream_connect(ADDRESS)
      assert.is_true(select(2, another:read()))
      another:disconnect()
    end
    assert.equal(lines, #app.logs)
    client:disconnect()
    local third = app:stream_connect(ADDRESS)
    _, ended = third:read()
    assert.is_false(ended)
    third:disconnect()
  end)

  it("closes what is idle", function()
    local code
    local client = serve(function(s)
      local _, err = s:read():try_await()
      code = err.code
    end, { idle = 5 })
    app.clock:advance(6)
    local _, ended = client:read()
    assert.is_true(ended)
    assert.equal("timeout", code)
    client:disconnect()
  end)

  it("says what is wrong with it", function()
    local cases = {
      { { "nowhere", print }, "stream: " },
      { { ADDRESS, { tls = true }, print }, "tls is for whoever operates the server to say" },
      { { ADDRESS, { idel = 1 }, print }, "did you mean" },
      { { ADDRESS, 7, print }, "stream: options" },
      { { ADDRESS, {}, 7 }, "stream: the function of " .. ADDRESS },
    }
    for _, case in ipairs(cases) do
      local ok, err = pcall(test.app, function(a)
        a:stream(unpack(case[1]))
      end)
      assert.is_false(ok)
      assert.truthy(tostring(err):find(case[2], 1, true), tostring(err))
    end
  end)

  it("is declared once for an address, by the app itself", function()
    local ok, err = pcall(test.app, function(a)
      a:stream(ADDRESS, print)
      a:stream(ADDRESS, print)
    end)
    assert.is_false(ok)
    assert.truthy(tostring(err):find("is spoken at by the function at", 1, true), tostring(err))
    ok, err = pcall(test.app, function(a)
      a:group("/x", function(group)
        group:stream(ADDRESS, print)
      end)
    end)
    assert.is_false(ok)
    assert.truthy(tostring(err):find("belongs to the app", 1, true), tostring(err))
  end)
end)
