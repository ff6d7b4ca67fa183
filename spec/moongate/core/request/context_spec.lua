local test = require("moongate.test")

local app

-- Any method on any path is given to `handler`.
local function handle(handler, options)
  app = test.app(function(a)
    a:any("/", handler)
    a:any("/:name/*rest", { name = "named" }, handler)
  end, options)
  return app
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

describe("a field of ctx", function()
  it("that is unknown raises at its line and suggests the nearest", function()
    assert.matches("context_spec%.lua:%d+: ctx has no field 'heders' %(did you mean 'headers'%?%)",
      fault(function(ctx)
        return ctx.heders
      end))
    assert.matches("did you mean 'query_cache'", fault(function(ctx)
      return ctx:query_cach("x")
    end))
    assert.matches("what belongs to the request lives in ctx.state", fault(function(ctx)
      return ctx.user
    end))
  end)

  it("cannot be written, which points to ctx.state", function()
    assert.matches("context_spec%.lua:%d+: ctx%.user cannot be set: keep it in ctx%.state%.user",
      fault(function(ctx)
        ctx.user = 1
      end))
    assert.matches("ctx%.params cannot be set", fault(function(ctx)
      ctx.params = {}
    end))
  end)

  it("tells what the request said", function()
    handle(function(ctx)
      return {
        method = ctx.method, path = ctx.path, params = ctx.params, query = ctx.query,
        host = ctx.host, scheme = ctx.scheme, length = ctx.length, client_ip = ctx.client_ip,
        route = ctx.route.name, agent = ctx.headers["USER-AGENT"], list = ctx.headers.accept,
        cookie = ctx.cookies.sid, all = ctx:query_all("a"),
      }
    end)
    local got = app:post("/users/a%2Fb/c?a=1&a=2&b=%20", {
      body = "xyz",
      headers = {
        Host = "example.org", ["User-Agent"] = "spec", Accept = { "a", "b" }, Cookie = "sid=7; x=y",
      },
    }):json()
    assert.same({ "POST", "example.org", "http", 3, "named", "spec", "a, b", "7" }, {
      got.method, got.host, got.scheme, got.length, got.route, got.agent, got.list, got.cookie,
    })
    assert.same({ name = "users", rest = "a/b/c" }, got.params)
    assert.same({ a = "2", b = " " }, got.query)
    assert.same({ "1", "2" }, got.all)
    assert.is_string(got.client_ip)
  end)

  it("length is nil without a body", function()
    handle(function(ctx)
      return tostring(ctx.length)
    end)
    assert.equal("nil", app:get("/").body)
  end)

  it("state belongs to its request alone", function()
    handle(function(ctx)
      local before = ctx.state.seen
      ctx.state.seen = true
      return tostring(before)
    end)
    assert.equal("nil", app:get("/").body)
    assert.equal("nil", app:get("/").body)
  end)

  it("log carries the request's id, and fields", function()
    handle(function(ctx)
      ctx.log.warn("look", { user = 7 })
      return ctx.request_id
    end)
    local id = app:get("/").body
    assert.equal("look", app.logs[1].message)
    assert.equal("warn", app.logs[1].level)
    assert.same({ request_id = id, user = 7 }, app.logs[1].fields)
  end)
end)

describe("a header of the answer", function()
  it("with CR, LF or NUL is refused with an error naming it", function()
    for _, bad in ipairs({ "a\r\nSet-Cookie: x=1", "a\nb", "a\rb", "a\0b" }) do
      assert.matches("context_spec%.lua:%d+: header X%-Name: the value holds CR, LF, NUL",
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
    assert.matches("context_spec%.lua:%d+: the answer has been sent already", message)
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
      assert.matches("context_spec%.lua:%d+: a status is an integer from 200 to 599",
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

  it("streams pieces in order, with trailers", function()
    handle(function(ctx)
      ctx:stream("text/plain", function(out)
        out:write("one "):write(2)
        ctx:sleep(1):await()
        out:write(" three")
        out:trailer("X-Sum", "3")
      end)
    end)
    local res = app:get("/")
    assert.equal("one 2 three", res.body)
    assert.equal("chunked", res.headers["transfer-encoding"])
  end)

  it("streams as fast as a slow client reads", function()
    local written = 0
    handle(function(ctx)
      ctx:stream("text/plain", function(out)
        for _ = 1, 64 do
          out:write(("x"):rep(32 * 1024))
          written = written + 1
        end
      end)
    end)
    local flight = app:start("GET", "/"):pause()
    app.clock:settle()
    assert.is_true(written < 64, written .. " pieces")
    flight:pause(false)
    assert.equal(64 * 32 * 1024, #flight:response().body)
  end)
end)

describe("the body", function()
  it("is a Future of a string, the same at each call", function()
    handle(function(ctx)
      return ctx:body():await() .. ctx:body():await()
    end)
    assert.equal("abab", app:post("/", { body = "ab" }).body)
    assert.equal("", app:get("/").body)
  end)

  it("comes as JSON, or is a 400", function()
    handle(function(ctx)
      return { got = ctx:body_json():await() }
    end)
    assert.same({ got = { 1, 2 } }, app:post("/", { json = { 1, 2 } }):json())
    local res = app:post("/", { body = "{" })
    assert.equal(400, res.status)
    assert.matches("the body is not valid JSON", res:json().detail)
  end)

  it("comes as a form, or is a 415", function()
    handle(function(ctx)
      return ctx:body_form():await()
    end)
    assert.same({ a = "1 2" }, app:post("/", { form = { a = "1 2" } }):json())
    assert.equal(415, app:post("/", { json = {} }).status)
  end)

  it("comes in pieces", function()
    handle(function(ctx)
      local pieces = {}
      for piece in ctx:chunks() do
        pieces[#pieces + 1] = piece
      end
      return pieces
    end)
    local flight = app:start("POST", "/", { length = 6, body = "abc" })
    app.clock:settle()
    flight:send("def")
    assert.same({ "abc", "def" }, flight:response():json())
  end)
end)

describe("a handle that outlives its request", function()
  it("answers closed", function()
    local kept
    handle(function(ctx)
      kept = { ctx = ctx, connection = ctx.connection }
      return "ok"
    end)
    app:get("/")
    app.clock:settle()
    for _, name in ipairs({ "path", "host", "client_ip", "request_id", "headers", "query" }) do
      local ok, err = pcall(function()
        return kept.ctx[name]
      end)
      assert.is_false(ok, name)
      assert.equal("closed", err.code, name)
      assert.equal("the request is over", err.message)
    end
    local ok, err = pcall(function()
      return kept.connection.peer
    end)
    assert.is_false(ok)
    assert.equal("closed", err.code)
    kept.connection:close()
    app:run(function()
      local _, failure = kept.ctx:body():try_await()
      assert.equal("closed", failure.code)
    end)
    assert.matches("^ctx %(GET /%)$", tostring(kept.ctx))
  end)

  it("refuses to answer again", function()
    local kept
    handle(function(ctx)
      kept = ctx
      return "ok"
    end)
    app:get("/")
    local ok, message = pcall(function()
      kept:text("again")
    end)
    assert.is_false(ok)
    assert.matches("the answer has been sent already", message)
  end)
end)

describe("ctx.connection", function()
  it("tells about the connection", function()
    handle(function(ctx)
      local c = ctx.connection
      return { id = c.id, peer = c.peer, requests = c.requests, bytes_in = c.bytes_in,
        bytes_out = c.bytes_out, opened_at = c.opened_at }
    end)
    local flight = app:start("GET", "/"):keep()
    local first = flight:response():json()
    flight:send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    local second = flight:response():json()
    flight:done()
    assert.equal(first.id, second.id)
    assert.same({ 1, 2 }, { first.requests, second.requests })
    assert.is_true(second.bytes_in > first.bytes_in and second.bytes_out > first.bytes_out)
    assert.is_string(first.peer)
    assert.is_number(first.opened_at)
  end)

  it("has no other fields", function()
    assert.matches("ctx.connection has no field 'pear' %(did you mean 'peer'%?%)",
      fault(function(ctx)
        return ctx.connection.pear
      end))
  end)

  it("closes after the answer when it is told to", function()
    handle(function(ctx)
      ctx.connection:close()
      return "bye"
    end)
    local res = app:get("/")
    assert.equal("close", res.headers.connection)
    assert.is_true(res.closed)
  end)
end)
