--- Signatures of webhooks: HMAC-SHA-256 over time and body, so that no old one can be sent again.
local moongate = require("moongate")
local M = {}

local AGE = 300 -- seconds that a signature holds

local function sign(secret, time, body)
  return moongate.hex_encode(moongate.hmac_sha256(secret, time .. "." .. body))
end

--- The fields of a request that is ours.
function M.headers(secret, body)
  local time = tostring(math.floor(moongate.now()))
  return { ["X-Time"] = time, ["X-Signature"] = sign(secret, time, body) }
end

--- Middleware: lets in what is signed with the secret.
function M.check(secret)
  return function(ctx, next)
    local time, given = ctx.headers["x-time"] or "", ctx.headers["x-signature"] or ""
    local wanted = sign(secret, time, ctx:body():await())
    if not moongate.constant_time_equal(wanted, given) then
      ctx:fail(401, "the signature does not fit")
    elseif math.abs(moongate.now() - tonumber(time)) > AGE then
      ctx:fail(401, "the signature is too old")
    end
    return next()
  end
end

return M
