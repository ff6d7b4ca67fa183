-- A number has one text, exact to its last digit, wherever a script gives one.
local moongate = require("moongate")
local test = require("moongate.test")
local text = require("moongate.core.text")

local BIG = 1700000000123456 -- tostring: 1.7000000001235e+15
local ID = 9223372036854775807LL -- tostring: 9223372036854775807LL

local app

local function start(declare, options)
  app = test.app(declare, options)
end

local function started(handler)
  start(function(a)
    a:get("/", handler)
    a:get("/users/:id", "user", function() return "ok" end)
  end)
  return app:get("/")
end

after_each(function()
  if app then
    app:assert_no_leaks()
    app = nil
  end
end)

describe("the text of a number", function()
  it("is exact, of 64-bit integers too", function()
    assert.equal("1700000000123456", moongate.number_text(BIG))
    assert.equal("9223372036854775807", moongate.number_text(ID))
    assert.equal("18446744073709551615", moongate.number_text(18446744073709551615ULL))
    assert.equal("0.1", text.of(0.1))
    assert.equal("0.30000000000000004", text.of(0.1 + 0.2))
    assert.equal("as it is", text.of("as it is"))
    assert.equal("7", text.shown(7))
    assert.matches("nan", text.shown(0 / 0))
  end)

  it("is refused for nan, infinities and what is no number", function()
    for _, value in ipairs({ 0 / 0, 1 / 0, -1 / 0, {}, true, print }) do
      local got, wrong = text.of(value)
      assert.is_nil(got)
      assert.is_string(wrong)
      local ok, message = pcall(function()
        return (moongate.number_text(value))
      end)
      assert.is_false(ok)
      assert.matches("text_spec%.lua:%d+: number_text: ", message)
    end
  end)
end)

describe("an answer", function()
  it("has exact numbers in fields, cookies and trailers", function()
    local response = started(function(ctx)
      ctx:header("X-Big", BIG):header("X-Ids", { ID, 1 }):add_header("X-Ids", ID)
      ctx:cookie("big", BIG):cookie("id", ID)
      ctx:stream("text/plain", function(out)
        out:write(BIG):write(" "):write(ID):trailer("X-Id", ID)
      end)
    end)
    assert.equal("1700000000123456", response.headers["x-big"])
    assert.equal("9223372036854775807, 1, 9223372036854775807", response.headers["x-ids"])
    assert.equal("big=1700000000123456; Path=/, id=9223372036854775807; Path=/",
      response.headers["set-cookie"])
    assert.equal("1700000000123456 9223372036854775807", response.body)
  end)

  it("has exact numbers as a body", function()
    for _, method in ipairs({ "text", "html" }) do
      assert.equal("1700000000123456", started(function(ctx) ctx[method](ctx, BIG) end).body)
      assert.equal("9223372036854775807", started(function(ctx) ctx[method](ctx, ID) end).body)
    end
    assert.equal("9223372036854775807",
      started(function(ctx) ctx:bytes("text/plain", ID) end).body)
  end)

  it("refuses nan at the caller's line", function()
    for _, fn in ipairs({
      function(ctx) ctx:header("X-A", 0 / 0) end,
      function(ctx) ctx:text(1 / 0) end,
      function(ctx) ctx:cookie("a", 0 / 0) end,
      function(ctx) ctx:cookie("a", {}) end,
      function(ctx) ctx:stream("text/plain", function(out) out:write(0 / 0) end) end,
    }) do
      start(function(a)
        a:get("/", fn)
        a:on_error(function(_, err) return err.message or err end)
      end)
      pcall(app.get, app, "/") -- a stream breaks off
      assert.matches("text_spec%.lua:%d+", app.logs[1] and app.logs[1].message or "nothing")
    end
  end)
end)

describe("a URL", function()
  it("has exact numbers", function()
    local response = started(function()
      return moongate.query_encode({ a = BIG, b = ID, c = { ID, 1e16 } })
    end)
    assert.equal("a=1700000000123456&b=9223372036854775807&c=9223372036854775807&c=1e%2B16",
      response.body)
    local router = require("moongate.core.app.router")
    assert.equal("/users/9223372036854775807", router.build("/users/:id", { id = ID }))
    assert.equal("/users/1700000000123456/x", router.build("/users/:id/*rest", {
      id = BIG, rest = "x",
    }))
  end)
end)

describe("a call to another server", function()
  it("has exact numbers in its query, form, fields and body", function()
    local seen
    start(function(a)
      a:get("/form", function(ctx)
        ctx:http_request({
          url = "http://other/", method = "POST", query = { id = ID, big = BIG },
          form = { id = ID, big = BIG }, headers = { ["X-Id"] = ID },
        }):await()
        return "ok"
      end)
      a:get("/body", function(ctx)
        ctx:http_request({ url = "http://other/", method = "POST", body = ID }):await()
        return "ok"
      end)
    end)
    app:stub_http({ pattern = "^http://other/" }, function(request)
      seen = request
      return ""
    end)
    app:get("/form")
    assert.equal("http://other/?big=1700000000123456&id=9223372036854775807", seen.url)
    assert.equal("big=1700000000123456&id=9223372036854775807", seen.body)
    app:get("/body")
    assert.equal("9223372036854775807", seen.body)
  end)

  it("names the caller's line when the file that it sends is not there", function()
    for _, stream in ipairs({ false, true }) do
      start(function(a)
        a:get("/", function(ctx)
          local _, err = ctx:http_request({
            url = "http://127.0.0.1:1/", method = "PUT", file = "/none", stream = stream,
          }):try_await()
          return err.where .. " " .. err.code
        end)
      end)
      app:stub_http({ pattern = "." }, "")
      assert.matches("text_spec%.lua:%d+ file$", app:get("/").body)
      app:assert_no_leaks()
    end
  end)

  it("is refused at the caller's line for what has no text", function()
    local nan = { a = 0 / 0 }
    for key, value in pairs({ query = nan, form = { a = print }, json = nan }) do
      local response = started(function(ctx)
        local ok, err = pcall(function()
          local future = ctx:http_request({ url = "http://other/", method = "POST", [key] = value })
          return future
        end)
        return tostring(ok) .. tostring(err)
      end)
      assert.matches("^false.*text_spec%.lua:%d+: http_request: " .. key .. ": ", response.body)
    end
  end)
end)

describe("the cache", function()
  it("takes numbers for keys", function()
    start(function() end, { cache = "memory:1M" })
    app:run(function()
      local cache = moongate.cache()
      cache:set(ID, "a"):await()
      cache:set(BIG, "b"):await()
      assert.equal("a", cache:get("9223372036854775807"):await())
      assert.equal("b", cache:get("1700000000123456"):await())
      assert.equal("a", cache:cached(ID, 1, function() return "c" end):await())
    end)
  end)
end)

describe("the log", function()
  it("has exact numbers in messages and fields", function()
    start(function() end)
    app:run(function()
      moongate.log.info(BIG, { id = ID, big = BIG })
    end)
    assert.equal("1700000000123456", app.logs[1].message)
    assert.equal(BIG, app.logs[1].fields.big)
  end)
end)

describe("HTML", function()
  it("gets no mark-up from what is escaped, in quotes either", function()
    assert.equal("&lt;a href=&quot;x&quot;&gt;&amp;amp; &#39;", text.html([[<a href="x">&amp; ']]))
    assert.equal("plain", text.html("plain"))
  end)
end)
