--- Middleware: so many requests of a user in a window of time, counted over all workers.
local moongate = require("moongate")

return function(options)
  return function(ctx, next)
    local now = moongate.now()
    local window = math.floor(now / options.seconds)
    local key = ("rate:%s:%d"):format(ctx.state.user, window)
    local count = ctx:increment_cache(key, 1, { ttl = options.seconds }):await()
    ctx:header("X-RateLimit-Remaining", math.max(options.requests - count, 0))
    if count > options.requests then
      ctx:header("Retry-After", math.ceil((window + 1) * options.seconds - now))
      ctx:fail(429, "too many requests", { limit = options.requests })
    end
    return next()
  end
end
