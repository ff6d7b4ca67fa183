--- Other servers, asked at once: here it is this one, so that nothing else has to run.
local moongate = require("moongate")
local M = {}

local SELF = os.getenv("SELF_URL") or "http://127.0.0.1:8080"

local function summary(response)
  return { status = response.status, bytes = #response.body }
end

function M.declare(app)
  app:get("/fetch", { timeout = 5 }, function(ctx)
    local start = moongate.monotonic()
    local answers = moongate.Future.all({
      users = ctx:http_request(SELF .. "/users"):and_then(summary),
      hello = ctx:http_request(SELF .. "/hello/moon"):and_then(summary),
      parallel = ctx:http_request({ url = SELF .. "/parallel", timeout = 2 }):and_then(summary),
    }):await()
    return { answers = answers, seconds = moongate.monotonic() - start }
  end)
end

return M
