local test = require("moongate.test")

describe("/messages", function()
  local app
  before_each(function()
    app = test.app("lua/app.lua")
  end)
  after_each(function()
    app:assert_no_leaks()
  end)

  local function post(text)
    return app:post("/messages", { form = { text = text } })
  end

  it("is an empty list at first", function()
    assert.equal("[]", app:get("/messages").body)
  end)

  it("keeps what the form posts and sends the browser to the list", function()
    local res = post("hello & good night")
    assert.equal(303, res.status)
    assert.equal("/messages", res.headers.location)
    assert.equal("hello & good night", app:get("/messages"):json()[1].text)
  end)

  it("are told to every open page", function()
    local page = app:events("/live")
    post("hello")
    assert.equal('{"text":"hello"}', page:next().data)
    page:close()
  end)

  it("keeps the last twenty", function()
    for i = 1, 21 do
      post("message " .. i)
    end
    local messages = app:get("/messages"):json()
    assert.equal(20, #messages)
    assert.equal("message 2", messages[1].text)
  end)

  it("refuses an empty message and what is no form", function()
    assert.equal(422, post("  ").status)
    assert.equal(422, app:post("/messages", { form = { other = "x" } }).status)
    assert.equal(415, app:post("/messages", { json = { text = "x" } }).status)
  end)
end)
