local test = require("moongate.test")
local helpers = dofile("spec/fixture/helpers.lua")

local app

local function serve(declare, options)
  app = test.app(declare, options)
  return app
end

local function logged()
  return helpers.logged(app)
end

after_each(function()
  app:assert_no_leaks()
end)

describe("a handler without an answer", function()
  it("is a 500 with a log line naming the route", function()
    serve(function(a)
      a:get("/users/:id", function() end)
    end)
    assert.equal(500, app:get("/users/7").status)
    assert.equal(1, #app.logs)
    assert.matches("the handler of GET /users/:id ended without an answer", logged())
    assert.equal("/users/:id", app.logs[1].fields.route)
  end)
end)

describe("middleware", function()
  local order

  local function around(name)
    return function(ctx, next)
      order[#order + 1] = "into " .. name
      ctx:sleep(1):await()
      next()
      ctx:sleep(1):await()
      order[#order + 1] = "out of " .. name
      ctx:header("X-" .. name, "seen")
    end
  end

  local function with(middleware, handler)
    return serve(function(a)
      for _, fn in ipairs(middleware) do
        a:use(fn)
      end
      a:get("/", handler or function()
        return "handler"
      end)
    end)
  end

  before_each(function()
    order = {}
  end)

  it("is an onion; await is legal before and after next()", function()
    with({ around("A"), around("B") })
    local res = app:get("/")
    assert.same({ "into A", "into B", "out of B", "out of A" }, order)
    assert.near(4, app.clock:elapsed(), 0.001)
    assert.equal("handler", res.body)
    assert.equal("seen", res.headers["x-a"])
    assert.equal("seen", res.headers["x-b"])
  end)

  it("may answer itself and never call next()", function()
    with({ function(ctx)
      ctx:fail(401, "who are you?")
    end }, function()
      order[1] = "handler"
      return "secret"
    end)
    assert.equal(401, app:get("/").status)
    assert.same({}, order)
  end)

  it("that calls next() a second time raises at its line", function()
    with({ function(_, next)
      next()
      next()
    end })
    assert.equal(500, app:get("/").status)
    assert.matches("onion_spec%.lua:%d+: next%(%) was called a second time", logged())
  end)

  it("replaces the whole staged answer by its own return", function()
    with({ function(_, next)
      next()
      return "replaced"
    end }, function()
      return 201, { from = "handler" }
    end)
    local res = app:get("/")
    assert.same({ 200, "replaced", "text/plain; charset=utf-8" },
      { res.status, res.body, res.headers["content-type"] })
  end)

  it("replaces with a status and type of its own", function()
    with({ function(ctx, next)
      next()
      ctx:status(202):header("Content-Type", "text/csv")
      return "a,b"
    end })
    local res = app:get("/")
    assert.same({ 202, "a,b", "text/csv" }, { res.status, res.body, res.headers["content-type"] })
  end)

  it("may answer after next()", function()
    with({ function(ctx, next)
      next()
      ctx:json({ instead = true }, 203)
    end })
    local res = app:get("/")
    assert.same({ 203, '{"instead":true}' }, { res.status, res.body })
  end)

  it("sees what the handler raises", function()
    with({ function(ctx, next)
      local ok, err = pcall(next)
      ctx:json({ ok = ok, message = err.message })
    end }, function(ctx)
      ctx:fail(400, "caught")
    end)
    assert.same({ ok = false, message = "caught" }, app:get("/"):json())
  end)

  it("surrounds what no route takes", function()
    with({ around("A") })
    local res = app:get("/nowhere")
    assert.equal(404, res.status)
    assert.same({ "into A" }, order)
  end)

  it("keeps its next() to itself, whatever else is asked meanwhile", function()
    local kept, seen = nil, {}
    with({ function(ctx, next)
      if not kept then
        kept = next
        next()
        return
      end
      seen[#seen + 1] = { pcall(kept) }
      next()
      ctx:header("X-Own", "yes")
    end })
    for i = 0, 300 do
      local res = app:get("/")
      assert.equal("handler", res.body)
      assert.equal(i > 0 and "yes" or nil, res.headers["x-own"])
    end
    assert.equal(300, #seen)
    for _, result in ipairs(seen) do
      assert.is_false(result[1])
      assert.matches("next%(%) was called a second time", tostring(result[2]))
    end
  end)

  it("may call next() in another coroutine", function()
    with({ function(ctx, next)
      ctx:spawn(next):await()
      ctx:header("X-After", "yes")
    end }, function(ctx)
      ctx:sleep(1):await()
      return "handler"
    end)
    local res = app:get("/")
    assert.same({ "handler", "yes" }, { res.body, res.headers["x-after"] })
  end)

  it("may be nested deeply", function()
    local list = {}
    for i = 1, 50 do
      list[i] = function(ctx, next)
        next()
        ctx:header("X-" .. i, tostring(i))
      end
    end
    with(list)
    for _ = 1, 100 do
      local res = app:get("/")
      assert.equal("handler", res.body)
      assert.equal("1", res.headers["x-1"])
      assert.equal("50", res.headers["x-50"])
    end
  end)
end)
