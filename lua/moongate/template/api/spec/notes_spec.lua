local test = require("moongate.test")

describe("notes", function()
  local app

  before_each(function()
    app = test.app({ database = "sqlite::memory:", migrations = "lua/migrations" })
  end)

  after_each(function()
    app:assert_no_leaks()
  end)

  local function make(title)
    return app:post("/api/notes", { json = { title = title, text = "..." } })
  end

  it("are made and shown", function()
    local made = make("Buy a moon")
    assert.equal(201, made.status)
    assert.equal("/api/notes/1", made.headers.location)
    local shown = app:get("/api/notes/1"):json()
    assert.equal("Buy a moon", shown.title)
    assert.is_false(shown.done)
  end)

  it("are listed, from one on", function()
    make("first")
    make("second")
    assert.equal(2, #app:get("/api/notes"):json().notes)
    local rest = app:get("/api/notes?after=1"):json().notes
    assert.equal(1, #rest)
    assert.equal("second", rest[1].title)
  end)

  it("are changed", function()
    make("old")
    local res = app:put("/api/notes/1", { json = { title = "new", text = "t", done = true } })
    assert.equal("new", res:json().title)
    assert.is_true(app:get("/api/notes/1"):json().done)
  end)

  it("are deleted", function()
    make("short-lived")
    assert.equal(204, app:delete("/api/notes/1").status)
    assert.equal(404, app:get("/api/notes/1").status)
    assert.equal(404, app:delete("/api/notes/1").status)
  end)

  it("are refused with all that is wrong", function()
    local res = app:post("/api/notes", { json = { title = "", done = "yes" } })
    assert.equal(422, res.status)
    assert.same({
      title = "a text is wanted", text = "a text is wanted", done = "true or false is wanted",
    }, res:json().fields)
    assert.equal(400, app:post("/api/notes", { body = "{", headers = {
      ["Content-Type"] = "application/json",
    } }).status)
  end)

  it("answer faults in one form, with the request's id", function()
    local res = app:get("/api/notes/99", { headers = { Origin = "https://shop.example" } })
    assert.equal("there is no note 99", res:json().error)
    assert.equal(res.headers["x-request-id"], res:json().request_id)
    assert.equal("*", res.headers["access-control-allow-origin"])
  end)
end)
