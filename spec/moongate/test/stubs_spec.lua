local moongate = require("moongate")
local test = require("moongate.test")

local app

local function new_app(handler)
  app = test.app(function(a)
    a:any("/", handler or function()
      return ""
    end)
  end)
  return app
end

-- Runs `fn` in a coroutine of the app, with no request.
local function run(fn, ...)
  return app:run(fn, ...)
end

local function message_of(fn, ...)
  local ok, message = pcall(fn, ...)
  assert.is_false(ok)
  return type(message) == "table" and message.message or message
end

local http = require("moongate.http")
local database = require("moongate.database")
local cache = require("moongate.cache")
local Future = require("moongate.future")

-- The calls of a subject as its module makes them, whatever names it gives them.
local function call(subject, name, ...)
  return (subject.calls[name](Future._current_scope(), 2, ...))
end

local function request(...)
  local args, n = { ... }, select("#", ...)
  return run(function()
    return call(http, "http_request", unpack(args, 1, n)):await()
  end)
end

local function query(...)
  local args, n = { ... }, select("#", ...)
  return run(function()
    return call(database, "query_database", unpack(args, 1, n)):await()
  end)
end

local function lookup(key)
  return run(function()
    return call(cache, "query_cache", key):await()
  end)
end

describe("stub_http", function()
  before_each(function()
    new_app()
  end)
  after_each(function()
    app:assert_no_leaks()
  end)

  it("gives a response as the real client does", function()
    app:stub_http("GET http://users/7", {
      status = 201, headers = { ["X-Id"] = "7" }, json = { name = "Ada" },
    })
    local res = request("http://users/7")
    assert.equal(201, res.status)
    assert.equal("7", res.headers["x-ID"])
    assert.equal("application/json", res.headers["Content-Type"])
    assert.equal('{"name":"Ada"}', res.body)
    assert.same({ name = "Ada" }, res:json())
    assert.equal("http://users/7", res.url)
  end)

  it("takes a string for the body of a 200", function()
    app:stub_http("http://a/", "hello")
    local res = request({ url = "http://a/", method = "POST" })
    assert.same({ 200, "hello" }, { res.status, res.body })
    local pieces = run(function()
      local list = {}
      for piece in res:chunks() do
        list[#list + 1] = piece
      end
      return list
    end)
    assert.same({ "hello" }, pieces)
  end)

  it("tells methods, URLs and patterns apart", function()
    app:stub_http({ pattern = "^http://users/%d+$" }, "number")
    app:stub_http({ method = "put", pattern = "^http://users" }, "put")
    app:stub_http({ url = "http://users/me" }, "me")
    app:stub_http("DELETE http://users/7", "gone")
    app:stub_http(function(req)
      return req.headers.accept == "text/html"
    end, "html")
    assert.equal("number", request("http://users/7").body)
    assert.equal("put", request({ method = "PUT", url = "http://users/7" }).body)
    assert.equal("me", request("http://users/me").body)
    assert.equal("gone", request({ method = "DELETE", url = "http://users/7" }).body)
    assert.equal("html", request({ url = "http://x/", headers = { accept = "text/html" } }).body)
    local message = message_of(request, "http://users/x")
    assert.matches("http_request GET http://users/x is not stubbed", message)
    assert.matches('stub_http%("GET http://users/x"', message)
  end)

  it("may answer with a function of the request", function()
    app:stub_http({ pattern = "." }, function(req)
      return { status = 202, body = req.method .. " " .. req.url .. " " .. req.body }
    end)
    local res = request({ method = "POST", url = "http://a/", json = { 1 } })
    assert.same({ 202, "POST http://a/ [1]" }, { res.status, res.body })
  end)

  it("may answer late, never, in turn or not at all", function()
    app:stub_http("http://a/", test.after(2, { status = 204 }))
    assert.equal(204, request("http://a/").status)
    assert.near(2, app.clock:elapsed(), 0.001)
    app:stub_http("http://a/", test.sequence({ test.fail("connect", "refused"), "second" }))
    assert.equal("refused", message_of(request, "http://a/"))
    assert.equal("second", request("http://a/").body)
    assert.matches("sequence of 2 answers is used up", message_of(request, "http://a/"))
    app:stub_http("http://a/", test.never())
    local err = run(function()
      return select(2, call(http, "http_request", "http://a/"):timeout(3):try_await())
    end)
    assert.equal("timeout", err.code)
  end)

  it("gives what a Future of the spec says as a response", function()
    local answer = moongate.future()
    app:stub_http("http://a/", answer)
    answer:resolve({ status = 418 })
    assert.equal(418, request("http://a/").status)
  end)

  it("refuses what is no matcher and no answer", function()
    assert.matches("stubs_spec%.lua:%d+: the matcher: .*urll.*mean 'url'", message_of(function()
      app:stub_http({ urll = "x" }, "")
    end))
    app:stub_http("http://a/", { name = "Ada" })
    assert.matches('answer: "name" is unknown, allowed are body, cookies, headers, json, status',
      message_of(request, "http://a/"))
  end)
end)

describe("stub_database", function()
  before_each(function()
    new_app()
  end)
  after_each(function()
    app:assert_no_leaks()
  end)

  it("means statements, whatever their white space", function()
    app:stub_database("SELECT 1 FROM a", { { 1 } })
    assert.same({ { 1 } }, query("SELECT 1\n    FROM a\n"))
    assert.matches('query_database%("SELECT 2", 3%) is not stubbed.*stub_database%("SELECT 2"',
      message_of(query, "SELECT 2", 3))
  end)

  it("means patterns and functions of statement and parameters, the newest first", function()
    app:stub_database({ pattern = "^SELECT" }, function(id)
      return { { id = id } }
    end)
    app:stub_database(function(sql, id)
      return sql == "SELECT a" and id == 2
    end, { "two" })
    assert.same({ { id = 1 } }, query("SELECT a", 1))
    assert.same({ "two" }, query("SELECT a", 2))
  end)

  it("may fail", function()
    app:stub_database("SELECT", test.fail("database", "no such table"))
    assert.equal("no such table", message_of(query, "SELECT"))
  end)
end)

describe("stub_cache", function()
  before_each(function()
    new_app()
  end)
  after_each(function()
    app:assert_no_leaks()
  end)

  it("means keys, patterns and functions", function()
    app:stub_cache({ pattern = "^user:" }, function(key)
      return "value of " .. key
    end)
    app:stub_cache("none", nil)
    assert.equal("value of user:7", lookup("user:7"))
    assert.is_nil(lookup("none"))
    assert.matches('stub_cache%("other", "value"%)', message_of(lookup, "other"))
  end)

  it("without arguments is a cache whose entries end in virtual time", function()
    app:stub_cache()
    run(function()
      call(cache, "update_cache", "a", { n = 1 }, { ttl = 5 }):await()
      call(cache, "update_cache", "b", "stays"):await()
    end)
    assert.same({ n = 1 }, lookup("a"))
    app.clock:advance(4.9)
    assert.same({ n = 1 }, lookup("a"))
    app.clock:advance(0.1)
    assert.is_nil(lookup("a"))
    assert.equal("stays", lookup("b"))
  end)

  it("keeps what was stored, not what became of the table", function()
    app:stub_cache()
    local value = { n = 1 }
    run(function()
      call(cache, "update_cache", "a", value):await()
    end)
    value.n = 2
    lookup("a").n = 3
    assert.same({ n = 1 }, lookup("a"))
  end)

  it("without arguments leaves single keys to their own stubs", function()
    app:stub_cache("a", "own")
    app:stub_cache()
    assert.equal("own", lookup("a"))
    assert.is_nil(lookup("b"))
  end)
end)

describe("stub_file", function()
  it("means reads of the whole file and in pieces, of ctx and of the module", function()
    new_app(function(ctx)
      local pieces = {}
      for piece in ctx:file_chunks("a", { piece = 4 }) do
        pieces[#pieces + 1] = piece
      end
      return { ctx:read_file("a"):await(), moongate.files.read("a"):await(), pieces }
    end)
    app:stub_file({ pattern = "^a$" }, function(path)
      return "12345" .. path
    end)
    assert.same({ "12345a", "12345a", { "1234", "5a" } }, app:get("/"):json())
    app:assert_called("read_file", "a", 2)
    app:assert_called("file_chunks", "a", 1)
    app:assert_no_leaks()
  end)

  it("may fail, in pieces too", function()
    new_app()
    app:stub_file("a", test.fail("file", "gone"))
    assert.equal("gone", message_of(run, function()
      for _ in moongate.files.chunks("a") do
        error("a piece")
      end
    end))
    app:assert_no_leaks()
  end)
end)

describe("what was called", function()
  before_each(function()
    new_app()
    app:stub_http({ pattern = "." }, "")
    app:stub_database({ pattern = "." }, {})
    request("http://a/1")
    request({ method = "PUT", url = "http://a/2" })
    query("SELECT\n1", "x", nil)
  end)
  after_each(function()
    app:assert_no_leaks()
  end)

  it("is told in order", function()
    local calls = app:calls_of("http_request")
    assert.equal(2, #calls)
    assert.same({ "http://a/1", "GET" }, { calls[1][1], calls[1].request.method })
    assert.equal("http://a/2", app:calls_of("http_request", { method = "PUT" })[1].request.url)
    assert.same({ "SELECT\n1", "x", n = 3, name = "query_database" },
      app:calls_of("query_database")[1])
    assert.same({}, app:calls_of("query_cache"))
  end)

  it("can be demanded", function()
    app:assert_called("http_request")
    app:assert_called("http_request", "PUT http://a/2", 1)
    app:assert_called("http_request", { pattern = "^http://a" }, 2)
    app:assert_called("query_database", "SELECT 1")
    app:assert_called("query_database", function(_, first)
      return first == "x"
    end)
    local message = message_of(function()
      app:assert_called("http_request", "http://b/")
    end)
    assert.matches("stubs_spec%.lua:%d+: http_request was called 0 times as described, "
      .. "not once or more; its calls were:\n  http_request GET http://a/1\n  "
      .. "http_request PUT http://a/2$", message)
    assert.matches("called 1 times as described, not 2", message_of(function()
      app:assert_called("query_database", "SELECT 1", 2)
    end))
    assert.matches("not once or more; it was never called", message_of(function()
      app:assert_called("query_cache")
    end))
  end)

  it("can be forbidden", function()
    app:assert_not_called("query_cache")
    app:assert_not_called("http_request", "DELETE http://a/1")
    assert.matches("stubs_spec%.lua:%d+: query_database was called 1 times as described; its calls",
      message_of(function()
        app:assert_not_called("query_database", { pattern = "^SELECT" })
      end))
  end)

  it("cannot be asked for a call that is none", function()
    assert.matches("stubs_spec%.lua:%d+: calls: allowed are .*mean 'http_request'",
      message_of(function()
        app:assert_called("http_requst")
      end))
  end)
end)

describe("an answer", function()
  before_each(function()
    new_app()
  end)
  after_each(function()
    app:assert_no_leaks()
  end)

  it("may be late and be any other answer", function()
    app:stub_database("a", test.after(1, test.fail("database", "late")))
    app:stub_database("b", test.after(1, function(id)
      return { id }
    end))
    app:stub_database("c", test.after(1, test.after(1, { "twice" })))
    assert.equal("late", message_of(query, "a"))
    assert.same({ 7 }, query("b", 7))
    assert.same({ "twice" }, query("c"))
    assert.near(4, app.clock:elapsed(), 0.001)
  end)

  it("that is late can be cancelled", function()
    app:stub_database("a", test.after(100, {}))
    run(function()
      call(database, "query_database", "a"):cancel()
    end)
  end)

  it("may be a function that gives another answer", function()
    app:stub_database("a", function(id)
      return id == 1 and test.fail("database", "one") or { id }
    end)
    assert.equal("one", message_of(query, "a", 1))
    assert.same({ 2 }, query("a", 2))
  end)

  it("is refused where it is none", function()
    assert.matches("stubs_spec%.lua:%d+: test.sequence: at least one", message_of(function()
      local answer = test.sequence({})
      return answer
    end))
    assert.matches("stubs_spec%.lua:%d+: test.after: seconds are wanted", message_of(function()
      local answer = test.after("1", 2)
      return answer
    end))
  end)
end)

describe("a subject that is there", function()
  local real = http.calls.http_request

  after_each(function()
    app:assert_no_leaks()
    http.calls.http_request = real
  end)

  it("is asked for what is not stubbed, and its calls are recorded", function()
    http.calls.http_request = function(scope, level, url)
      local future = Future._new(scope, level + 1)
      future:resolve({ body = "the real " .. url })
      return future
    end
    app = test.app(function(a)
      a:get("/", function(ctx)
        return ctx:http_request("http://b/"):await().body
      end)
    end, { http = true })
    app:stub_http("http://a/", "stubbed")
    assert.equal("stubbed", request("http://a/").body)
    assert.equal("the real http://b/", app:get("/").body)
    app:assert_called("http_request", nil, 2)
    assert.matches("is not stubbed", message_of(query, "SELECT 1"))
  end)
end)
