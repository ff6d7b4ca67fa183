--- A body that is refused is the app's to answer for: its middleware and app:on_error see it.
local test = require("moongate.test")

local app

local function handle(declare, options)
  app = test.app(declare, options)
end

local function post(body)
  return app:post("/", { body = body })
end

describe("a body beyond its limit", function()
  after_each(function()
    app:assert_no_leaks()
  end)

  it("is refused behind the middleware, in the place of the handler", function()
    local ran = false
    handle(function(a)
      a:use(function(ctx, next)
        ctx:header("X-Seen", "yes")
        return next()
      end)
      a:post("/", { body = 3 }, function()
        ran = true
        return "ok"
      end)
    end)
    local res = post("abcd")
    assert.equal(413, res.status)
    assert.equal("yes", res.headers["x-seen"])
    assert.equal("the request's body is too large", res:json().detail)
    assert.equal(not test._http2 and "close" or nil, res.headers.connection)
    assert.is_false(ran)
    assert.equal(200, post("abc").status)
  end)

  it("is an error that middleware can catch and app:on_error maps", function()
    local caught
    handle(function(a)
      a:on_error(function(ctx, err)
        return ctx:text("mapped " .. err.status)
      end)
      a:use(function(_, next)
        local ok, err = pcall(next)
        caught = not ok and err
        error(err, 0)
      end)
      a:post("/", function(ctx)
        return ctx:body():await()
      end)
    end, { limits = { body = 3 } })
    local res = post("abcd")
    assert.equal("mapped 413", res.body)
    assert.equal(413, res.status)
    assert.equal("status", caught.code)
  end)

  it("rejects whoever reads it, however often", function()
    handle(function(a)
      a:use(function(ctx)
        local codes = {}
        for i = 1, 2 do
          local _, err = ctx:body():try_await()
          codes[i] = err.status
        end
        local ok, err = pcall(ctx:chunks())
        codes[3] = not ok and err.status
        return ctx:json(codes)
      end)
      a:post("/", function()
        return "never"
      end)
    end, { limits = { body = 3 } })
    assert.same({ 413, 413, 413 }, post("abcd"):json())
  end)

  it("leaves a 404 and a 405 what they are", function()
    handle(function(a)
      a:get("/", function()
        return "ok"
      end)
    end, { limits = { body = 3 } })
    assert.equal(405, post("abcd").status)
    assert.equal(404, app:post("/nowhere", { body = "abcd" }).status)
  end)
end)
