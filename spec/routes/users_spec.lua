local test = require("moongate.test")

local REAL = { database = "sqlite::memory:", migrations = "lua/migrations", cache = "memory:1M" }

describe("/users", function()
  local app
  before_each(function()
    app = test.app("lua/app.lua", REAL)
  end)
  after_each(function()
    app:assert_no_leaks()
  end)

  it("lists users", function()
    local users = app:get("/users"):json()
    assert.equal(2, #users)
    assert.equal("Ada Lovelace", users[1].name)
  end)

  it("lists them from the cache for 30 s, unless one is added", function()
    local first = app:get("/users"):json()
    app:run(function()
      require("moongate").database():query("DELETE FROM users"):await()
    end)
    assert.same(first, app:get("/users"):json())
    app.clock:advance(31)
    assert.equal("[]", app:get("/users").body)
    app:post("/users", { json = { name = "Alan Turing" } })
    assert.equal(1, #app:get("/users"):json())
  end)

  it("shows one by its id", function()
    assert.same({ id = 2, name = "Grace Hopper" }, app:get("/users/2"):json())
  end)

  it("answers 404 for an unknown id and for what is no id", function()
    local res = app:get("/users/99")
    assert.equal(404, res.status)
    assert.equal("no such user", res:json().detail)
    assert.equal(404, app:get("/users/ada").status)
  end)

  it("adds a user and tells where it is", function()
    local res = app:post("/users", { json = { name = "Alan Turing" } })
    assert.equal(201, res.status)
    assert.equal("/users/3", res.headers.location)
    assert.equal("Alan Turing", app:get(res.headers.location):json().name)
  end)

  it("takes a name for a text, whatever it holds", function()
    local name = "'); DROP TABLE users; --"
    assert.equal(201, app:post("/users", { json = { name = name } }).status)
    assert.equal(name, app:get("/users"):json()[3].name)
  end)

  it("refuses a name that is none", function()
    for _, input in ipairs({ {}, { name = 7 }, { name = "" }, { name = ("x"):rep(81) }, "ada" }) do
      local res = app:post("/users", { json = input })
      assert.equal(422, res.status)
      assert.equal("name", res:json().field)
    end
  end)

  it("refuses a body that is no JSON, or too large", function()
    assert.equal(400, app:post("/users", { body = "{" }).status)
    assert.equal(413, app:post("/users", { body = (" "):rep(5000) }).status)
  end)

  it("has room for 100", function()
    for _ = 3, 100 do
      assert.equal(201, app:post("/users", { json = { name = "one more" } }).status)
    end
    assert.equal(409, app:post("/users", { json = { name = "one too many" } }).status)
  end)
end)

describe("/users on stubs", function()
  local app
  local ONE = "SELECT id, name FROM users WHERE id = $1"

  before_each(function()
    app = test.app("lua/app.lua")
  end)
  after_each(function()
    app:assert_no_leaks()
  end)

  it("answers 504 when the database never does", function()
    app:stub_database(ONE, test.never())
    assert.equal(504, app:get("/users/7").status)
    assert.near(2, app.clock:elapsed(), 0.001)
  end)

  it("does without a cache that fails, and says so in the log", function()
    app:stub_database("SELECT id, name FROM users ORDER BY id", { { id = 1, name = "Ada" } })
    app:stub("query_cache", test.fail("cache", "busy"))
    app:stub("update_cache", test.fail("cache", "busy"))
    assert.equal("Ada", app:get("/users"):json()[1].name)
    app.clock:settle()
    assert.matches("busy", app.logs[#app.logs].message)
  end)
end)
