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

-- What a worker reads of its cache and its database in a second: no HTTP in between.
local ROW = "SELECT id, name FROM things WHERE id = $1"

app:on_start(function()
  local db = moongate.database()
  db:query("CREATE TABLE IF NOT EXISTS things (id INTEGER PRIMARY KEY, name TEXT)"):await()
  db:query("INSERT OR REPLACE INTO things WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL "
    .. "SELECT i + 1 FROM n WHERE i < 1000) SELECT i, 'thing ' || i FROM n"):await()
  moongate.cache():set("thing", { id = 1, name = "thing 1" }):await()
  moongate.cache():set("text", ("x"):rep(100)):await()
end)

local reads = {
  ["cache, 100 bytes"] = function(ctx) return ctx:query_cache("text"):await() end,
  ["cache, a table"] = function(ctx) return ctx:query_cache("thing"):await().name end,
  ["SQLite, a row by key"] = function(ctx, i)
    return ctx:query_database(ROW, i % 1000 + 1):await()[1].name
  end,
}

-- `n` reads by so many coroutines, the seconds they took.
app:post("/reads", { timeout = 600 }, function(ctx)
  local order = ctx:body_json():await()
  local read, all, start = reads[order.what], {}, moongate.monotonic()
  for c = 1, order.coroutines do
    all[c] = ctx:spawn(function()
      for i = 1, order.n / order.coroutines do
        assert(read(ctx, i + c))
      end
    end)
  end
  moongate.Future.all(all):await()
  return { seconds = moongate.monotonic() - start }
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
