local test = require("moongate.test")

describe("files", function()
  local app
  before_each(function()
    app = test.app("lua/app.lua")
  end)
  after_each(function()
    app:assert_no_leaks()
  end)

  it("shows the README as text", function()
    local res = app:get("/files/readme")
    assert.equal(200, res.status)
    assert.equal("text/plain; charset=utf-8", res.headers["content-type"])
    assert.matches("Moongate", res.body)
  end)

  it("serves the folder of public files, to be kept for an hour", function()
    local res = app:get("/public/moongate.svg")
    assert.equal("image/svg+xml", res.headers["content-type"])
    assert.equal("public, max-age=3600", res.headers["cache-control"])
  end)

  it("serves nothing outside of it", function()
    assert.equal(404, app:get("/public/..%2Fapp.lua").status)
  end)
end)
