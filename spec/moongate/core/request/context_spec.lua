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
    assert.equal(not test._http2 and "close" or nil, res.headers.connection)
    assert.is_true(res.closed or test._http2)
  end)
end)
