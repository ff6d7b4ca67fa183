local moongate = require("moongate")
local test = require("moongate.test")
local keys = dofile("spec/fixture/keys.lua")
local crypto = moongate.crypto

local function sign(key, bytes)
  local app = test.app(function(app)
    app:get("/", function() return crypto.sign(key, bytes):await() end)
  end)
  local res = app:get("/")
  app:assert_no_leaks()
  assert.equal(200, res.status)
  return res.body
end

local function from_url(text)
  return moongate.base64_decode(text, "url")
end

local function fault(...)
  local ok, err = pcall(crypto.key, ...)
  assert.is_false(ok)
  return err
end

-- RFC 7515 appendix A.3: its JWK, what is signed, the signature.
local ES256 = {
  key = { kty = "EC", crv = "P-256", x = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    y = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    d = "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI" },
  bytes = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt"
    .. "cGxlLmNvbS9pc19yb290Ijp0cnVlfQ",
  signature = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-"
    .. "Kg6NU1Q",
}
-- RFC 8037 appendix A.
local EDDSA = {
  key = { kty = "OKP", crv = "Ed25519", d = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
    x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" },
  bytes = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
  signature = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_M"
    .. "uM0KAg",
}

describe("moongate.crypto", function()
  it("verifies and makes the signatures of the standards", function()
    local key = crypto.key(ES256.key)
    assert.equal("ES256", key.algorithm)
    assert.is_true(key.private)
    assert.is_true(crypto.verify(key, ES256.bytes, from_url(ES256.signature)))
    assert.is_false(crypto.verify(key, ES256.bytes .. "x", from_url(ES256.signature)))
    key = crypto.key(moongate.json.encode(EDDSA.key))
    assert.equal(EDDSA.signature, moongate.base64_encode(sign(key, EDDSA.bytes), "url"))
    assert.is_true(crypto.verify(key, EDDSA.bytes, from_url(EDDSA.signature)))
  end)

  it("signs with each kind of key what its public half verifies", function()
    for _, pair in ipairs({
      { keys.rsa, keys.rsa_public, "RS256" }, { keys.rsa, keys.rsa_public, "PS256" },
      { keys.ec, keys.ec, "ES256" },
    }) do
      local private = crypto.key(pair[1], { algorithm = pair[3] })
      local public = crypto.key(pair[2], { algorithm = pair[3] })
      local signature = sign(private, "text")
      assert.equal(pair[3], private.algorithm)
      assert.equal(pair[3] == "ES256" and 64 or 256, #signature)
      assert.is_true(crypto.verify(public, "text", signature))
      assert.is_false(crypto.verify(public, "texts", signature))
      assert.is_false(crypto.verify(public, "text", signature:sub(1, -2)))
      assert.is_false(crypto.verify(public, "text", ""))
      assert.is_false(crypto.verify(public, "text", ("\0"):rep(#signature)))
    end
  end)

  it("believes the key's own algorithm alone", function()
    local signature = sign(crypto.key(keys.rsa), "text")
    assert.is_true(crypto.verify(crypto.key(keys.rsa_public), "text", signature))
    local other = crypto.key(keys.rsa_public, { algorithm = "PS256" })
    assert.is_false(crypto.verify(other, "text", signature))
    -- the public key's text as the secret of an HMAC
    local forged = moongate.hmac_sha256(keys.rsa_public, "text")
    assert.is_false(crypto.verify(crypto.key(keys.rsa_public), "text", forged))
    assert.matches("the algorithm HS256 is not this key's, allowed: RS256, PS256",
      fault(keys.rsa_public, { algorithm = "HS256" }))
    assert.matches("the algorithm RS256 is not this key's, allowed: ES256",
      fault(ES256.key, { algorithm = "RS256" }))
    local jwk = setmetatable({ alg = "ES512" }, { __index = ES256.key })
    assert.matches("the algorithm ES512 is not this key's", fault(jwk))
  end)

  it("says what is wrong with a key, at the caller's line, and nothing of the key", function()
    local _, err = pcall(function() return crypto.key("secret") .. "" end)
    assert.matches("crypto_spec%.lua:%d+: crypto%.key: PEM begins with %-%-%-%-%-BEGIN$", err)
    assert.matches("the key is malformed$", fault((keys.rsa:gsub("MII", "AAA"))))
    assert.matches("an RSA key has 2048 to 8192 bits$", fault(keys.rsa_1024))
    assert.matches("the key is of a kind that is not known", fault(keys.p384))
    assert.matches("the key is encrypted with a passphrase$", fault(keys.encrypted))
    assert.matches("the JWK's member x is not base64url$", fault({ kty = "EC", x = "*" }))
    assert.matches("the JWK is not JSON", fault("{"))
    assert.matches("of a kind that is not known", fault({ kty = "oct", k = "AA" }))
    assert.matches("the key is malformed$",
      fault({ kty = "EC", crv = "P-256", x = "AA", y = "AA" }))
    local wrong = { kty = "EC", crv = "P-256", x = ES256.key.x, y = ES256.key.y,
      d = moongate.base64_encode(("\1"):rep(32), "url") }
    assert.matches("the key is malformed$", fault(wrong))
    assert.matches('"algoritm" is unknown, .*did you mean', fault(keys.rsa, { algoritm = "RS256" }))
    _, err = pcall(function() crypto.sign(crypto.key(keys.rsa_public), "x"):await() end)
    assert.matches("crypto%.sign: a private key is wanted, this one is public", err)
    _, err = pcall(function() return crypto.verify("key", "x", "y") end)
    assert.matches("crypto%.verify: a key of moongate%.crypto%.key is wanted, not a string", err)
  end)
end)
