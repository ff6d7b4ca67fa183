local response = require("moongate.core.http.response")
local helpers = dofile("spec/fixture/helpers.lua")

describe("a response", function()
  it("is found ok by its status", function()
    for status, wanted in pairs({ [199] = false, [200] = true, [299] = true, [300] = false }) do
      assert.equal(wanted, response.made({ status = status }):ok(), status)
    end
  end)

  it("has headers in any case, of several values one text", function()
    local res = response.made({ headers = { ["X-A"] = { 1, 2 }, ["X-B"] = 2 ^ 53 } })
    assert.equal("1, 2", res.headers["x-a"])
    assert.equal("9007199254740992", res.headers["X-b"])
  end)

  it("gives its body as JSON, or says whose is none", function()
    assert.same({ a = { 1 } }, response.made({ body = '{"a":[1]}' }):json())
    local bad = response.made({ body = "{", url = "http://a/x" })
    assert.matches("^http://a/x: the body is not JSON: ", helpers.message_of(bad.json, bad))
    local deep = response.made({ body = ("["):rep(101) .. ("]"):rep(101) })
    assert.matches("the body is not JSON", helpers.message_of(deep.json, deep))
  end)

  it("gives a body that is there in one piece, once, and none when it is closed", function()
    local res, pieces = response.made({ body = "whole" }), {}
    for piece in res:chunks() do
      pieces[#pieces + 1] = piece
    end
    assert.same({ "whole" }, pieces)
    assert.is_nil(res:chunks()())
    local closed = response.made({ body = "whole" })
    closed:close()
    assert.is_nil(closed:chunks()())
  end)
end)
