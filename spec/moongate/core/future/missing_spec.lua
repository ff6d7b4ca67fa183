--- A Future used as if it were its value.
local moongate = require("moongate")
local test = require("moongate.test")
local helpers = dofile("spec/fixture/helpers.lua")

local app, future, made

local function logged()
  return helpers.logged(app)
end

local FILE = "spec/moongate/core/future/missing_spec.lua"

-- The whole message at the line that asks, of a Future made at line `made`.
local function missing(line, name)
  return ("%s:%d: a Future made at %s:%d (%s): :await() is missing"):format(FILE, line, FILE, made,
    name or "future")
end

describe("a Future used as its value is refused, with the place that made it:", function()
  before_each(function()
    app = test.app(function() end)
    future, made = moongate.future(), helpers.here()
  end)

  local uses = {
    ["a field"] = function() return future.body end,
    ["a position"] = function() return future[1] end,
    ["a method"] = function() return future:json() end,
    ["a text behind it"] = function() return future .. "x" end,
    ["a text before it"] = function() return "x" .. future end,
    ["at most"] = function() return future <= future end,
    ["called"] = function() local _ = future() end,
    ["added"] = function() return 1 + future end,
    ["negative"] = function() return -future end,
  }
  for name, use in pairs(uses) do
    it(name, function()
      local message = helpers.error_of(use)
      assert.equal(missing(debug.getinfo(use, "S").linedefined), message)
    end)
  end

  it("and so is one that was settled when it was made", function()
    app = test.app(function() end, { cache = "memory:1M" })
    local message = helpers.error_of(function()
      local value = moongate.cache():get("x")
      return value.name
    end)
    made = helpers.here() - 3
    assert.equal(missing(made + 1, "get"), message)
  end)

  it("and so is one whose method has a slip in it", function()
    local message = helpers.error_of(function()
      return future:awiat()
    end)
    assert.equal(missing(helpers.here() - 2) .. " (or did you mean 'await'?)", message)
  end)

  it("and its line is looked for where it was not noted", function()
    app = test.app(function() end, { cache = "memory:1M" })
    local value = moongate.cache():get("x")
    assert.equal(("a Future made at %s:%d (get): :await() is missing"):format(FILE,
      helpers.here() - 2), tostring(value))
  end)

  it("its text says so as well", function()
    assert.equal(missing(0):match(": (.*)$"), tostring(future))
  end)
end)

describe("a Future is named by the call that made it:", function()
  local makers = {
    read_file = function(ctx) return (ctx:read_file("x")) end,
    http_request = function(ctx) return (ctx:http_request("http://other/")) end,
    query_cache = function(ctx) return (ctx:query_cache("x")) end,
    query_database = function(ctx) return (ctx:query_database("SELECT 1")) end,
    transaction = function(ctx) return (ctx:transaction(function() end)) end,
    body = function(ctx) return (ctx:body()) end,
    body_json = function(ctx) return (ctx:body_json()) end,
    body_parts = function(ctx) return (ctx:body_parts()) end,
    body_form = function(ctx) return (ctx:body_form()) end,
    sleep = function(ctx) return (ctx:sleep(1)) end,
    spawn = function(ctx) return (ctx:spawn(function() end)) end,
    and_then = function(ctx) return (ctx:body():and_then(tostring)) end,
    catch = function(ctx) return (ctx:body():catch(tostring)) end,
    finally = function(ctx) return (ctx:body():finally(function() end)) end,
    timeout = function(ctx) return (ctx:body():timeout(1)) end,
    all = function(ctx) return (moongate.Future.all({ ctx:body() })) end,
    one = function(ctx) return (ctx:database():one("SELECT 1")) end,
    query = function(ctx) return (ctx:database():query("SELECT 1")) end,
    get = function() return (moongate.cache():get("x")) end,
    request = function() return (moongate.http.request("http://other/")) end,
    stat_file = function() return (moongate.files.stat("x")) end,
    after = function() return (moongate.after(0, function() end)) end,
  }
  for name, make in pairs(makers) do
    it(name, function()
      local text
      app = test.app(function(a)
        a:post("/", function(ctx)
          local made_so = make(ctx)
          text = tostring(made_so)
          if name == "transaction" then
            made_so:try_await()
          end
          return "fine"
        end)
      end, { cache = "memory:1M" })
      app:stub_http("GET http://other/", "page")
      app:stub_database("SELECT 1", {})
      app:post("/", { body = "a=1" })
      local settled = name == "get" or name == "query_cache" -- made where nobody looks for it
      local place = settled and ""
        or (" made at %s:%d"):format(FILE, debug.getinfo(make, "S").linedefined)
      assert.equal(("a Future%s (%s): :await() is missing"):format(place, name), text)
    end)
  end
end)

describe("a Future given to", function()
  local function handle(handler)
    app = test.app(function(a)
      a:get("/", handler)
    end, { cache = "memory:1M" })
    app:stub_database("SELECT $1", {})
    app:stub_http("GET http://other/", "page")
    return app:get("/")
  end

  local function told_at(line, before, after)
    local place = FILE:gsub("%p", "%%%0") .. ":" .. line
    assert.matches("failed: " .. place .. ": " .. before .. "a Future made at " .. place
      .. " %(sleep%): :await%(%) is missing" .. (after or ""), logged())
  end

  local GIVEN = {
    ["ctx:json"] = { "%$: ", function(ctx) local _ = ctx:json(ctx:sleep(0)) end },
    ["ctx:json deep inside"] = { "%$%.a%[2%]: ",
      function(ctx) local _ = ctx:json({ a = { 1, ctx:sleep(0) } }) end },
    ["ctx:text"] = { "text: ", function(ctx) local _ = ctx:text(ctx:sleep(0)) end },
    ["a header"] = { "header X%-A: ", function(ctx) local _ = ctx:header("X-A", ctx:sleep(0)) end },
    ["a cookie"] = { "cookie: ", function(ctx) local _ = ctx:cookie("a", ctx:sleep(0)) end },
    ["a status"] = { "a status is an integer from 200 to 599, not ",
      function(ctx) local _ = ctx:status(ctx:sleep(0)) end },
    ["a query parameter"] = { "http_request: query: 'q': ",
      function(ctx) ctx:http_request({ url = "http://a/", query = { q = ctx:sleep(0) } }) end },
    ["a list of query parameters"] = { "http_request: query: 'q': ",
      function(ctx) ctx:http_request({ url = "http://a/", query = { q = { ctx:sleep(0) } } }) end },
    ["a body as JSON"] = { "http_request: json: %$%.a: ",
      function(ctx) ctx:http_request({ url = "http://other/", json = { a = ctx:sleep(0) } }) end },
    ["a key of the cache"] = { "query_cache: the key, of at most 1 KiB: ",
      function(ctx) local _ = ctx:query_cache(ctx:sleep(0)) end },
    ["a statement's text"] = { "the statement is wanted as a string, not ",
      function(ctx) ctx:query_database(ctx:sleep(0)) end },
    ["the body of a call"] = { "http_request: body: a string or a function%(out%) is wanted, not ",
      function(ctx) ctx:http_request({ url = "http://other/", body = ctx:sleep(0) }) end },
    ["a field of a call"] = { "http_request: headers: X%-A: ", function(ctx)
      ctx:http_request({ url = "http://other/", headers = { ["X-A"] = ctx:sleep(0) } }) end, 1 },
    ["the URL of a call"] = { "http_request: a URL or a table of options is wanted, not ",
      function(ctx) ctx:http_request(ctx:sleep(0)) end },
    ["a path"] = { "read_file: a path is wanted, not ",
      function(ctx) ctx:read_file(ctx:sleep(0)) end },
    ["a URL to go to"] = { "redirect: the URL: a string is wanted, not ",
      function(ctx) ctx:redirect(ctx:sleep(0)) end },
    ["a file to send"] = { "send_file: a path is wanted, not ",
      function(ctx) ctx:send_file(ctx:sleep(0)) end },
    ["a failure's message"] = { "fail: the message is a string, not ",
      function(ctx) ctx:fail(404, ctx:sleep(0)) end },
    ["a number of seconds"] = { "sleep: seconds are wanted, a number of at least 0, not ",
      function(ctx) ctx:sleep(ctx:sleep(0)) end },
    ["a topic"] = { "publish: the value: a string or a table is wanted, not ",
      function(ctx) moongate.publish("x", ctx:sleep(0)) end },
    ["an id"] = { "set_request_id: 1 to 128 letters, digits or %-_%.:/%+= are wanted, not ",
      function(ctx) ctx:set_request_id(ctx:sleep(0)) end },
    ["a list of Futures"] = { "Future%.all: a list or a table of Futures is wanted, not ",
      function(ctx) moongate.Future.all(ctx:sleep(0)) end },
    ["a tool of C"] = { "bad argument #1 to 'sha256' %(string expected, got table%): ",
      function(ctx) local _ = moongate.sha256(ctx:sleep(0)) end },
    ["a function of Lua's"] = { "bad argument #1 to 'upper' %(string expected, got table%): ",
      function(ctx) local _ = string.upper(ctx:sleep(0)) end },
    ["table.concat"] = { "invalid value %(table%) at index 2 in table for 'concat': ",
      function(ctx) local _ = table.concat({ "a", ctx:sleep(0) }) end },
    ["a statement"] = { "parameter %$1: ",
      function(ctx) ctx:query_database("SELECT $1", ctx:sleep(0)) end },
  }
  for name, given in pairs(GIVEN) do
    it(name .. " is refused", function()
      assert.equal(500, handle(given[2]).status)
      told_at(debug.getinfo(given[2], "S").linedefined + (given[3] or 0), given[1])
    end)
  end

  local COMPARED = {
    ["a number"] = function(ctx) return tostring(ctx:sleep(0) > 1) end,
    ["a text"] = function(ctx) return tostring("x" < ctx:sleep(0)) end,
  }
  for name, compared in pairs(COMPARED) do
    it("a comparison with " .. name .. " is refused", function()
      handle(compared)
      told_at(debug.getinfo(compared, "S").linedefined, "attempt to compare %w+ with %w+: ")
    end)
  end

  it("the client by a handler is refused", function()
    handle(function(ctx)
      return ctx:sleep(0)
    end)
    told_at(helpers.here() - 2, "the handler returned ")
  end)

  it("the client by a handler with a status is refused", function()
    handle(function(ctx)
      return 201, (ctx:sleep(0))
    end)
    assert.matches("the handler returned a Future made at %S*missing_spec%.lua:%d+ %(sleep%): "
      .. ":await", logged())
  end)

  it("the client inside of what a handler returns is refused", function()
    handle(function(ctx)
      return { user = ctx:sleep(0) }
    end)
    assert.matches("%$%.user: a Future made at %S*missing_spec%.lua:" .. helpers.here() - 2,
      logged())
  end)
end)
