---@meta

--- Signatures: RS256, PS256, ES256 and EdDSA (Ed25519), in the form that JWS has (RFC 7518, RFC 8037).
--- For HMAC see `moongate.hmac_sha256`.
---@class moongate.crypto
local crypto = {}

---@class moongate.Key
---@field algorithm string "RS256", "PS256", "ES256" or "EdDSA": what it signs and verifies with
---@field private boolean it can sign

---@class moongate.KeyOptions
---@field algorithm? string of an RSA key "RS256", unless this or the JWK says "PS256"

--- A key, to be made while the script loads. Raises if it is malformed, without telling anything of
--- it. Its algorithm follows from the key, never from a token that is to be verified: a token that
--- claims another one is simply not verified. RSA keys have 2048 to 8192 bits, EC keys are of P-256.
---
--- ```lua
--- local key = moongate.crypto.key({ kty = "OKP", crv = "Ed25519",
---   x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" })
--- app:get("/", function() return key.algorithm end)
--- --> GET / => 200 EdDSA
--- ```
---@param source string|table PEM (a private key without a passphrase, a public key, a certificate), or a JWK as text or table
---@param options? moongate.KeyOptions
---@return moongate.Key
function crypto.key(source, options) end

--- The signature of a text, raw: `moongate.base64_encode(signature, "url")` makes it a JWS's. It is
--- made in a thread.
---
--- ```lua
--- local key = moongate.crypto.key({ kty = "OKP", crv = "Ed25519",
---   d = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
---   x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" })
--- app:get("/", function()
---   local signature = moongate.crypto.sign(key, "text"):await()
---   return { good = moongate.crypto.verify(key, "text", signature),
---     bad = moongate.crypto.verify(key, "another", signature) }
--- end)
--- --> GET / => 200 {"bad":false,"good":true}
--- ```
---@param key moongate.Key a private one
---@param bytes string
---@return moongate.Future<string>
---@nodiscard
function crypto.sign(key, bytes) end

--- Whether it is the text's signature, by the key's own algorithm. See `moongate.crypto.sign`.
---
--- ```lua
--- local key = moongate.crypto.key({ kty = "OKP", crv = "Ed25519",
---   x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" })
--- app:get("/", function(ctx)
---   local signature = moongate.base64_decode(ctx.query.signature or "", "url") or ""
---   return { good = moongate.crypto.verify(key, "text", signature) }
--- end)
--- --> GET /?signature=bm9uZQ => 200 {"good":false}
--- ```
---@param key moongate.Key public or private
---@param bytes string
---@param signature string raw
---@return boolean
function crypto.verify(key, bytes, signature) end
