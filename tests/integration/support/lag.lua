--- How late a worker's loop is, in ms, looked at each hundredth of a second.
local json = require("dkjson")
local M = {}

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

--- Prints what was seen.
function M.tell(service, what)
  local lag = json.decode(service:body("/lag"))
  print(("%s: the loop's lag at most %.1f ms, 99 of 100 below %.1f ms (%d looks)"):format(what,
    lag.most, lag.p99, lag.n))
end

return M
