--- What a handler says in its answer.
local test = require("moongate.test")
local helpers = dofile("spec/fixture/helpers.lua")

local app

-- Any method on any path is given to `handler`.
local function handle(handler, options)
  app = test.app(function(a)
    a:any("/", handler)
    a:any("/:name/*rest", { name = "named" }, handler)
  end, options)
  return app
end

local function serve(declare)
  app = test.app(declare)
end

local function logged()
  return helpers.logged(app)
end

-- What `fn(ctx)` raises, as text.
local function fault(fn)
  handle(function(ctx)
    local ok, err = pcall(fn, ctx)
    return ok and "no error" or tostring(err)
  end)
  return app:get("/").body
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
      assert.matches("answer_spec%.lua:%d+: " .. said, logged())
    end
  end)

  it("is no Future and not ctx itself", function()
    handle(function(ctx)
      return ctx.query.ctx and ctx or ctx:sleep(0)
    end)
    assert.equal(500, app:get("/?ctx=1").status)
    assert.matches("the handler returned ctx;", logged())
    assert.equal(500, app:get("/").status)
    assert.matches("answer_spec%.lua:%d+: the handler returned a Future made at "
      .. "%S+answer_spec%.lua:%d+ %(sleep%): :await%(%) is missing", logged())
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
    assert.matches("answer_spec%.lua:%d+: the middleware returned a string, 201: the status comes "
      .. "first", logged())
    assert.equal(500, app:get("/fails").status)
    assert.matches("answer_spec%.lua:%d+: the on_error function returned 42;", logged())
  end)

  it("is refused if JSON cannot say it", function()
    handle(function()
      return { f = print }
    end)
    assert.equal(500, app:get("/").status)
    assert.matches("a function cannot be JSON", logged())
  end)
end)

describe("what a script says in a head", function()
  local SPLIT = "text/plain\r\nX-Split: 1"
  local SAID = {
    bytes = function(ctx) ctx:bytes(SPLIT, "x") end,
    stream = function(ctx) ctx:stream(SPLIT, print) end,
    send_file = function(ctx) ctx:send_file("spec/app_spec.lua", { type = SPLIT }) end,
    header = function(ctx) ctx:header("Content-Type", SPLIT):text("x") end,
    redirect = function(ctx) ctx:redirect("/x\r\nX-Split: 1") end,
    cookie = function(ctx) ctx:cookie("a", "b", { path = "/x\r\nX-Split: 1" }) return "x" end,
  }

  for name, say in pairs(SAID) do
    it("holds no line end: " .. name, function()
      handle(say)
      local res = app:get("/")
      assert.equal(500, res.status)
      assert.is_nil(res.headers["x-split"])
      assert.matches("answer_spec%.lua:%d+: .*control character", logged())
    end)
  end

  it("holds no line end: trailer", function()
    local message
    handle(function(ctx)
      ctx:stream("text/plain", function(out)
        message = select(2, pcall(function()
          out:trailer("X", SPLIT)
        end))
        out:write("x")
      end)
    end)
    assert.equal("x", app:get("/").body)
    assert.matches("answer_spec%.lua:%d+: header X: .*control character", message)
  end)

  it("is looked at once more by C", function()
    local native = require("moongate.native")
    local slots = require("moongate.core.request.slots")
    local told = {}
    handle(function(ctx)
      for i, answer in ipairs({ { 99 }, { 1000 }, { 0 / 0 }, { 2 ^ 64 }, { 200, SPLIT },
        { 200, false, { "X", SPLIT } } }) do
        told[i] = select(2, native.respond(ctx[slots.HANDLE], answer[1], answer[2] or false,
          answer[3] or false, "x"))
      end
      return "fine"
    end)
    assert.equal("fine", app:get("/").body)
    for i = 1, 4 do
      assert.matches("a status is an integer from 200 to 599", told[i])
    end
    assert.matches("media type", told[5])
    assert.matches("header field", told[6])
  end)
end)

describe("an answer", function()
  it("of each kind has its type", function()
    local kinds = {
      text = { "text/plain; charset=utf-8", function(ctx) ctx:text("x") end },
      html = { "text/html; charset=utf-8", function(ctx) ctx:html("x") end },
      json = { "application/json", function(ctx) ctx:json("x") end },
      bytes = { "image/png", function(ctx) ctx:bytes("image/png", "x") end },
    }
    handle(function(ctx)
      kinds[ctx.query.kind][2](ctx)
    end)
    for kind, expected in pairs(kinds) do
      assert.equal(expected[1], app:get("/?kind=" .. kind).headers["content-type"])
    end
  end)

  it("cannot be changed once it is on its way", function()
    local message
    handle(function(ctx)
      ctx:stream("text/plain", function(out)
        out:write("x")
        message = select(2, pcall(function()
          ctx:header("X-Late", "1")
        end))
      end)
    end)
    app:get("/")
    assert.matches("answer_spec%.lua:%d+: the answer has been sent already", message)
  end)

  it("redirects with 302 or as told, and nothing else", function()
    handle(function(ctx)
      ctx:redirect("/there", tonumber(ctx.query.status))
    end)
    local res = app:get("/")
    assert.same({ 302, "/there" }, { res.status, res.headers.location })
    assert.equal(308, app:get("/?status=308").status)
    assert.equal(500, app:get("/?status=200").status)
  end)

  it("wants a status of 200 to 599", function()
    for _, bad in ipairs({ 99, 100, 600, 200.5, "200" }) do
      assert.matches("answer_spec%.lua:%d+: a status is an integer from 200 to 599",
        fault(function(ctx)
          ctx:status(bad)
        end))
    end
  end)

  it("sets cookies whose options come from a metatable", function()
    handle(function(ctx)
      ctx:cookie("a", "1", setmetatable({}, { __index = function(_, key)
        if key == "path" then
          return "/" .. ("x"):rep(20) .. key
        elseif key == "domain" then
          collectgarbage()
          local others = {} -- in the place of what is not kept
          for i = 1, 5000 do
            others[i] = ("y"):rep(21) .. 1000 + i
          end
          return others[1] and "a.example"
        end
      end }))
      return "ok"
    end)
    assert.equal("a=1; Path=/xxxxxxxxxxxxxxxxxxxxpath; Domain=a.example",
      app:get("/").headers["set-cookie"])
  end)

  it("sets cookies", function()
    handle(function(ctx)
      ctx:cookie("a", "1", { http_only = true }):cookie("b", "2")
      return "ok"
    end)
    local cookies = {}
    for _, field in ipairs(app:get("/").header_list) do
      if field[1] == "set-cookie" then
        cookies[#cookies + 1] = field[2]
      end
    end
    assert.equal(2, #cookies)
    assert.matches("^a=1;.*HttpOnly", cookies[1])
  end)
end)

describe("a header of the answer", function()
  it("with CR, LF or NUL is refused with an error naming it", function()
    for _, bad in ipairs({ "a\r\nSet-Cookie: x=1", "a\nb", "a\rb", "a\0b" }) do
      assert.matches("answer_spec%.lua:%d+: header X%-Name: the value holds CR, LF, NUL",
        fault(function(ctx)
          ctx:header("X-Name", bad)
        end))
      assert.matches("header X%-Name: the value holds", fault(function(ctx)
        ctx:add_header("X-Name", bad)
      end))
      assert.matches("header Location: the value holds", fault(function(ctx)
        ctx:redirect(bad)
      end))
      assert.matches("header Content%-Type: the value holds", fault(function(ctx)
        ctx:bytes(bad, "x")
      end))
    end
  end)

  it("with a bad name is refused", function()
    for _, bad in ipairs({ "X Name", "X:", "", "X\r\nY", 7 }) do
      assert.matches("header: the name '.*' is not a token", fault(function(ctx)
        ctx:header(bad, "x")
      end))
    end
  end)

  it("that frames the message is Moongate's own", function()
    assert.matches("header Content%-Length: Moongate sets it itself", fault(function(ctx)
      ctx:header("Content-Length", 3)
    end))
    assert.matches("header transfer%-encoding: Moongate", fault(function(ctx)
      ctx:add_header("transfer-encoding", "chunked")
    end))
  end)

  it("that is refused ends in a 500 and reaches no client", function()
    handle(function(ctx)
      ctx:header("X-Name", "a\r\nInjected: 1")
      return "ok"
    end)
    local res = app:get("/")
    assert.equal(500, res.status)
    assert.is_nil(res.headers.injected)
    assert.matches("header X%-Name", app.logs[1].message)
  end)

  it("replaces those of its name, nil removes them, a list gives several lines", function()
    handle(function(ctx)
      ctx:header("X-A", "1"):header("x-a", "2")
      ctx:header("X-B", "1"):header("X-B", nil)
      ctx:header("X-C", { "1", 2 }):add_header("X-C", "3")
      return ctx:answer_header("X-A")
    end)
    local res = app:get("/")
    local headers = res.headers
    assert.same({ "2", nil, "1, 2, 3" }, { headers["x-a"], headers["x-b"], headers["x-c"] })
    assert.equal("2", res.body)
  end)
end)
