--- app:stub_upstream: servers of upstreams, in memory and virtual time.
local test = require("moongate.test")

local ONE, TWO = "http://127.0.0.1:9001", "http://127.0.0.1:9002"

local app

local function serve(upstream, declare)
  app = test.app(declare or function(target)
    target:any("/*path", function(ctx) ctx:proxy("users") end)
  end, { upstreams = { users = upstream or { servers = { ONE, TWO }, balance = "round_robin" } } })
  return app
end

after_each(function()
  if app then
    app:assert_no_leaks()
  end
  app = nil
end)

local function servers_of(requests)
  local list = {}
  for i, request in ipairs(requests) do
    list[i] = request.server
  end
  return list
end

describe("stub_upstream", function()
  it("answers for each server, named by URL, address or number", function()
    serve():stub_upstream("users", { [ONE] = "one", ["127.0.0.1:9002"] = "two" })
    local bodies = { app:get("/a").body, app:get("/b").body }
    table.sort(bodies)
    assert.same({ "one", "two" }, bodies)
    app:stub_upstream("users", { "first", "second" })
    bodies = { app:get("/c").body, app:get("/d").body }
    table.sort(bodies)
    assert.same({ "first", "second" }, bodies)
    assert.equal(4, #app:requests_to("users"))
  end)

  it("answers for all servers alike", function()
    for _, answer in ipairs({
      "the same", { status = 200, body = "the same" }, function() return "the same" end,
      test.after(1, "the same"),
    }) do
      serve():stub_upstream("users", answer)
      assert.equal("the same", app:get("/a").body)
      assert.equal("the same", app:get("/b").body)
      assert.equal(2, #app:requests_to("users"))
      app:close()
    end
    app = nil
  end)

  it("takes tables, functions of the request and makers", function()
    serve({ servers = { ONE } }):stub_upstream("users", { function(request)
      return { status = 202, json = { path = request.path, body = request.body } }
    end })
    local res = app:post("/x?y=1", { body = "hello" })
    assert.equal(202, res.status)
    assert.same({ path = "/x?y=1", body = "hello" }, res:json())
    app:stub_upstream("users", { test.after(5, "late") })
    assert.equal("late", app:get("/x").body)
    assert.near(5, app.clock:elapsed(), 0.01)
  end)

  it("goes through a sequence, connections that are refused among it", function()
    serve({ servers = { ONE } }):stub_upstream("users", {
      test.sequence({ test.fail("connect"), test.fail("closed"), "third" }),
    })
    assert.equal(502, app:get("/a").status)
    assert.equal(502, app:post("/b", { body = "x" }).status)
    assert.equal("third", app:get("/c").body)
    assert.equal(2, #app:requests_to("users"))
  end)

  it("sees what is cancelled", function()
    serve({ servers = { ONE }, timeouts = { first_byte = 3 } })
      :stub_upstream("users", { test.never() })
    assert.equal(504, app:get("/a").status)
    assert.near(3, app.clock:elapsed(), 0.01)
    app.clock:settle()
    local request = app:requests_to("users")[1]
    assert.is_true(request.cancelled)
    assert.equal(0, request.at)
  end)

  it("shows connections that are used again", function()
    serve({ servers = { ONE } }):stub_upstream("users", { "x" })
    for _ = 1, 5 do
      assert.equal("x", app:get("/a").body)
    end
    assert.equal(1, app.net.servers["127.0.0.1:9001"].connections)
  end)

  it("refuses names that there are not", function()
    serve()
    assert.error_matches(function()
      app:stub_upstream("user", { "x" })
    end, 'no upstream "user" %(did you mean .users')
    assert.error_matches(function()
      app:stub_upstream("users", { ["127.0.0.1:9003"] = "x" })
    end, 'has no server 127%.0%.0%.1:9003')
  end)

  it("shows the stub to write for a server that has none", function()
    serve()
    assert.error_matches(function()
      app:get("/a")
    end, "127%.0%.0%.1:900%d, which no stub answers.*app:stub_upstream")
    app:close()
    app = nil
  end)
end)

describe("several servers", function()
  it("are asked in turn", function()
    serve():stub_upstream("users", { "one", "two" })
    for _ = 1, 4 do
      app:get("/a")
    end
    local seen = servers_of(app:requests_to("users"))
    assert.equal(seen[1], seen[3])
    assert.equal(seen[2], seen[4])
    assert.is_not.equal(seen[1], seen[2])
  end)
end)

describe("in virtual time", function()
  it("another server is asked when one fails", function()
    serve({ servers = { ONE, TWO }, balance = "round_robin", retries = { count = 1 } })
      :stub_upstream("users", { test.fail("connect"), "two" })
    for _ = 1, 4 do
      assert.equal("two", app:get("/a").body)
    end
    assert.equal(4, #app:requests_to("users"))
  end)

  it("a POST that was read is not repeated", function()
    serve({ servers = { ONE }, retries = { count = 1 } })
      :stub_upstream("users", { test.fail("closed") })
    assert.equal(502, app:post("/a", { body = "pay" }).status)
    assert.equal(1, #app:requests_to("users"))
  end)

  it("a server that fails is left out, and comes back", function()
    serve({ servers = { ONE, TWO }, balance = "round_robin",
      outlier = { failures = 2, eject = 10 } })
      :stub_upstream("users", { { status = 500 }, "two" })
    for _ = 1, 20 do
      app:get("/a")
    end
    local failed = 0
    for _, request in ipairs(app:requests_to("users")) do
      failed = failed + (request.server == ONE and 1 or 0)
    end
    assert.equal(2, failed)
    app:stub_upstream("users", { "one" })
    app.clock:advance(11)
    local bodies = { app:get("/a").body, app:get("/a").body }
    table.sort(bodies)
    assert.same({ "one", "two" }, bodies)
  end)

  it("a second server is asked if the first is slow, and the loser is cancelled", function()
    serve({ servers = { ONE, TWO }, balance = "round_robin", hedge = { after = 0.3 } })
      :stub_upstream("users", { test.never(), test.never() })
    app:stub_upstream("users", { [TWO] = test.after(0.1, "two") })
    local first
    repeat -- until it is the turn of the one that never answers
      local before, at = #app:requests_to("users"), app.clock:elapsed()
      assert.equal("two", app:get("/a").body)
      first = app:requests_to("users")[before + 1]
      if first.server == ONE then
        assert.near(0.4, app.clock:elapsed() - at, 0.02)
      end
    until first.server == ONE
    app.clock:settle()
    assert.is_true(first.cancelled)
  end)
end)

describe("what a script says of an upstream's servers", function()
  local moongate = require("moongate")

  it("holds from then on", function()
    serve({ servers = { ONE } }, function(target)
      target:every("discover", 60, function()
        moongate.upstream("users"):set_servers(
          moongate.http.get("http://registry.internal/users"):await():json())
      end)
      target:proxy("/users/*path", "users")
    end)
    app:stub_upstream("users", "one")
    app:stub_http("http://registry.internal/users", { json = { TWO } })
    app:stub_upstream(TWO, "two")
    assert.equal("one", app:get("/users/1").body)
    app:run_job("discover")
    assert.equal("two", app:get("/users/1").body)
    assert.equal(TWO, moongate.upstream("users"):servers()[1].url)
    moongate.upstream("users"):set_servers()
    assert.equal("one", app:get("/users/1").body)
  end)

  it("takes a server out, and in again", function()
    serve():stub_upstream("users", { [ONE] = "one", [TWO] = "two" })
    moongate.upstream("users"):drain(ONE)
    assert.same({ "two", "two" }, { app:get("/a").body, app:get("/b").body })
    moongate.upstream("users"):drain(ONE, false)
    local bodies = { app:get("/a").body, app:get("/b").body }
    table.sort(bodies)
    assert.same({ "one", "two" }, bodies)
  end)

  it("is refused where it cannot be", function()
    serve()
    assert.error_matches(function() moongate.upstream("users"):set_servers({ "9001" }) end,
      'servers%[1%].*"9001" is no URL of a server')
  end)

  it("has the times of a split's part", function()
    app = test.app(function(target)
      target:any("/*path", function(ctx) ctx:proxy("users") end)
    end, { upstreams = {
      users = { split = { { "quick", 1 } } },
      quick = { servers = { ONE }, timeouts = { first_byte = 1, total = 3 } },
    } })
    app:stub_upstream("quick", test.after(2, "late"))
    assert.equal(504, app:get("/a").status)
    app:stub_upstream("quick", test.after(0.9, "in time"))
    assert.equal("in time", app:get("/a").body)
  end)

  it("is given up after a total time of the request's or the route's own", function()
    app = test.app(function(target)
      target:get("/lua", function(ctx) ctx:proxy("users", { timeouts = { total = 1 } }) end)
      target:proxy("/*path", "users", { timeouts = { total = 1 } })
    end, { upstreams = { users = { ONE } } })
    for _, path in ipairs({ "/lua", "/c" }) do
      app:stub_upstream("users", test.after(2, "late"))
      assert.equal(504, app:get(path).status)
      app:stub_upstream("users", test.after(0.9, "in time"))
      assert.equal("in time", app:get(path).body)
    end
  end)

  it("says where an upstream comes from that is not there", function()
    serve()
    assert.error_matches(function() app:stub_upstream("user", "x") end,
      'no upstream "user" (did you mean \'users\'?): give it to test.app as { upstreams = '
      .. "{ user = { ... } } }, or as { configuration = true } what conf/moongate.lua has", 1, true)
  end)

  it("drains nobody who is not there", function()
    serve()
    assert.error_matches(function() moongate.upstream("users"):drain(ONE .. "1") end,
      ("url: upstream 'users' has no server '%s1', allowed: %s, %s (did you mean '%s'?)")
        :format(ONE, ONE, TWO, ONE), 1, true)
    moongate.upstream("users"):drain(ONE .. "/") -- as it may be written in the configuration
    assert.equal("draining", moongate.upstream("users"):servers()[1].state)
  end)
end)
