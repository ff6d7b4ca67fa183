-- bench/count: the handlers whose instructions are counted. count.c names their paths.
local moongate = require("moongate")
local app = moongate.app()

app:get("/text", function(ctx) return ctx:text("hello\n") end)

app:get("/users/:id", function(ctx)
  local id = ctx.params.id
  return { id = id, name = "user " .. id }
end)

app:get("/sleep", function(ctx)
  ctx:sleep(0.001):await()
  return ctx:text("hello\n")
end)

app:post("/echo", function(ctx) return ctx:body():await() end)

local function tag(ctx, next)
  next()
  ctx:header("X-Tag", ctx.headers["x-tag"] or "none")
end

local function guard(ctx, next)
  if not ctx.headers.authorization then
    ctx:fail(401, "who is it?")
  end
  next()
end

app:group("/onion", { moongate.middleware.request_id(), tag, guard }, function(group)
  group:get("/:id", function(ctx)
    ctx:header("Cache-Control", "no-store"):header("X-Id", ctx.params.id)
    return ctx:json({ id = ctx.params.id })
  end)
end)

app:on_start(function() moongate.cache():set("user:42", { id = 42, name = "user 42" }):await() end)
app:get("/cached", function(ctx) return ctx:query_cache("user:42"):await() end)

-- What an upstream answers: as it is, and with a field that a middleware adds.
app:proxy("/relay/*path", "origin")
app:proxy("/relay_h2/*path", "origin_h2")
app:group("/tagged", { function(ctx, next)
  next()
  ctx:header("X-Added", "by a middleware")
end }, function(group)
  group:proxy("/*path", "origin")
end)

app:websocket("/ws", { message = function(ws, data, kind) ws:send(data, kind) end })
app:websocket("/ws_loop", function(ws)
  for data, kind in ws:messages() do
    ws:send(data, kind)
  end
end)

local SELF = { self = true }
app:websocket("/ws_room", {
  open = function(ws) ws:subscribe("room") end,
  message = function(ws, data) ws:publish("room", data, SELF) end,
})

return app
