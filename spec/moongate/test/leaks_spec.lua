local moongate = require("moongate")
local test = require("moongate.test")
local helpers = dofile("spec/fixture/helpers.lua")
local message_of = helpers.message_of

local app

local function handle(handler, options)
  app = test.app(function(a)
    a:any("/", handler)
  end, options)
  return app
end

describe("assert_no_leaks", function()
  local function here()
    return debug.getinfo(2, "l").currentline
  end

  local function leaks_of(handler)
    handle(handler)
    app:get("/")
    return message_of(function()
      app:assert_no_leaks()
    end)
  end

  it("names the line where a coroutine waits", function()
    local line = here() + 3
    local message = leaks_of(function()
      moongate.spawn(function()
        moongate.sleep(60):await()
      end)
      return "ok"
    end)
    assert.matches("a coroutine that waits at %S*leaks_spec%.lua:" .. line, message)
    assert.matches("leaks_spec%.lua:%d+: left behind", message)
  end)

  it("names the line that made an operation", function()
    local line = here() + 2
    local message = leaks_of(function()
      moongate.sleep(60)
      return "ok"
    end)
    assert.matches("unfinished operation, made at %S*leaks_spec%.lua:" .. line, message)
  end)

  it("names the line that made a pending Future, in a request too", function()
    local line = here() + 2
    local message = leaks_of(function()
      moongate.future()
      return "ok"
    end)
    assert.matches("a pending Future, made at %S*leaks_spec%.lua:" .. line, message)
  end)

  it("names the line whose stub never answers", function()
    local line = here() + 3
    local message
    handle(function(ctx)
      ctx:query_cache("k")
      return "ok"
    end):stub_cache("k", test.never())
    app:get("/")
    message = message_of(function()
      app:assert_no_leaks()
    end)
    assert.matches("a pending Future, made at %S*leaks_spec%.lua:" .. line, message)
  end)

  it("is content with jobs, kept connections and finished work", function()
    app = test.app(function(a)
      a:every("job", 10, print)
      a:get("/", function(ctx)
        ctx:sleep(1):await()
        return "ok"
      end)
    end)
    app:start("GET", "/"):keep():response()
    app.clock:advance(15)
    app:assert_no_leaks()
  end)

  it("cleans up, so that the next app begins anew", function()
    leaks_of(function()
      moongate.sleep(60)
      return "ok"
    end)
    handle(print)
    app:assert_no_leaks()
  end)
end)
