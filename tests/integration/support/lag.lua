--- How late a worker's loop is, in ms, looked at each hundredth of a second.
local json = require("dkjson")
local socket = require("socket")
local M = {}

local BAR_MS = 5
local QUIET_S = 3

--- Lines of an app: GET /lag tells what was seen since it was last asked.
M.LINES = [[
local lags = {}
app:on_start(function()
  moongate.spawn(function()
    while true do
      local due = moongate.monotonic() + 0.01
      moongate.sleep(0.01):await()
      lags[#lags + 1] = math.max(0, moongate.monotonic() - due) * 1000
    end
  end)
end)

app:get("/lag", function()
  table.sort(lags)
  local told = { n = #lags, p99 = lags[math.ceil(#lags * 0.99)], most = lags[#lags] }
  lags = {}
  return told
end)
]]

--- Of a service with these lines, which look for ever: a stop would wait for them.
M.TIMEOUTS = { drain = 0.5 }

--- Begins to look anew.
---@param service table of support.service, with these lines
function M.forget(service)
  service:body("/lag")
end

local function look(service)
  return json.decode(service:body("/lag"))
end

--- What is seen while nothing happens: how late this machine alone makes a loop.
function M.quiet(service)
  M.forget(service)
  socket.sleep(QUIET_S)
  return look(service)
end

local function judge_one(what, name, ms, quiet_ms)
  assert(ms < BAR_MS + quiet_ms, ("%s: %s of the loop's lag is %.1f ms, which is to be below %d ms "
    .. "beyond the %.1f ms of a quiet loop"):format(what, name, ms, BAR_MS, quiet_ms))
end

--- Prints what was seen, and gives it.
---@param quiet table of M.quiet
function M.tell(service, quiet, what)
  local lag = look(service)
  print(("%s: the loop's lag at most %.1f ms (quiet: %.1f), 99 of 100 below %.1f ms (quiet: %.1f), "
    .. "%d looks"):format(what, lag.most, quiet.most, lag.p99, quiet.p99, lag.n))
  return lag
end

--- Tells it, and raises if the loop was late by more than a quiet one and the bar: of a server that
--- says nothing. Where clients take the processor as well, the figure says as much of them.
---@param quiet table of M.quiet
function M.judge(service, quiet, what)
  local lag = M.tell(service, quiet, what)
  judge_one(what, "99 of 100", lag.p99, quiet.p99)
  judge_one(what, "the most", lag.most, quiet.most)
end

return M
