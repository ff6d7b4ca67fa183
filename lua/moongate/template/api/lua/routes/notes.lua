--- Notes: list, show, make, change, delete.
local check = require("check")

local RULES = { title = check.text(200), text = check.text(10000), done = check.flag }
local COLUMNS = "id, title, text, done, created_at"

-- As clients see it; SQLite has no booleans.
local function shown(row)
  row.done = row.done == 1
  return row
end

local function find(ctx)
  local db = ctx:database()
  local row = db:one("SELECT " .. COLUMNS .. " FROM notes WHERE id = $1", ctx.params.id):await()
  return shown(row or ctx:fail(404, "there is no note " .. ctx.params.id))
end

return function(notes)
  notes:get("/", function(ctx)
    local after = tonumber(ctx.query.after) or 0
    local rows = ctx:query_database(
      "SELECT " .. COLUMNS .. " FROM notes WHERE id > $1 ORDER BY id LIMIT 50", after):await()
    for _, row in ipairs(rows) do
      shown(row)
    end
    return { notes = rows }
  end)

  notes:get("/:id<int>", "note", find)

  notes:post("/", function(ctx)
    local note = check.body(ctx, RULES)
    local id = ctx:query_database("INSERT INTO notes (title, text, done) VALUES ($1, $2, $3)",
      note.title, note.text, note.done and 1 or 0):await().last_id
    ctx.params.id = id
    ctx:header("Location", "/api/notes/" .. id)
    return 201, find(ctx)
  end)

  notes:put("/:id<int>", function(ctx)
    local note = check.body(ctx, RULES)
    find(ctx)
    ctx:query_database("UPDATE notes SET title = $2, text = $3, done = $4 WHERE id = $1",
      ctx.params.id, note.title, note.text, note.done and 1 or 0):await()
    return find(ctx)
  end)

  notes:delete("/:id<int>", function(ctx)
    find(ctx)
    ctx:query_database("DELETE FROM notes WHERE id = $1", ctx.params.id):await()
    return 204
  end)
end
