local test = require("moongate.test")

local app

before_each(function()
  app = test.app(function(a)
    a:post("/refuse", function(ctx)
      ctx:fail(403, "no: 100 % no\n\195\164")
    end)
    a:post("/broken", function()
      error("boom")
    end)
  end, { http2 = true })
end)
after_each(function()
  app:assert_no_leaks()
end)

local function call(path, kind)
  return app:post(path, { body = "", headers = { ["Content-Type"] = kind } })
end

describe("a call of gRPC that fails", function()
  it("is told so in words of gRPC", function()
    local res = call("/refuse", "application/grpc+proto")
    assert.equal(200, res.status)
    assert.equal("application/grpc", res.headers["content-type"])
    assert.equal("7", res.headers["grpc-status"])
    assert.equal("no: 100 %25 no%0A%C3%A4", res.headers["grpc-message"])
    assert.equal("", res.body)
  end)

  it("learns nothing of what broke", function()
    local res = call("/broken", "application/grpc")
    assert.equal("2", res.headers["grpc-status"])
    assert.equal("Internal Server Error", res.headers["grpc-message"])
  end)

  it("finds no method where there is no route", function()
    assert.equal("12", call("/nowhere", "application/grpc").headers["grpc-status"])
  end)

  it("is not every call", function()
    for _, kind in ipairs({ "application/grpc-web", "application/grpcx", "text/plain" }) do
      assert.equal(403, call("/refuse", kind).status)
    end
  end)
end)
