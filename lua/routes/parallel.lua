--- Three things at once: each call starts its work and returns a Future, `await` waits for it.
local moongate = require("moongate")
local M = {}

local function size_of(text)
  return #text .. " bytes"
end

function M.declare(app)
  app:get("/parallel", { timeout = 2 }, function(ctx)
    local start = moongate.monotonic()
    local slept = ctx:sleep(0.3):and_then(function()
      return "0.3 s"
    end)
    local spawned = ctx:spawn(function()
      ctx:sleep(0.2):await()
      return "0.2 s"
    end)
    local readme = ctx:read_file("README.md"):and_then(size_of)

    local results = moongate.Future.all({ slept = slept, spawned = spawned, readme = readme })
    return { results = results:await(), seconds = moongate.monotonic() - start }
  end)
end

return M
