--- The network of specs: what it is asked and how it answers is in http_stub_spec.lua and
--- upstream_stub_spec.lua.
local test = require("moongate.test")
local net = require("moongate.test.net")
local helpers = dofile("spec/fixture/helpers.lua")

local app

local function calling(given)
  app = test.app(function(target)
    target:get("/", function(ctx)
      local res, err = ctx:http_request(given):try_await()
      return res and res.body or err.code
    end)
  end)
end

after_each(function()
  app:assert_no_leaks()
end)

describe("the network of specs", function()
  it("notes each request that it had, and what became of it", function()
    calling({ url = "http://a/b?c=1", method = "POST", body = "x", timeout = 2 })
    app:stub_http("POST http://a/b?c=1", test.never())
    app.clock:advance(1)
    assert.equal("timeout", app:get("/").body)
    local requests = net.requests(app, function()
      return true
    end)
    assert.equal(1, #requests)
    local request = requests[1]
    assert.same({ "POST", "/b?c=1", "http://a/b?c=1", "x", 1, true, "a" }, {
      request.method, request.path, request.url, request.body, request.at, request.cancelled,
      request.headers.host,
    })
    assert.same({}, net.requests(app, function()
      return false
    end))
  end)

  it("has nothing to do when nobody came", function()
    calling("http://a/")
    assert.is_false(net.poll())
  end)

  it("ends with its app what is under way", function()
    calling("http://a/")
    app:stub_http("http://a/", test.never())
    local flight = app:start("GET", "/")
    app.clock:settle()
    assert.equal(1, #app.net.peers)
    flight:disconnect()
    app:close()
    assert.same({}, app.net.peers)
    assert.is_true(app:requests_to("http://a/")[1].cancelled)
  end)

  it("raises in the spec what is wrong with a stub, and the call ends", function()
    calling("http://a/")
    app:stub_http("http://a/", function()
      error("this stub is broken")
    end)
    local flight = app:start("GET", "/")
    local message = helpers.message_of(flight.response, flight)
    assert.matches("net_spec%.lua:%d+: this stub is broken", message)
    assert.equal("connect", flight:response().body)
  end)
end)
