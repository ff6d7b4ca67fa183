--- An answer in pieces: it counts, a line each half second. Try: curl -N localhost:8080/stream
local M = {}

local MOST = 60

local function lines_of(ctx)
  local lines = tonumber(ctx.query.lines or 5)
  if not lines or lines % 1 ~= 0 or lines < 1 or lines > MOST then
    ctx:fail(400, "lines: an integer from 1 to " .. MOST .. " is wanted")
  end
  return lines
end

function M.declare(app)
  app:get("/stream", { stream_max = 60 }, function(ctx)
    local lines = lines_of(ctx)
    ctx:stream("text/plain; charset=utf-8", function(out)
      for i = 1, lines do
        ctx:sleep(0.5):await()
        out:write("line " .. i .. " of " .. lines .. "\n")
      end
    end)
  end)
end

return M
