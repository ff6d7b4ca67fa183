--- What a handler, a middleware or on_error returns, as the answer.
local test = require("moongate.test")
local helpers = dofile("spec/fixture/helpers.lua")

local app

local function handle(handler)
  app = test.app(function(a)
    a:any("/", handler)
  end)
end

local function serve(declare)
  app = test.app(declare)
end

local function logged()
  return helpers.logged(app)
end

after_each(function()
  app:assert_no_leaks()
end)

describe("what a handler returns", function()
  it("may be text, a table, or a status and one of them", function()
    local answers = {
      text = { "hello" },
      table = { { a = 1 } },
      created = { 201, { id = 7 } },
      teapot = { 418, "short and stout" },
      empty = { 204 },
    }
    handle(function(ctx)
      return unpack(answers[ctx.query.kind])
    end)
    local res = app:get("/?kind=text")
    assert.same({ 200, "hello", "text/plain; charset=utf-8" },
      { res.status, res.body, res.headers["content-type"] })
    res = app:get("/?kind=table")
    assert.same({ 200, '{"a":1}', "application/json" },
      { res.status, res.body, res.headers["content-type"] })
    res = app:get("/?kind=created")
    assert.same({ 201, '{"id":7}' }, { res.status, res.body })
    res = app:get("/?kind=teapot")
    assert.same({ 418, "short and stout" }, { res.status, res.body })
    res = app:get("/?kind=empty")
    assert.same({ 204, "" }, { res.status, res.body })
  end)

  it("keeps a type and status that were set before", function()
    handle(function(ctx)
      ctx:status(202):header("Content-Type", "text/csv")
      return "a,b\n"
    end)
    local res = app:get("/")
    assert.same({ 202, "text/csv", "a,b\n" }, { res.status, res.headers["content-type"], res.body })
  end)

  it("is refused if it is something else, naming what is allowed", function()
    handle(function()
      return true
    end)
    assert.equal(500, app:get("/").status)
    assert.matches("_spec%.lua:%d+: the handler returned true; allowed are a string, a table, "
      .. "a status from 200 to 599", logged())
  end)

  it("is refused as a whole if it cannot be understood", function()
    local returned = {
      ["42"] = { 42 }, ["99, a string"] = { 99, "x" }, ["200.5"] = { 200.5 },
      ["a string, 201"] = { "x", 201 }, ["nil, 201"] = { nil, 201 },
      ["201, a table, a string"] = { 201, {}, "x" }, ["a table, true"] = { {}, true },
      ["200, 200"] = { 200, 200 }, ["a function"] = { print },
    }
    handle(function(ctx)
      local row = returned[ctx.query.row]
      return unpack(row, 1, 3)
    end)
    for row in pairs(returned) do
      app.logs[1] = nil
      assert.equal(500, app:get("/?row=" .. row:gsub(" ", "%%20")).status)
      local said = "the handler returned " .. row:gsub("%p", "%%%0") .. "[;:]"
      assert.matches("returned_spec%.lua:%d+: " .. said, logged())
    end
  end)

  it("is no Future and not ctx itself", function()
    handle(function(ctx)
      return ctx.query.ctx and ctx or ctx:sleep(0)
    end)
    assert.equal(500, app:get("/?ctx=1").status)
    assert.matches("the handler returned ctx;", logged())
    assert.equal(500, app:get("/").status)
    assert.matches("returned_spec%.lua:%d+: the handler returned a Future made at "
      .. "%S+returned_spec%.lua:%d+ %(sleep%): :await%(%) is missing", logged())
  end)

  it("is held to the same by middleware and on_error", function()
    serve(function(a)
      a:use(function(ctx, next)
        next()
        if ctx.query.middleware then
          return "x", 201
        end
      end)
      a:on_error(function()
        return 42
      end)
      a:get("/", function()
        return "fine"
      end)
      a:get("/fails", function()
        error("boom")
      end)
    end)
    assert.equal(500, app:get("/?middleware=1").status)
    assert.matches("returned_spec%.lua:%d+: the middleware returned a string, 201: the status "
      .. "comes first", logged())
    assert.equal(500, app:get("/fails").status)
    assert.matches("returned_spec%.lua:%d+: the on_error function returned 42;", logged())
  end)

  it("may be what ctx:proxy gave, which is staged already", function()
    app = test.app(function(a)
      a:get("/", function(ctx) return ctx:proxy("shop") end)
      a:get("/made", function(ctx) return 201, ctx:proxy("shop") end)
      a:get("/late", function(ctx)
        local answer = ctx:proxy("shop")
        ctx:text("closed")
        return answer
      end)
    end, { upstreams = { shop = { "http://127.0.0.1:9001" } } })
    app:stub_upstream("shop", { status = 203, body = "a chair" })
    local res = app:get("/")
    assert.same({ 203, "a chair" }, { res.status, res.body })
    res = app:get("/made")
    assert.same({ 201, "a chair" }, { res.status, res.body })
    assert.equal(500, app:get("/late").status)
    assert.matches("the handler returned what ctx:proxy gave, in whose place", logged())
  end)

  it("is refused if JSON cannot say it", function()
    handle(function()
      return { f = print }
    end)
    assert.equal(500, app:get("/").status)
    assert.matches("a function cannot be JSON", logged())
  end)
end)
