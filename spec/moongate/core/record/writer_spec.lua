--- What a recorded request looks like as a spec. That it passes:
--- tests/integration/record_spec.lua.
local json = require("moongate.json")
local writer = require("moongate.core.record.writer")

local function tape(fields)
  local all = {
    method = "GET", target = "/", headers = {}, calls = {}, status = 200,
    content_type = "text/plain", answer = "hi",
  }
  for key, value in pairs(fields) do
    all[key] = value
  end
  return all
end

local function case(fields)
  return writer.add(nil, tape(fields))
end

local function has(text, ...)
  for _, line in ipairs({ ... }) do
    assert(text:find("\n    " .. line .. "\n", 1, true), line .. "\nis not in:\n" .. text)
  end
end

describe("a value as Lua", function()
  it("is what JSON and databases have", function()
    assert.equal('{ 1, "two", false, { a = 1.5, ["b c"] = json.null }, n = 2 }', writer.literal({
      1, "two", false, { a = 1.5, ["b c"] = json.null }, n = 2,
    }))
    assert.equal("{}", writer.literal({}))
    assert.equal("9007199254740993LL", writer.literal(9007199254740993LL))
    local odd = "a\0b\r\n\"\\\200"
    assert.equal(odd, loadstring("return " .. writer.literal(odd))())
    assert.equal("nil", writer.literal(print))
  end)
end)

describe("a recorded request", function()
  it("is asked and compared as it was", function()
    local text = case({
      method = "POST", target = "/a?b=1", body = "c", answer = '{"n":[1]}',
      content_type = "application/json", status = 201,
      headers = { host = "a", ["user-agent"] = "curl", accept = "*/*", ["x-a"] = "1" },
    })
    has(text, 'local res = app:request("POST", "/a?b=1", '
      .. '{ body = "c", headers = { ["x-a"] = "1" } })', "assert.equal(201, res.status)",
      'assert.equal("application/json", res.headers["content-type"])',
      "assert.same({ n = { 1 } }, test.redacted(res:json()))")
    assert.matches('\n  it%("1: POST /a%?b=1 is answered 201", function%(%)\n', text)
    assert(loadstring(text))
    text = case({ status = 502 })
    has(text, "assert.equal(502, res.status)")
    assert.is_nil(text:find("res.body", 1, true))
  end)

  it("has stubs of what it was told, in order", function()
    local request = { method = "GET", url = "http://a/", headers = {} }
    local function call(name, value, err, first)
      return {
        name = name, value = value, err = err, over = true, n = 1, request = request,
        first or "http://a/",
      }
    end
    has(case({ calls = {
      call("http_request", { status = 200, headers = { date = "now" }, body = "one" }),
      call("http_request", nil, { code = "closed", message = "gone" }),
      call("query_database", { { id = 1, password = "hunter2" } }, nil, "SELECT 1"),
      call("read_file", "text", nil, "motd"),
      call("write_file", true, nil, "var/a"),
      { name = "http_request", n = 1, request = request, "http://a/" },
    } }), 'app:stub_http("GET http://a/", test.sequence({ '
      .. '{ body = "one", headers = {}, status = 200 }, test.fail("closed", "gone") }))',
      'app:stub_database("SELECT 1", { { id = 1, password = "[redacted]" } })',
      'app:stub_file("motd", "text")', 'app:stub("write_file", true)')
  end)

  it("finds in the cache what was there", function()
    local function call(name, value, ...)
      return { name = name, subject = "cache", value = value, n = select("#", ...), ... }
    end
    local text = case({ calls = {
      call("increment_cache", 5, "n", 2), call("query_cache", nil, "none"),
      call("query_cache", "x", "key"), call("update_cache", true, "key", "y"),
      call("query_cache", "y", "key"),
    } })
    has(text, "app:stub_cache()", 'app:run(function() cache():set("n", 3):await() end)',
      'app:run(function() cache():set("key", "x"):await() end)')
    assert.is_nil(text:find('"none"', 1, true))
    assert.is_nil(text:find('"y"', 1, true))
  end)

  it("holds no secrets, and finds the server whose URL has one", function()
    local text = case({
      headers = { authorization = "Bearer zzzzz" }, answer = "you are zzzzz",
      calls = { {
        name = "http_request", over = true, n = 1, "http://a/?token=xyz1",
        request = { method = "GET", url = "http://a/?token=xyz1", headers = {} },
        value = { status = 204, headers = {} },
      } },
    })
    has(text, 'assert.equal("you are [redacted]", res.body)')
    assert.truthy(text:find('{ method = "GET", pattern = "^http://a/%?token=.-$" }', 1, true))
    assert.is_nil(text:find("zzzzz", 1, true))
    assert.is_nil(text:find("xyz1", 1, true))
  end)

  it("is added to those before, and to nothing else", function()
    local one = case({ target = "/one" })
    local two = writer.add(one, tape({ target = "/two" }))
    assert.truthy(two:find('it("1: GET /one', 1, true))
    assert.truthy(two:find('it("2: GET /two', 1, true))
    assert(loadstring(two))
    assert.equal(one, writer.add("something else", tape({ target = "/one" })))
  end)
end)
