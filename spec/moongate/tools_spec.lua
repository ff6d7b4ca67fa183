local moongate = require("moongate")

describe("base64", function()
  it("goes both ways in two alphabets", function()
    local bytes = "\251\255\191\251"
    assert.equal("+/+/+w==", moongate.base64_encode(bytes))
    assert.equal("-_-_-w", moongate.base64_encode(bytes, "url"))
    assert.equal(bytes, moongate.base64_decode("+/+/+w=="))
    assert.equal(bytes, moongate.base64_decode("-_-_-w", "url"))
  end)

  it("refuses malformed text with a message", function()
    for _, text in ipairs({ "a", "Zg=", "Zh==", "Zm9v\n", "Zm-_" }) do
      local value, message = moongate.base64_decode(text)
      assert.is_nil(value, text)
      assert.equal("malformed base64", message)
    end
  end)

  it("knows no third alphabet", function()
    assert.error_matches(function()
      moongate.base64_encode("x", "mime")
    end, "bad argument #2 .*invalid option 'mime'")
  end)
end)

describe("hex", function()
  it("goes both ways", function()
    assert.equal("00ff41", moongate.hex_encode("\0\255A"))
    assert.equal("\0\255A", moongate.hex_decode("00Ff41"))
  end)

  it("refuses malformed text with a message", function()
    local value, message = moongate.hex_decode("0g")
    assert.is_nil(value)
    assert.equal("malformed hex", message)
  end)
end)

describe("url_encode and url_decode", function()
  it("keep unreserved characters", function()
    assert.equal("a-b_c.d~%20%2F%C3%A4", moongate.url_encode("a-b_c.d~ /ä"))
    assert.equal("a b/+ä", moongate.url_decode("a%20b%2f+%C3%A4"))
  end)

  it("refuse a broken code", function()
    local value, message = moongate.url_decode("100%")
    assert.is_nil(value)
    assert.equal("malformed percent encoding", message)
  end)
end)

describe("query_encode", function()
  it("sorts keys and repeats arrays", function()
    local query = moongate.query_encode({ b = "x y", a = { 1, 2 }, c = true, none = {} })
    assert.equal("a=1&a=2&b=x%20y&c=true", query)
  end)

  it("names the field it cannot write", function()
    assert.error_matches(function()
      moongate.query_encode({ f = print })
    end, "the value of 'f' in a query cannot be a function")
  end)
end)

describe("digests", function()
  local function hex(bytes)
    return moongate.hex_encode(bytes)
  end

  it("agree with their standards", function()
    local sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert.equal(sha256, hex(moongate.sha256("abc")))
    assert.equal("a9993e364706816aba3e25717850c26c9cd0d89d", hex(moongate.sha1("abc")))
    assert.equal("900150983cd24fb0d6963f7d28e17f72", hex(moongate.md5("abc")))
    -- RFC 4231, test case 2
    local hmac = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    assert.equal(hmac, hex(moongate.hmac_sha256("Jefe", "what do ya want for nothing?")))
  end)

  it("take strings alone", function()
    assert.error_matches(function()
      moongate.sha256(7)
    end, "bad argument #1 .*string expected, got number")
  end)
end)

describe("randomness", function()
  it("has the length asked for", function()
    assert.equal(1, #moongate.random_bytes(1))
    assert.equal(65536, #moongate.random_bytes(65536))
    assert.not_equal(moongate.random_bytes(16), moongate.random_bytes(16))
  end)

  it("has limits", function()
    for _, count in ipairs({ 0, 65537, 1.5 }) do
      assert.error_matches(function()
        moongate.random_bytes(count)
      end, "bad argument #1 .*expected an integer from 1 to 65536")
    end
  end)

  it("makes UUIDs of version 4 and 7", function()
    assert.matches("^%x+%-%x+%-4%x+%-[89ab]%x+%-%x+$", moongate.uuid())
    assert.matches("^%x+%-%x+%-7%x+%-[89ab]%x+%-%x+$", moongate.uuid7())
    assert.equal(36, #moongate.uuid())
  end)

  it("makes UUIDs of version 7 that sort by age", function()
    local last = moongate.uuid7()
    for _ = 1, 1000 do
      local id = moongate.uuid7()
      assert.is_true(last < id)
      last = id
    end
  end)
end)

describe("a wrong argument", function()
  it("is shown at the caller's line", function()
    for _, name in ipairs({ "base64_encode", "query_encode", "hmac_sha256", "random_bytes" }) do
      local good, message = pcall(function()
        local value = moongate[name](print)
        return value
      end)
      assert.is_false(good)
      assert.matches("tools_spec%.lua:%d+: bad argument #1", message)
    end
  end)
end)

describe("constant_time_equal", function()
  it("compares all bytes", function()
    assert.is_true(moongate.constant_time_equal("a\0b", "a\0b"))
    assert.is_false(moongate.constant_time_equal("a\0b", "a\0c"))
    assert.is_false(moongate.constant_time_equal("a", "ab"))
  end)
end)
