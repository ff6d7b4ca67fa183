-- bench/app: the handlers that the peers have too.
local moongate = require("moongate")
local app = moongate.app()

app:get("/", function(ctx) return ctx:text("hello\n") end)

app:get("/sleep", function(ctx)
  ctx:sleep(0.005):await()
  return ctx:text("hello\n")
end)

app:get("/three", function(ctx)
  local url = "http://127.0.0.1:18087/"
  local all = moongate.Future.all({ ctx:http_request(url), ctx:http_request(url),
    ctx:http_request(url) }):await()
  return ctx:text(all[1].body .. all[2].body .. all[3].body)
end)

app:get("/users/:id", function(ctx)
  local id = ctx.params.id
  return { id = id, name = "user " .. id }
end)

-- W2x128: each handler has its own source, so that no trace of the JIT serves them all.
local SOURCE = [[
return function(ctx)
  local id = ctx.params.id
  return { id = id, name = "user " .. id, route = %d }
end]]

for n = 0, 127 do
  local handler = assert(load(SOURCE:format(n), "=handler" .. n))()
  app:get(("/r%03d/:id"):format(n), handler)
end

return app
