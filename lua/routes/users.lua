--- Users as JSON, from the database beside a cache. A change empties the cache's entry; the list is
--- written back to it behind the answer.
local M = {}

local MOST = 100
local LIST, SECONDS = "users:all", 30

-- For every engine, so that the id is counted here. Two requests at once take neither one id nor
-- both the last place: PostgreSQL has one of them lose, which is then tried again.
local ADD = [[
  INSERT INTO users (id, name) SELECT coalesce(max(id), 0) + 1, $1 FROM users
    HAVING count(*) < $2 RETURNING id, name]]
local ALONE = { isolation = "serializable", retry = 10 }

local function valid_name(ctx, input)
  local name = type(input) == "table" and input.name
  if type(name) ~= "string" or #name < 1 or #name > 80 then
    ctx:fail(422, "name: a text of 1 to 80 bytes is wanted", { field = "name" })
  end
  return name
end

local function list(ctx)
  local users = ctx:query_database("SELECT id, name FROM users ORDER BY id") -- both start now
  local cached = ctx:query_cache(LIST):try_await()
  if cached then
    users:cancel()
    return ctx:json(cached)
  end
  local rows = users:await()
  ctx:update_cache(LIST, rows, { ttl = SECONDS }) -- not awaited: it goes on behind the answer
  return ctx:json(rows)
end

local function show(ctx)
  local rows = ctx:query_database("SELECT id, name FROM users WHERE id = $1", ctx.params.id):await()
  return rows[1] or ctx:fail(404, "no such user")
end

function M.declare(app)
  app:group("/users", function(group)
    group:get("/", list)
    group:get("/:id<int>", { name = "user", timeout = 2 }, show)

    group:post("/", { body = "4K" }, function(ctx)
      local name = valid_name(ctx, ctx:body_json():await())
      local user = ctx:transaction(function(tx)
        return tx:one(ADD, name, MOST):await()
      end, ALONE):await()
      if not user then
        ctx:fail(409, "there is room for " .. MOST .. " users")
      end
      ctx:delete_cache(LIST):await()
      ctx:header("Location", app:url("user", user))
      return 201, user
    end)
  end)
end

return M
