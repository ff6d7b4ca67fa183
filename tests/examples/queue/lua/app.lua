--- Takes signed webhooks and hands each on to its subscriber, again and again until it is taken.
local moongate = require("moongate")
local signature = require("signature")
local worker = require("worker")

local SECRET = os.getenv("HOOK_SECRET") or "a secret for development"

local app = moongate.app()

-- What comes in: signed by the other side, and never taken twice.
app:post("/hooks", { middleware = signature.check(SECRET) }, function(ctx)
  local id = ctx.headers["x-delivery"] or ctx:fail(422, "X-Delivery is wanted")
  local body = ctx:body_json():await()
  local url = type(body) == "table" and body.url or ctx:fail(422, "a url is wanted")
  local job = ctx:transaction(function(tx)
    local new = tx:query("INSERT INTO deliveries (id, came) VALUES ($1, $2) ON CONFLICT DO NOTHING",
      id, moongate.now()):await().affected == 1
    return new and tx:query("INSERT INTO jobs (url, payload, due) VALUES ($1, $2, $3)", url,
      moongate.json.encode(body.payload), moongate.now()):await().last_id
  end):await()
  if not job then
    return 200, { known = true }
  end
  ctx:header("Location", app:url("job", { id = job }))
  return 202, { job = job }
end)

app:get("/jobs/:id<int>", "job", function(ctx)
  return ctx:database():one("SELECT id, url, state, tries, fault FROM jobs WHERE id = $1",
    ctx.params.id):await() or ctx:fail(404, "no such job")
end)

-- Jobs that were given up may be tried again by hand.
app:post("/jobs/:id<int>/again", function(ctx)
  local rows = ctx:query_database(
    "UPDATE jobs SET state = 'waiting', tries = 0, due = $2 WHERE id = $1 AND state = 'dead'",
    ctx.params.id, moongate.now()):await()
  return rows.affected == 1 and 202 or ctx:fail(409, "it was not given up")
end)

app:every("deliver", 1, function()
  worker.run_due(SECRET)
end)

app:every("forget", "@hourly", { jitter = 60 }, function()
  local day_ago = moongate.now() - 86400
  moongate.database():query("DELETE FROM deliveries WHERE came < $1", day_ago):await()
end)

return app
