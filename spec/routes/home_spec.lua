local test = require("moongate.test")

describe("GET /", function()
  local app
  before_each(function()
    app = test.app("lua/app.lua", {
      database = "sqlite::memory:", migrations = "lua/migrations", cache = "memory:1M",
    })
  end)
  after_each(function()
    app:assert_no_leaks()
  end)

  it("answers a page", function()
    local res = app:get("/")
    assert.equal(200, res.status)
    assert.equal("text/html; charset=utf-8", res.headers["content-type"])
    assert.matches("Moongate is running", res.body)
  end)

  it("links only what there is", function()
    local count = 0
    for path in app:get("/").body:gmatch('[hs]re?[fc]="([^"]+)"') do
      assert.equal(200, app:get(path).status, path)
      count = count + 1
    end
    assert.equal(11, count)
  end)
end)
