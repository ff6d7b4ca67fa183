local moongate = require("moongate")
local test = require("moongate.test")
local password = moongate.password

-- What `fn` gives in a handler.
local function run(fn)
  local app = test.app(function(app)
    app:get("/", function(ctx) return { fn(ctx) } end)
  end)
  local res = app:get("/")
  app:assert_no_leaks()
  assert.equal(200, res.status)
  return unpack(res:json())
end

-- RFC 7914 section 12 has "pleaseletmein", "SodiumChloride", N 16384, r 8, p 1; the first 32 bytes.
local KNOWN = "$scrypt$ln=14,r=8,p=1$U29kaXVtQ2hsb3JpZGU$"
  .. moongate.base64_encode(moongate.hex_decode(
    "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2")):gsub("=", "")

describe("moongate.password", function()
  it("makes a hash that the password fits, and no other", function()
    local hash, other, good, bad = run(function()
      local both = moongate.Future.all({ password.hash("secret"), password.hash("secret") }):await()
      return both[1], both[2], password.verify("secret", both[1]):await(),
        password.verify("Secret", both[1]):await()
    end)
    assert.matches("^%$scrypt%$ln=15,r=8,p=3%$[%w+/]+%$[%w+/]+$", hash)
    assert.not_equal(hash, other)
    assert.is_true(good)
    assert.is_false(bad)
    assert.is_false(password.needs_rehash(hash))
  end)

  it("verifies what others made", function()
    assert.is_true(run(function() return password.verify("pleaseletmein", KNOWN):await() end))
    assert.is_false(run(function() return password.verify("pleaseletmeout", KNOWN):await() end))
    assert.is_true(password.needs_rehash(KNOWN))
  end)

  it("computes nothing for a hash that asks for too much, or is none", function()
    local salt = "$c2FsdHNhbHRzYWx0$" .. ("A"):rep(43)
    for _, hash in ipairs({
      "$scrypt$ln=24,r=8,p=1" .. salt, "$scrypt$ln=15,r=999,p=1" .. salt,
      "$scrypt$ln=14,r=8,p=999" .. salt, "$scrypt$ln=0,r=8,p=1" .. salt,
      "$scrypt$ln=14,r=0,p=1" .. salt,
      "$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA", "", "secret", KNOWN .. "A", KNOWN:sub(1, -2),
    }) do
      local code, message = run(function()
        local _, err = password.verify("x", hash):try_await()
        return err.code, err.message
      end)
      assert.equal("protocol", code)
      assert.matches("^the hash is no scrypt hash such as", message)
      assert.is_true(password.needs_rehash(hash))
    end
  end)

  it("refuses what is no password, at the caller's line", function()
    local _, err = pcall(function() password.hash(7):await() end)
    assert.matches("password_spec%.lua:%d+: password%.hash: the password: a string is wanted, ",
      err)
    _, err = pcall(function() password.hash(("x"):rep(4097)):await() end)
    assert.matches("a password has at most 4096 bytes", err)
    assert.is_false(run(function()
      return password.verify(("x"):rep(5000), KNOWN):await()
    end))
  end)

  it("lets a cancelled request's place in the line to others", function()
    local app = test.app(function(app)
      app:get("/", function()
        local all = {}
        for i = 1, 6 do all[i] = password.verify("pleaseletmein", KNOWN) end
        for i = 2, 5 do all[i]:cancel() end
        return { all[1]:await(), all[6]:await(), (all[3]:state()) }
      end)
    end)
    assert.same({ true, true, "rejected" }, app:get("/"):json())
    app:assert_no_leaks()
  end)
end)
