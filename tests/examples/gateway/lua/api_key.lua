--- Middleware: lets those in who have a key, and says who they are in ctx.state.user.
local moongate = require("moongate")

-- Digests are compared, so that the time tells nothing of a key.
return function(options)
  local digests = {}
  for user, key in pairs(options.keys) do
    digests[user] = moongate.sha256(key)
  end
  return function(ctx, next)
    local digest = moongate.sha256(ctx.headers["x-api-key"] or "")
    for user, wanted in pairs(digests) do
      if moongate.constant_time_equal(digest, wanted) then
        ctx.state.user = user
      end
    end
    if not ctx.state.user then
      ctx:header("WWW-Authenticate", 'ApiKey realm="api"')
      ctx:fail(401, "a valid X-Api-Key is wanted")
    end
    return next()
  end
end
