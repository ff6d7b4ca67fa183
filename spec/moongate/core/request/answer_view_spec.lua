local test = require("moongate.test")
local helpers = dofile("spec/fixture/helpers.lua")

local app

-- What `look(ctx.answer, ctx)` gives behind next(), of what `handler` answers.
local function seen(handler, look)
  local got
  app = test.app(function(a)
    a:use(function(ctx, next)
      next()
      got = look(ctx.answer, ctx)
    end)
    a:get("/", handler)
  end)
  app:get("/")
  return got
end

describe("ctx.answer behind next()", function()
  it("has the status", function()
    assert.equal(201, seen(function()
      return 201, "made"
    end, function(answer)
      return answer.status
    end))
  end)

  it("has the fields by their names in any case, and the media type", function()
    local headers = seen(function(ctx)
      ctx:header("X-One", "1")
      ctx:add_header("X-Two", "a")
      ctx:add_header("x-two", "b")
      return "text"
    end, function(answer)
      return answer.headers
    end)
    assert.equal("1", headers["x-ONE"])
    assert.equal("a, b", headers["x-two"])
    assert.equal("text/plain; charset=utf-8", headers["Content-Type"])
  end)

  it("has the body as the text that is sent", function()
    local function body(answer)
      return answer.body
    end
    assert.equal("text", seen(function() return "text" end, body))
    assert.equal('{"a":1}', seen(function() return { a = 1 } end, body))
    assert.equal('{"a":1}', app:get("/").body)
    assert.is_nil(seen(function(ctx) ctx:stream("text/plain", function() end) end, body))
    assert.is_nil(seen(function(ctx) ctx:send_file("README.md", { root = "." }) end, body))
  end)

  it("says nothing before there is an answer", function()
    local before
    seen(function(ctx)
      before = { ctx.answer.status, ctx.answer.body }
      return "x"
    end, function() end)
    assert.same({}, before)
  end)

  it("lets an answer be replaced by what was seen", function()
    app = test.app(function(a)
      a:use(function(ctx, next)
        next()
        return ctx.answer.status, (ctx.answer.body:upper())
      end)
      a:get("/", function() return 202, "text" end)
    end)
    local res = app:get("/")
    assert.same({ 202, "TEXT" }, { res.status, res.body })
  end)

  it("tells of names that it has not, and cannot be set", function()
    seen(function() return "x" end, function(answer)
      helpers.refused(function()
        return answer.stauts
      end, "ctx.answer has no 'stauts' %(did you mean 'status'%?%)")
      helpers.refused(function()
        answer.status = 3
      end, "ctx.answer.status cannot be set: ")
    end)
  end)
end)

