--- What happens to photos, as rows that every worker sees, and as server-sent events.
local moongate = require("moongate")
local M = {}

local EVERY = 1 -- seconds between two looks
local BEAT = 15 -- seconds after which a silent stream says that it is alive

--- Writes down that something happened, in the transaction that made it happen.
function M.tell(tx, what, photo)
  tx:query("INSERT INTO events (what, photo) VALUES ($1, $2)", what, photo):await()
end

local function send(out, event)
  out:write(("id: %d\nevent: %s\ndata: %s\n\n"):format(event.id, event.what,
    moongate.json.encode({ photo = event.photo })))
end

-- Where a client begins: behind the last event it has seen, or now.
local function first_id(ctx)
  local seen = tonumber(ctx.headers["last-event-id"])
  return seen or ctx:database():one("SELECT coalesce(max(id), 0) AS id FROM events"):await().id
end

function M.stream(ctx)
  local last, silent = first_id(ctx), 0
  ctx:header("Cache-Control", "no-store")
  ctx:stream("text/event-stream", function(out)
    out:write("retry: 2000\n\n")
    repeat
      local events = ctx:query_database(
        "SELECT id, what, photo FROM events WHERE id > $1 ORDER BY id LIMIT 100", last):await()
      for _, event in ipairs(events) do
        send(out, event)
        last, silent = event.id, 0
      end
      if silent >= BEAT then
        out:write(": still here\n\n")
        silent = 0
      end
      silent = silent + EVERY
      -- At a reload or a stop it ends well: the client comes again, with the last id that it saw.
      local why = moongate.Future.race({ ctx.retiring, ctx:sleep(EVERY) }):await()
    until why
  end)
end

return M
