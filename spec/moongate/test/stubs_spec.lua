local moongate = require("moongate")
local test = require("moongate.test")
local helpers = dofile("spec/fixture/helpers.lua")
local message_of = helpers.message_of

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

describe("a subject that is there", function()
  it("is asked for what is not stubbed, and its calls are recorded", function()
    app = test.app(function(a)
      a:get("/", function(ctx)
        return { found = ctx:query_cache("b"):await() ~= nil }
      end)
    end, { cache = "memory:1M" })
    app:stub_cache("a", "stubbed")
    assert.equal("stubbed", lookup("a"))
    assert.is_false(app:get("/"):json().found)
    app:assert_called("query_cache", nil, 2)
    assert.matches("is not stubbed", message_of(query, "SELECT 1"))
    app:assert_no_leaks()
  end)
end)
