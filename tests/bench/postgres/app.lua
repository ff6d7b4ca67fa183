--- What node.js beside it does.
local moongate = require("moongate")
local app = moongate.app()

local ROW = "SELECT id, name, n FROM rows WHERE id = $1"

app:get("/", function()
  return "ready"
end)

app:get("/row/:id", function(ctx)
  return ctx:database():one(ROW, ctx.params.id):await()
end)

-- How late the loop is, in ms: the longest of each hundredth of a second.
local function watch_lag(lags)
  return moongate.spawn(function()
    while true do
      local due = moongate.monotonic() + 0.01
      moongate.sleep(0.01):await()
      lags[#lags + 1] = math.max(0, moongate.monotonic() - due) * 1000
    end
  end)
end

local function measured(fn)
  local lags, begun = {}, moongate.monotonic()
  local watch = watch_lag(lags)
  fn()
  watch:cancel()
  table.sort(lags)
  return { seconds = moongate.monotonic() - begun,
    lag_ms = lags[math.max(1, math.ceil(#lags * 0.99))] or 0 }
end

app:get("/many/:n/:at_once", { timeout = 600 }, function(ctx)
  local left, db = tonumber(ctx.params.n), ctx:database()
  return measured(function()
    local all = {}
    for i = 1, tonumber(ctx.params.at_once) do
      all[i] = ctx:spawn(function()
        while left > 0 do
          left = left - 1
          db:one(ROW, 1 + left % 10000):await()
        end
      end)
    end
    moongate.Future.all(all):await()
  end)
end)

app:get("/copy/:n", { timeout = 600 }, function(ctx)
  return measured(function()
    local db = ctx:database()
    db:query("TRUNCATE copied"):await()
    local copy = db:copy_in("COPY copied FROM STDIN")
    for i = 0, tonumber(ctx.params.n) - 1 do
      copy:write(i .. "\tthe name of row " .. i .. "\t" .. i * 7 .. "\n")
    end
    copy:finish():await()
  end)
end)

return app
