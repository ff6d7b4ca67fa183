--- moongate.password: passwords are kept as hashes that take long to guess (scrypt, RFC 7914), in
--- the form of PHC: "$scrypt$ln=15,r=8,p=3$SALT$HASH".
local native = require("moongate.native")
local check = require("moongate.core.check")
local settled = require("moongate.core.future.settled")
local settling = require("moongate.core.future.settle")
local suggest = require("moongate.core.suggest")
local Future = require("moongate.future")
local time = require("moongate.time")
local tools = require("moongate.tools")

---@class moongate.password
local M = {}

local LOG_N, R, P = 15, 8, 3 -- 32 MiB, some 0.2 s
local SALT_BYTES, HASH_BYTES = 16, 32
local TEXT_MOST = 4096
-- What a hash may ask for: it may come from elsewhere, as from an import.
local MEMORY_MOST, WORK_MOST = 128 * 2 ^ 20, 2 ^ 22 -- bytes; of p times n times r, some 2 s

local function base64(bytes)
  return (tools.base64_encode(bytes):gsub("=+$", ""))
end

-- { ln, r, p, salt, hash }, or nil if it is no hash of this kind or asks for too much.
local function parse(text)
  local ln, r, p, salt, hash = text:match(
    "^%$scrypt%$ln=(%d%d?),r=(%d%d?%d?),p=(%d%d?%d?)%$([%w+/]+)%$([%w+/]+)$")
  if not ln or #text > 512 then
    return nil
  end
  ln, r, p = tonumber(ln), tonumber(r), tonumber(p)
  local n = 2 ^ ln
  if ln < 1 or r < 1 or p < 1 or 128 * n * r > MEMORY_MOST or n * r * p > WORK_MOST then
    return nil
  end
  salt, hash = tools.base64_decode(salt), tools.base64_decode(hash)
  if not salt or not hash or #hash ~= HASH_BYTES then
    return nil
  end
  return { ln = ln, r = r, p = p, salt = salt, hash = hash }
end

local function check_password(name, text)
  check.string(name .. ": the password", text)
  if #text > TEXT_MOST then
    check.fail(name .. ": a password has at most " .. TEXT_MOST .. " bytes")
  end
end

-- A Future of what `finish` makes of the stretched password.
local function stretch(name, level, text, how, finish)
  Future._refuse_loading(name, level + 1)
  local scope = Future._app_scope()
  local handle = native.crypto.scrypt(text, how.salt, how.ln, how.r, how.p)
  if not handle then
    return (settled.rejected(scope, "limit", "too many passwords wait to be hashed", level + 1))
  end
  local future = time.operation(handle, scope, level + 1)
  return Future._named(name, settling.derive(future, level + 1, finish))
end

--- The hash of a new password, with a salt of its own. In a thread; two at once in a worker, the
--- others wait their turn (1,000 at most, then code `limit`).
---@param text string at most 4,096 bytes
---@return moongate.Future of a string
function M.hash(text)
  check_password("password.hash", text)
  local how = { ln = LOG_N, r = R, p = P, salt = tools.random_bytes(SALT_BYTES) }
  return (stretch("password.hash", 2, text, how, function(hash)
    return ("$scrypt$ln=%d,r=%d,p=%d$%s$%s"):format(LOG_N, R, P, base64(how.salt), base64(hash))
  end))
end

--- Whether `text` is the password of `hash`. False takes as long as true. What is no hash of this
--- kind, or asks for more than 128 MiB, rejects with code `protocol`.
---@param text string what somebody claims: of more than 4,096 bytes it is false
---@param hash string
---@return moongate.Future of a boolean
function M.verify(text, hash)
  check.string("password.verify: the password", text)
  check.string("password.verify: the hash", hash)
  local how = parse(hash)
  if not how then
    return (settled.rejected(Future._app_scope(), "protocol", "the hash is no scrypt hash such as "
      .. '"$scrypt$ln=15,r=8,p=3$SALT$HASH", or asks for too much', 2))
  end
  local long = #text > TEXT_MOST
  return (stretch("password.verify", 2, long and "" or text, how, function(found)
    return tools.constant_time_equal(found, how.hash) and not long
  end))
end

--- Whether the hash was made at another cost than hash() has now: then make a new one, while the
--- password is at hand.
---@param hash string
---@return boolean
function M.needs_rehash(hash)
  local how = parse(check.string("password.needs_rehash: the hash", hash))
  return not how or how.ln ~= LOG_N or how.r ~= R or how.p ~= P
end

return suggest.close(M, "moongate.password")
