local test = require("moongate.test")
local helpers = dofile("spec/fixture/helpers.lua")

local app

-- An app with one route, GET /, and what it logs, one message a line.
local function serve(options, handler)
  if not handler then
    options, handler = {}, options
  end
  app = test.app(function(a)
    a:get("/", options, handler)
  end)
  return app
end

local function logged()
  return helpers.logged(app)
end

local function count(pattern)
  local _, n = logged():gsub(pattern, "")
  return n
end

after_each(function()
  app:close()
end)

describe("the handler's deadline", function()
  it("answers 504 and logs that once, naming the route", function()
    serve({ timeout = 2 }, function(ctx)
      ctx:sleep(60):await()
    end)
    local res = app:get("/")
    assert.equal(504, res.status)
    assert.equal("application/problem+json", res.headers["content-type"])
    assert.near(2, app.clock:elapsed(), 0.001)
    app.clock:advance(60)
    assert.equal(1, #app.logs)
    assert.matches("the handler of GET / failed: the handler took longer than 2 s", logged())
    app:assert_no_leaks()
  end)

  it("is logged once though the handler swallows its cancellation", function()
    for _, swallow in ipairs({ "returns", "answers", "nothing" }) do
      serve({ timeout = 2 }, function(ctx)
        pcall(function()
          ctx:sleep(60):await()
        end)
        if swallow == "answers" then
          ctx:text("late")
        end
        return swallow == "returns" and "late" or nil
      end)
      assert.equal(504, app:get("/").status)
      app.clock:advance(60)
      assert.equal(1, #app.logs, swallow .. ": " .. logged())
    end
  end)

  it("comes from timeouts.handler where the route says nothing", function()
    app = test.app(function(a)
      a:get("/", function(ctx)
        ctx:sleep(60):await()
      end)
    end, { timeouts = { handler = 4 } })
    assert.equal(504, app:get("/").status)
    assert.near(4, app.clock:elapsed(), 0.001)
  end)

  it("cancels the children", function()
    local code
    serve({ timeout = 2 }, function(ctx)
      ctx:spawn(function()
        local _, err = pcall(function()
          ctx:sleep(60):await()
        end)
        code = err.code
      end)
      ctx:sleep(60):await()
    end)
    app:get("/")
    app.clock:settle()
    assert.equal("cancelled", code)
  end)

  it("ends when the head is committed", function()
    serve({ timeout = 2 }, function(ctx)
      ctx:stream("text/plain", function(out)
        for _ = 1, 5 do
          out:write("x")
          ctx:sleep(1):await()
        end
      end)
    end)
    local res = app:get("/")
    assert.equal("xxxxx", res.body)
    assert.near(5, app.clock:elapsed(), 0.001)
    assert.equal("", logged())
  end)

  it("is stream_max for a stream", function()
    local code
    serve({ timeout = 2, stream_max = 4 }, function(ctx)
      ctx:stream("text/plain", function(out)
        local _, err = pcall(function()
          while true do
            out:write("x")
            ctx:sleep(1):await()
          end
        end)
        code = err.code
      end)
    end)
    local flight = app:start("GET", "/")
    app.clock:advance(10)
    local bytes, closed = flight:read()
    assert.is_true(closed)
    assert.is_nil(bytes:find("0\r\n\r\n", 1, true)) -- the answer is seen to be incomplete
    assert.equal("cancelled", code)
    app:assert_no_leaks()
  end)
end)

describe("the handler's failure", function()
  it("cancels the request's work", function()
    local codes = {}
    serve(function(ctx)
      ctx:spawn(function()
        local _, err = pcall(function()
          ctx:sleep(60):await()
        end)
        codes[#codes + 1] = err.code
      end)
      ctx:sleep(1):await()
      error("failed")
    end)
    assert.equal(500, app:get("/").status)
    app.clock:settle()
    assert.same({ "cancelled" }, codes)
    app:assert_no_leaks()
  end)

  it("in a stream closes the connection in the middle of the answer", function()
    serve(function(ctx)
      ctx:stream("text/plain", function(out)
        out:write("begun")
        error("half way")
      end)
    end)
    local flight = app:start("GET", "/")
    local bytes, closed = flight:read()
    assert.is_true(closed)
    assert.is_nil(bytes:find("0\r\n\r\n", 1, true))
    assert.equal(1, count("half way"))
  end)
end)

describe("ctx:spawn", function()
  it("gives a Future of what the function returns", function()
    serve(function(ctx)
      local a, b = ctx:spawn(function(x, y)
        ctx:sleep(1):await()
        return x + 1, y + 1
      end, 1, 2):await()
      return { a, b }
    end)
    assert.same({ 2, 3 }, app:get("/"):json())
  end)

  it("wants a function", function()
    serve(function(ctx)
      return (select(2, pcall(function()
        ctx:spawn("text")
      end)))
    end)
    assert.matches("scope_spec%.lua:%d+: spawn: a function is wanted", app:get("/").body)
  end)
end)

describe("a body that was awaited with a timeout", function()
  it("can be awaited again", function()
    app = test.app(function(a)
      a:post("/", function(ctx)
        local _, err = ctx:body():timeout(1):try_await()
        return err.code .. " " .. ctx:body():await()
      end)
    end)
    local flight = app:start("POST", "/", { length = 4 })
    app.clock:advance(2)
    flight:send("body")
    assert.equal("timeout body", flight:response().body)
  end)
end)
