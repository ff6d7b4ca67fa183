local errors = require("moongate.core.errors")
local problem = require("moongate.core.request.problem")
local test = require("moongate.test")
local helpers = dofile("spec/fixture/helpers.lua")

local app

local function serve(declare, options)
  app = test.app(declare, options)
  return app
end

local function handle(handler)
  return serve(function(a)
    a:get("/", handler)
  end)
end

local function logged()
  return helpers.logged(app)
end

after_each(function()
  if app then
    app:assert_no_leaks()
  end
  app = nil
end)

describe("an error that nobody catches is answered", function()
  local ANSWERED = {
    [413] = { { "limit" } },
    [500] = {
      { "cancelled" }, { "file" }, { "error" }, { "mine" }, { "limit", { path = "a" } },
      { "database", { reason = "syntax" } }, { "redis", { reason = "WRONGTYPE" } }, { "redis" },
    },
    [502] = {
      { "dns" }, { "denied" }, { "connect" }, { "tls" }, { "closed" }, { "protocol" },
      { "limit", { url = "http://a/" } },
    },
    [503] = {
      { "database", { reason = "busy" } }, { "cache" }, { "reload" }, { "stall" }, { "memory" },
      { "redis", { reason = "down" } }, { "redis", { reason = "closed" } },
      { "redis", { reason = "timeout" } }, { "redis", { reason = "limit" } },
    },
    [504] = { { "timeout" } },
  }
  for status, list in pairs(ANSWERED) do
    it(status, function()
      for _, row in ipairs(list) do
        local fields = {}
        for key, value in pairs(row[2] or {}) do
          fields[key] = value
        end
        assert.equal(status, problem.status_of(errors.new(row[1], "x", fields)), row[1])
      end
    end)
  end
end)

describe("ctx:fail", function()
  it("becomes problem+json with the request's id", function()
    handle(function(ctx)
      ctx:fail(404, "no such user", { user = 7 })
    end)
    local res = app:get("/")
    assert.equal(404, res.status)
    assert.equal("application/problem+json", res.headers["content-type"])
    local told = res:json()
    assert.matches("^%x+$", told.request_id)
    told.request_id = nil
    assert.same({
      type = "about:blank", title = "Not Found", status = 404, detail = "no such user", user = 7,
    }, told)
    assert.equal("", logged())
  end)

  it("of 5xx is logged", function()
    handle(function(ctx)
      ctx:fail(503, "come back later")
    end)
    assert.equal("come back later", app:get("/"):json().detail)
    assert.matches("come back later", logged())
  end)

  it("drops what was staged", function()
    handle(function(ctx)
      ctx:json({ staged = true }, 201)
      ctx:fail(409, "taken")
    end)
    assert.equal("taken", app:get("/"):json().detail)
  end)

  it("wants a status of 400 to 599, a text and a table", function()
    handle(function(ctx)
      local told = {}
      for i, args in ipairs({ { 200, "x" }, { 404.5 }, { "404" }, { 404, {} }, { 404, "x", 7 } }) do
        told[i] = select(2, pcall(ctx.fail, ctx, unpack(args)))
      end
      return table.concat(told, "\n")
    end)
    local body = app:get("/").body
    for _, text in ipairs({ "status is an integer from 400 to 599, not 200", "not 404.5",
      'not "404"\n', "the message is a string, not table", "the details are a table" }) do
      assert.is_truthy(body:find(text, 1, true), text)
    end
  end)
end)
