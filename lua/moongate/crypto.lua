--- moongate.crypto: RS256, PS256, ES256 and EdDSA (Ed25519), as JWS has them (RFC 7518, RFC 8037).
--- A key is read once, while the script loads, and has one algorithm from then on: what a token
--- says of its own algorithm is nothing to believe.
local native = require("moongate.native")
local check = require("moongate.core.check")
local suggest = require("moongate.core.suggest")
local Future = require("moongate.future")
local json = require("moongate.json")
local time = require("moongate.time")
local tools = require("moongate.tools")

---@class moongate.crypto
local M = {}

local JWK_BYTES = { "x", "y", "d", "n", "e", "p", "q", "dp", "dq", "qi" }
local OF_KEY = { algorithm = check.string }

---@class moongate.Key
local Key = {}
Key.__index = Key

-- The members as bytes; nil and why not.
local function members_of(jwk)
  local members = { kty = jwk.kty, crv = jwk.crv }
  for _, name in ipairs(JWK_BYTES) do
    local value = jwk[name]
    if value ~= nil then
      local bytes = type(value) == "string" and tools.base64_decode(value, "url")
      if not bytes then
        return nil, "the JWK's member " .. name .. " is not base64url"
      end
      members[name] = bytes
    end
  end
  return members
end

local function read(source)
  if type(source) == "string" and source:find("^%s*{") then
    local jwk, wrong = json.decode(source)
    if not jwk then
      return nil, nil, "the JWK is not JSON: " .. wrong
    end
    source = jwk
  end
  if type(source) == "table" then
    local members, wrong = members_of(source)
    if not members then
      return nil, nil, wrong
    end
    return source.alg, native.crypto.key(members)
  end
  return nil, native.crypto.key(check.string("crypto.key", source))
end

local function choose(wanted, fits)
  for _, name in ipairs(fits) do
    if name == wanted then
      return name
    end
  end
  check.fail(("crypto.key: the algorithm %s is not this key's, allowed: %s"):format(
    tostring(wanted), table.concat(fits, ", ")))
end

--- A key to sign or to verify with. Raises, telling nothing of the key, if it is malformed.
---@param source string|table PEM (a private or public key, a certificate), or a JWK
---@param options { algorithm?: string }? of RSA keys "RS256", unless this or the JWK says "PS256"
---@return moongate.Key
function M.key(source, options)
  options = options and check.options("crypto.key", options, OF_KEY) or {}
  local alg, key, fits, is_private = read(source)
  if not key then
    check.fail("crypto.key: " .. tostring(fits)) -- the reason then
  end
  local algorithm = choose(options.algorithm or alg or fits[1], fits)
  if alg ~= nil and alg ~= algorithm then
    check.fail("crypto.key: the JWK is for " .. tostring(alg) .. " alone")
  end
  return setmetatable({ algorithm = algorithm, private = is_private, _key = key }, Key)
end

local function check_key(name, key)
  if getmetatable(key) ~= Key then
    check.fail(name .. ": a key of moongate.crypto.key is wanted, not " .. check.kind(key))
  end
  return key
end

--- The signature of `bytes`, in the form of JWS, raw. In a thread.
---@param key moongate.Key a private one
---@param bytes string
---@return moongate.Future of a string
function M.sign(key, bytes)
  if not check_key("crypto.sign", key).private then
    check.fail("crypto.sign: a private key is wanted, this one is public")
  end
  check.string("crypto.sign: the bytes", bytes)
  Future._refuse_loading("crypto.sign", 2)
  local handle = native.crypto.sign(key._key, key.algorithm, bytes)
  return (Future._named("crypto.sign", time.operation(handle, Future._app_scope(), 2)))
end

--- Whether `signature` is that of `bytes`, under the key's own algorithm. Anything that is no such
--- signature is false.
---@param key moongate.Key a public or private one
---@param bytes string
---@param signature string raw
---@return boolean
function M.verify(key, bytes, signature)
  check_key("crypto.verify", key)
  check.string("crypto.verify: the bytes", bytes)
  check.string("crypto.verify: the signature", signature)
  return native.crypto.verify(key._key, key.algorithm, bytes, signature)
end

suggest.close(Key, "a key")
Key.__tostring = function(key)
  return ("a %s key for %s"):format(key.private and "private" or "public", key.algorithm)
end

return suggest.close(M, "moongate.crypto")
