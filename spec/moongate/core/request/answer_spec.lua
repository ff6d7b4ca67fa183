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
    for _, bad in ipairs({ "X Name", "X:", "", "X\r\nY" }) do
      assert.matches("header: the name '.*' is not a token", fault(function(ctx)
        ctx:header(bad, "x")
      end))
    end
    for _, bad in ipairs({ 7, { ["X-Moons"] = 7 } }) do
      assert.matches('header: a name is wanted, as in ctx:header%("X%-Moons", 7%), not ',
        fault(function(ctx)
          ctx:header(bad)
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
