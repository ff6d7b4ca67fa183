local moongate = require("moongate")
local test = require("moongate.test")

local MEMORY = { database = "sqlite::memory:" }

-- An app with a table of users in memory; `declare(app)` adds routes.
local function new_app(declare, options)
  local app = test.app(declare or function() end, options or MEMORY)
  app:run(function()
    local db = moongate.database()
    db:query("CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT UNIQUE, n INTEGER)"):await()
  end)
  app.calls = {}
  return app
end

describe("test.app with migrations", function()
  it("runs them before the app starts", function()
    local seen
    local app = test.app(function(a)
      a:on_start(function()
        seen = moongate.database():query("SELECT name, note FROM users ORDER BY id"):await()
      end)
    end, { database = "sqlite::memory:", migrations = "spec/fixture/migrations" })
    assert.same({ { name = "ada", note = "a;b!" }, { name = "grace", note = "a;b!" } }, seen)
    assert.equal(1, #app.calls) -- on_start's own
    app:assert_no_leaks()
  end)

  it("begins with an empty database each time", function()
    for _ = 1, 3 do
      local app = new_app()
      app:run(function()
        moongate.database():query("INSERT INTO users (id) VALUES (1)"):await()
      end)
      app:assert_no_leaks()
    end
  end)
end)
