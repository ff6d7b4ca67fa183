--- Conditions on what a handler answers (RFC 9110 section 13).
local test = require("moongate.test")

local DATE = "Sun, 06 Nov 1994 08:49:37 GMT"
local app

before_each(function()
  app = test.app(function(a)
    a:get("/tagged", function(ctx)
      ctx:header("ETag", '"v1"'):header("Cache-Control", "max-age=5")
      return { a = 1 }
    end)
    a:get("/dated", function(ctx)
      ctx:header("Last-Modified", DATE)
      return "text"
    end)
    a:put("/tagged", function(ctx)
      ctx:header("ETag", '"v2"')
      return 200, "changed"
    end)
    a:get("/missing", function(ctx)
      ctx:header("ETag", '"v1"')
      return 404, "none"
    end)
    a:get("/stream", function(ctx)
      ctx:header("ETag", 'W/"s"')
      ctx:stream("text/plain", function(out) out:write("piece") end)
    end)
  end)
end)

after_each(function() app:assert_no_leaks() end)

local function get(path, name, value)
  return app:get(path, { headers = { [name] = value } })
end

describe("an ETag or Last-Modified that a handler sets", function()
  it("makes 304 of what the client has", function()
    for _, value in ipairs({ '"v1"', '"x", "v1"', 'W/"v1"', "*" }) do
      local res = get("/tagged", "If-None-Match", value)
      assert.equal(304, res.status)
      assert.equal("", res.body)
      assert.equal('"v1"', res.headers.etag)
      assert.equal("max-age=5", res.headers["cache-control"])
      assert.is_nil(res.headers["content-type"])
    end
    assert.equal(304, app:head("/tagged", { headers = { ["If-None-Match"] = '"v1"' } }).status)
    assert.equal(304, get("/dated", "If-Modified-Since", DATE).status)
    assert.equal(304, get("/stream", "If-None-Match", '"s"').status)
  end)

  it("answers in full what the client has not", function()
    local res = get("/tagged", "If-None-Match", '"v2"')
    assert.equal(200, res.status)
    assert.equal('{"a":1}', res.body)
    assert.equal("piece", get("/stream", "If-None-Match", '"other"').body)
    assert.equal("text", get("/dated", "If-Modified-Since", "Sun, 06 Nov 1994 08:49:36 GMT").body)
    assert.equal("text", get("/dated", "If-Modified-Since", "yesterday").body)
  end)

  it("makes 412 of what the client does not want any more", function()
    assert.equal(412, get("/tagged", "If-Match", '"v2"').status)
    assert.equal(200, get("/tagged", "If-Match", '"v1"').status)
    assert.equal(412, get("/dated", "If-Unmodified-Since", "Sun, 06 Nov 1994 08:49:36 GMT").status)
  end)

  it("leaves alone what failed, and what a method has done already", function()
    assert.equal(404, get("/missing", "If-None-Match", '"v1"').status)
    local res = app:put("/tagged", { headers = { ["If-Match"] = '"v1"' } })
    assert.equal(200, res.status)
    assert.equal("changed", res.body)
  end)
end)
