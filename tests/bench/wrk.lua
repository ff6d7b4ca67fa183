-- bench/wrk: what wrk sends; then its figures, one line of JSON. Arguments: MODE PATH.
-- luacheck: globals wrk init request done

local DEPTH = 16
local HANDLERS = 128
local UPLOAD_BYTES = 65536

local function pipelined(path)
  local batch = string.rep(wrk.format("GET", path), DEPTH)
  return function() return batch end
end

local function cycled()
  local requests, at = {}, 0
  for n = 1, HANDLERS do
    requests[n] = wrk.format("GET", ("/r%03d/42"):format(n - 1))
  end
  return function()
    at = at % HANDLERS + 1
    return requests[at]
  end
end

-- Without a global `request`, wrk sends the same bytes again and again and never enters Lua.
function init(args)
  if args[1] == "upload" then
    wrk.method, wrk.body = "POST", string.rep("x", UPLOAD_BYTES)
  elseif args[1] == "pipeline" then
    request = pipelined(args[2])
  elseif args[1] == "cycle" then
    request = cycled()
  end
end

function done(summary, latency)
  local e = summary.errors
  local line = [[RESULT {"requests":%d,"errors":%d,"rps":%.1f,"p50_us":%d,"p99_us":%d}]]
  print(line:format(
    summary.requests,
    e.connect + e.read + e.write + e.status + e.timeout,
    summary.requests / summary.duration * 1e6,
    latency:percentile(50),
    latency:percentile(99)
  ))
end
