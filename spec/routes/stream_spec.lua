local test = require("moongate.test")

describe("GET /stream", function()
  local app
  before_each(function()
    app = test.app("lua/app.lua")
  end)
  after_each(function()
    app:assert_no_leaks()
  end)

  it("counts, a line each half second", function()
    local res = app:get("/stream", { query = { lines = 3 } })
    assert.equal("text/plain; charset=utf-8", res.headers["content-type"])
    assert.equal("line 1 of 3\nline 2 of 3\nline 3 of 3\n", res.body)
    assert.near(1.5, app.clock:elapsed(), 0.001)
  end)

  it("sends each line when it is there", function()
    local flight = app:start("GET", "/stream")
    app.clock:advance(1.2)
    local bytes = flight:read()
    assert.matches("line 2 of 5", bytes)
    assert.is_nil(bytes:find("line 3", 1, true))
    flight:disconnect()
  end)

  it("ends when the client leaves", function()
    app:start("GET", "/stream", { query = { lines = 60 } }):disconnect(1)
    assert.near(1, app.clock:elapsed(), 0.001)
  end)

  it("refuses a number of lines that is none", function()
    for _, lines in ipairs({ "0", "-1", "1.5", "61", "many" }) do
      assert.equal(400, app:get("/stream", { query = { lines = lines } }).status)
    end
  end)
end)
