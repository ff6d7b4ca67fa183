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

describe("test.app", function()
  after_each(function()
    app:assert_no_leaks()
  end)

  it("takes a function that declares routes", function()
    handle(function()
      return "declared here"
    end)
    assert.equal("declared here", app:get("/").body)
  end)

  it("takes a script, and the configuration's limits and timeouts", function()
    app = test.app("spec/fixture/runtime/lua/app.lua", { limits = { body = 3 } })
    assert.equal("ok", app:get("/print").body)
    handle(function(ctx)
      return ctx:body():await()
    end, { limits = { body = 3 }, timeouts = { handler = 2 } })
    assert.equal(413, app:post("/", { body = "four" }).status)
    assert.equal("abc", app:post("/", { body = "abc" }).body)
  end)

  it("refuses options that the configuration would refuse", function()
    assert.matches("bdy", message_of(test.app, print, { limits = { bdy = 3 } }))
  end)

  it("refuses options that it does not know, at the caller's line", function()
    local where = ("init_spec.lua:%d: "):format(debug.getinfo(1, "l").currentline + 1)
    local message = message_of(function() test.app(print, { databse = "sqlite::memory:" }) end)
    assert.matches(where .. 'test.app: "databse" is unknown', message, 1, true)
    assert.matches("(did you mean 'database'?)", message, 1, true)
    assert.matches("test.app: a table is wanted", message_of(test.app, print, "root"), 1, true)
    handle(function() return "" end)
    for _, call in ipairs({
      function() app:get("/", { header = { a = "b" } }) end,
      function() app:post("/", { headers = {}, boddy = "x" }) end,
      function() app:request("PUT", "/", { josn = {} }) end,
      function() app:start("GET", "/", { qery = {} }) end,
    }) do
      message = message_of(call)
      assert.matches("init_spec.lua:%d+: a request: .* is unknown, allowed are body, form", message)
      assert.matches("did you mean '", message, 1, true)
    end
    assert.matches("a request: a table is wanted", message_of(app.get, app, "/", "x"), 1, true)
    assert.matches("the path: a string is wanted", message_of(app.get, app), 1, true)
  end)

  it("refuses options of stubbed calls that the real ones would refuse", function()
    handle(function(ctx)
      local calls = {
        function() ctx:read_file("a", { mx = 1 }) end,
        function() ctx:update_cache("a", 1, { tll = 1 }) end,
        function() ctx:increment_cache("a", 1, { intial = 1 }) end,
        function() ctx:write_file("a", "", { mode = 0 }) end,
      }
      for i, call in ipairs(calls) do
        calls[i] = select(2, pcall(call))
      end
      return calls
    end)
    app:stub_file("a", "text"):stub_cache():stub("write_file", true)
    local said = app:get("/"):json()
    assert.matches("read_file: \"mx\" is unknown, allowed are max", said[1], 1, true)
    assert.matches("did you mean 'ttl'?", said[2], 1, true)
    assert.matches("did you mean 'initial'?", said[3], 1, true)
    assert.matches("write_file.mode", said[4], 1, true)
  end)

  it("tells a faulty declaration with its line", function()
    assert.matches("init_spec%.lua:%d+: .*pattern", message_of(test.app, function(a)
      a:get("users", print)
    end))
  end)

  it("believes the trusted proxies alone", function()
    local function ip(trusted)
      handle(function(ctx)
        return ctx.client_ip
      end, { trusted_proxies = trusted })
      return app:get("/", { headers = { ["X-Forwarded-For"] = "192.0.2.7" } }).body
    end
    assert.not_equal("192.0.2.7", ip(nil))
    assert.equal("192.0.2.7", ip({ "unix" }))
    handle(function(ctx)
      return ctx.client_ip
    end, { trusted_proxies = { "unix" }, forwarded = "forwarded" })
    local fields = { ["X-Forwarded-For"] = "192.0.2.7", Forwarded = "for=192.0.2.8" }
    assert.equal("192.0.2.8", app:get("/", { headers = fields }).body)
  end)
end)

describe("a stub", function()
  after_each(function()
    app:assert_no_leaks()
  end)

  local SQL = "SELECT name FROM users WHERE id = $1"

  local function query()
    return handle(function(ctx)
      local rows, err = ctx:query_database(SQL, 7):try_await()
      return { rows = rows, code = err and err.code, message = err and err.message }
    end)
  end

  it("of a statement gives rows, or what a function makes of the parameters", function()
    query():stub_database(SQL, { { name = "Ada" } })
    assert.same({ { name = "Ada" } }, app:get("/"):json().rows)
    app:stub_database(SQL, function(id)
      return { { name = "user " .. id } }
    end)
    assert.same({ { name = "user 7" } }, app:get("/"):json().rows)
  end)

  it("may be false", function()
    handle(function(ctx)
      return tostring(ctx:query_cache("k"):await())
    end):stub_cache("k", false)
    assert.equal("false", app:get("/").body)
  end)

  it("may fail with a code", function()
    query():stub_database(SQL, test.fail("database", "too many connections"))
    assert.same({ code = "database", message = "too many connections" }, app:get("/"):json())
    app:stub_database(SQL, test.fail("timeout"))
    assert.matches("stubbed failure", app:get("/"):json().message)
  end)

  it("may answer after some time", function()
    query():stub_database(SQL, test.after(1.5, { "row" }))
    assert.same({ "row" }, app:get("/"):json().rows)
    assert.near(1.5, app.clock:elapsed(), 0.001)
  end)

  it("may never answer", function()
    app = test.app(function(a)
      a:get("/", { timeout = 2 }, function(ctx)
        return ctx:query_database(SQL):await()
      end)
    end)
    app:stub_database(SQL, test.never())
    assert.equal(504, app:get("/").status)
    assert.near(2, app.clock:elapsed(), 0.001)
  end)

  it("may be a Future that the spec settles", function()
    local rows = moongate.future()
    query():stub_database(SQL, rows)
    local flight = app:start("GET", "/")
    app.clock:advance(3)
    rows:resolve({ "late" })
    assert.same({ "late" }, flight:response():json().rows)
  end)

  it("of any call gets ctx and the arguments", function()
    handle(function(ctx)
      return ctx:http_request("http://users/", { method = "PUT" }):await()
    end):stub("http_request", function(ctx, url, options)
      return { path = ctx.path, url = url, method = options.method }
    end)
    assert.same({ path = "/", url = "http://users/", method = "PUT" }, app:get("/"):json())
    assert.equal("http_request", app.calls[1].name)
    assert.equal("http://users/", app.calls[1][1])
  end)

  it("of a call that needs no network leaves other arguments to the real one", function()
    handle(function(ctx)
      return ctx:read_file("a"):await() .. ctx:read_file("spec/fixture/public/hello.txt"):await()
    end):stub_file("a", "stubbed ")
    assert.matches("^stubbed .", app:get("/").body)
  end)

  it("that is missing is refused at the caller's line, showing the stub to write", function()
    local cases = {
      query_database = { '("what")', 'app:stub_database("what", { { ... } })' },
      query_cache = { '("what")', 'app:stub_cache("what", "value")' },
      http_request = { " GET what", 'app:stub_http("GET what", { status = 200, json = { ... } })' },
      update_cache = { '("what")', "app:stub_cache() -- a cache in memory" },
    }
    handle(function(ctx)
      local _, message = pcall(function()
        local f = ctx[ctx.query.call](ctx, "what")
        return f
      end)
      return message
    end)
    for name, case in pairs(cases) do
      local message = app:get("/?call=" .. name).body
      assert.matches("init_spec%.lua:%d+: " .. name, message)
      assert.is_truthy(message:find(name .. case[1] .. " is not stubbed, and", 1, true), message)
      assert.is_truthy(message:find(case[2], 1, true), message)
    end
  end)

  it("of an unknown call is refused, naming those that there are", function()
    handle(print)
    assert.matches("init_spec%.lua:%d+: stub: allowed are .*query_database",
      message_of(function()
        app:stub("query_databse", 1)
      end))
  end)

  it("goes with its app", function()
    query():stub_database(SQL, { "old" })
    app:close()
    query()
    assert.matches("is not stubbed", app:get("/").status == 500 and app.logs[1].message)
  end)
end)

describe("app:run", function()
  before_each(function()
    handle(print)
  end)

  after_each(function()
    app:assert_no_leaks()
  end)

  it("gives what the function returns and raises what it raises", function()
    local a, b = app:run(function(x)
      moongate.sleep(1):await()
      return x, nil
    end, 1)
    assert.same({ 1, nil }, { a, b })
    local err = helpers.error_of(function()
      app:run(error, "raised")
    end)
    assert.equal("raised", err.message)
  end)

  it("fails if the function waits for ever", function()
    assert.matches("the function given to app:run waits for something that can never happen",
      message_of(function()
        app:run(function()
          moongate.future():await()
        end)
      end))
    app:close()
  end)
end)

describe("jobs of a spec", function()
  local runs

  local function start(options)
    runs = 0
    app = test.app(function(a)
      a:every("count", 60, function()
        moongate.sleep(5):await()
        runs = runs + 1
      end)
      a:every("broken", 1e6, function()
        error("no printer")
      end)
    end, options)
  end

  after_each(function()
    app:assert_no_leaks()
  end)

  it("run in virtual time", function()
    start()
    app.clock:advance(200)
    assert.equal(3, runs)
  end)

  it("run by name, until they have ended", function()
    start({ jobs = false })
    app.clock:advance(200)
    assert.equal(0, runs)
    app:run_job("count")
    assert.equal(1, runs)
    assert.near(205, app.clock:elapsed(), 0.001)
    local err = helpers.error_of(app.run_job, app, "broken")
    assert.matches("init_spec%.lua:%d+: no printer", tostring(err))
    helpers.refused(function()
      app:run_job("cuont")
    end, 'run_job: the job: "cuont" is unknown, allowed are broken, count %(did you mean .count')
  end)
end)
