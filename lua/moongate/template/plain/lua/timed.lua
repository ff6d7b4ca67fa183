--- Middleware: tells the client how long its answer took.
local moongate = require("moongate")

return function(ctx, next)
  local start = moongate.monotonic()
  next()
  ctx:header("X-Seconds", ("%.3f"):format(moongate.monotonic() - start))
end
