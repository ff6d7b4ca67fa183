--- Whether a call may be sent again, and how much time it has then.
local native = require("moongate.native")
local errors = require("moongate.core.errors")

local M = {}

local IDEMPOTENT = {
  GET = true, HEAD = true, OPTIONS = true, PUT = true, DELETE = true, TRACE = true,
}

--- A call that begins again has what is left of its time.
---@return boolean false: there is none
function M.use_what_is_left(request)
  local left = request.ends - native.now()
  if left <= 0 then
    return false
  end
  local options = {}
  for key, value in pairs(request.options or {}) do
    options[key] = value
  end
  options.timeout = left
  if options.first_byte_timeout then
    options.first_byte_timeout = math.min(options.first_byte_timeout, left)
  end
  request.options = options
  return true
end

--- The error of a call whose time is over.
function M.too_late(request)
  return errors.new("timeout", ("%s: the response was not complete within %g s"):format(request.url,
    request.timeout))
end

--- Whether what failed with `code` may be sent again; counted if so. It may if the server has seen
--- nothing of it (`unsent`), or if it does no harm twice. A denied address stays denied.
---@return boolean
function M.may_retry(request, code, unsent)
  local again = code == "connect" or code == "dns" or code == "closed" or unsent
  local tries = request.tries or 0
  if not again or code == "denied" or request.retries <= tries
    or not (unsent or IDEMPOTENT[request.method]) then
    return false
  end
  request.tries = tries + 1
  return true
end

return M
