--- Users as JSON: parameters, a body, validation. They live in the worker's memory, until it stops.
local M = {}

local MOST = 100

local function valid_name(ctx, input)
  local name = type(input) == "table" and input.name
  if type(name) ~= "string" or #name < 1 or #name > 80 then
    ctx:fail(422, "name: a text of 1 to 80 bytes is wanted", { field = "name" })
  end
  return name
end

function M.declare(app)
  local users = {
    { id = 1, name = "Ada Lovelace" },
    { id = 2, name = "Grace Hopper" },
  }

  app:group("/users", function(group)
    group:get("/", function()
      return users
    end)

    group:get("/:id<int>", "user", function(ctx)
      return users[tonumber(ctx.params.id)] or ctx:fail(404, "no such user")
    end)

    group:post("/", { body = "4K" }, function(ctx)
      local name = valid_name(ctx, ctx:body_json():await())
      if #users >= MOST then
        ctx:fail(409, "there is room for " .. MOST .. " users")
      end
      local user = { id = #users + 1, name = name }
      users[user.id] = user
      ctx:header("Location", app:url("user", user))
      return 201, user
    end)
  end)
end

return M
