local test = require("moongate.test")
local moongate = require("moongate")

describe("db:listen", function()
  local app
  after_each(function()
    app:assert_no_leaks()
  end)

  it("is stubbed by a list of notes", function()
    app = test.app(function() end)
    app:stub_database("LISTEN news", { { payload = "a" }, { missed = true } })
    app:run(function()
      local heard = {}
      local notes = moongate.database():listen("news")
      notes:ready():await()
      for note in notes do
        heard[#heard + 1] = note.missed and "missed" or note.payload
      end
      assert.same({ "a", "missed" }, heard)
      notes:close()
      assert.is_nil(notes())
    end)
  end)

  it("says that SQLite has no channels", function()
    app = test.app(function() end, { database = "sqlite::memory:" })
    app:run(function()
      local db = moongate.database()
      local _, err = pcall(function()
        db:listen("news")
      end)
      assert.matches("listening_spec.lua:%d+: listen: channels are PostgreSQL's, and database "
        .. "'default' is SQLite", err)
      _, err = pcall(db.listen, db, 7)
      assert.matches("listen: a channel is wanted, a name of 1 to 63 bytes", err)
    end)
  end)

  it("is refused while the app is loaded", function()
    app = test.app(function() end)
    local ok, err = pcall(test.app, function()
      moongate.database():listen("news")
    end)
    assert.is_false(ok)
    assert.matches("on_start", tostring(err))
  end)
end)
