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

after_each(function()
  app:assert_no_leaks()
end)

describe("an answer in pieces", function()
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
