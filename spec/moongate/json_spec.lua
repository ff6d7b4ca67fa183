local json = require("moongate").json

describe("json.encode", function()
  it("writes plain values", function()
    assert.equal("null", json.encode(nil))
    assert.equal("null", json.encode(json.null))
    assert.equal("true", json.encode(true))
    assert.equal("42", json.encode(42))
    assert.equal("-0.1", json.encode(-0.1))
    assert.equal('"a\\"\\n"', json.encode('a"\n'))
  end)

  it("tells objects from arrays", function()
    assert.equal('{"a":[1,2]}', json.encode({ a = { 1, 2 } }))
    assert.equal("{}", json.encode({}))
    assert.equal("[]", json.encode(json.array()))
    assert.equal('{"list":[]}', json.encode({ list = json.array({}) }))
  end)

  it("writes integers of 64 bits exactly", function()
    assert.equal("9223372036854775807", json.encode(0x7fffffffffffffffLL))
    assert.equal("18446744073709551615", json.encode(0xffffffffffffffffULL))
  end)

  it("breaks lines when asked to", function()
    assert.equal('{\n  "a": [\n    1\n  ]\n}', json.encode({ a = { 1 } }, { pretty = true }))
  end)

  it("names the path of what JSON cannot say", function()
    assert.error_matches(function()
      json.encode({ users = { 1, 2, { f = print } } })
    end, "%$%.users%[3%]%.f: a function cannot be JSON")
    assert.error_matches(function()
      json.encode({ rate = 0 / 0 })
    end, "%$%.rate: nan cannot be JSON")
  end)

  it("puts U+FFFD for what is no UTF-8, or refuses it by choice", function()
    assert.equal('{"q":"\239\191\189 ok"}', json.encode({ q = "\255 ok" }))
    assert.equal('"caf\239\191\189"', json.encode("caf\233"))
    assert.equal('{"\239\191\189":1}', json.encode({ ["\226\130"] = 1 }))
    assert.error_matches(function()
      json.encode({ name = "\255" }, { strict = true })
    end, "%$%.name: a string that is not UTF%-8 cannot be JSON")
  end)

  it("writes integers up to 2^53 without an exponent", function()
    assert.equal("[1700000000123456,-9007199254740991]",
      json.encode({ 1700000000123456, -9007199254740991 }))
  end)

  it("writes members in the order of their keys' bytes, however many and however deep", function()
    local t, wanted = {}, {}
    for i = 40, 1, -1 do
      local key = ("k%02d"):format(i)
      t[key] = i % 2 == 0 and i or { b = i, a = { d = 1, c = 2 } }
      local value = i % 2 == 0 and i or ('{"a":{"c":2,"d":1},"b":%d}'):format(i)
      wanted[i] = ('"%s":%s'):format(key, value)
    end
    assert.equal("{" .. table.concat(wanted, ",") .. "}", json.encode(t))
    assert.equal('{"":0,"A":1,"B":2,"a":3,"aa":4,"b":5,"ä":6}',
      json.encode({ ["ä"] = 6, b = 5, aa = 4, a = 3, B = 2, A = 1, [""] = 0 }))
    assert.equal('{\n  "a": 1,\n  "b": 2,\n  "c": 3,\n  "d": 4\n}',
      json.encode({ d = 4, c = 3, b = 2, a = 1 }, { pretty = true }))
  end)

  it("writes keys of any bytes", function()
    local long = ("k"):rep(100)
    assert.equal('{"\\u0001":1,"\\"":2,"\\\\":3,"' .. long .. '":4,"\127":5,"é":6}', json.encode({
      ["\1"] = 1, ['"'] = 2, ["\\"] = 3, [long] = 4, ["\127"] = 5, ["é"] = 6,
    }))
  end)

  it("writes members in an order of choice, the rest behind it", function()
    local row = { id = 1, name = "x", z = 2, y = { b = 1, a = 2 } }
    assert.equal(row, json.object(row, { "name", "no", "id" }))
    assert.equal('{"name":"x","id":1,"y":{"a":2,"b":1},"z":2}', json.encode(row))
    assert.equal('[{"name":"x","id":1,"y":{"a":2,"b":1},"z":2},{}]', json.encode({ row, {} }))
    json.object(row, { "id" })
    assert.equal('{"id":1,"name":"x","y":{"a":2,"b":1},"z":2}', json.encode(row))
    assert.equal("{}", json.encode(json.object({}, { "id" })))
    local _, err = pcall(json.object, setmetatable({}, {}), {})
    assert.matches("json%.object: the table has a metatable of its own", err)
    _, err = pcall(function() json.object({}, { 1 }) end)
    assert.matches("json_spec%.lua:%d+: json%.object: keys%[1%]: a string is wanted, not 1", err)
    assert.error_matches(function() json.encode(json.object({ f = print }, { "f" })) end,
      "%$%.f: a function cannot be JSON")
  end)

  it("refuses mixed keys and gaps and says what is allowed", function()
    assert.error_matches(function()
      json.encode({ 1, 2, x = 3 })
    end, "allowed: strings alone, or 1 to n without a gap")
    assert.error_matches(function()
      json.encode({ 1, nil, 3 })
    end, "an array with gaps cannot be JSON %(moongate%.json%.null may fill them%)")
  end)

  it("finds a table that holds itself", function()
    local t = { list = {} }
    t.list[1] = t
    assert.error_matches(function()
      json.encode(t)
    end, "%$%.list%[1%]: a table that holds itself cannot be JSON")
  end)
end)

describe("json.decode", function()
  it("reads values", function()
    local t = json.decode('{"a":[1,null,"\\u20ac"],"b":{"c":true}}')
    assert.equal(1, t.a[1])
    assert.equal(json.null, t.a[2])
    assert.equal("€", t.a[3])
    assert.is_true(t.b.c)
  end)

  it("keeps empty arrays and empty objects apart", function()
    assert.equal("[[],{},[{}]]", json.encode(json.decode("[[],{},[{}]]")))
  end)

  it("keeps integers that no double holds", function()
    local text = "[9007199254740993,-9223372036854775808,18446744073709551615]"
    assert.equal(text, json.encode(json.decode(text)))
  end)

  it("gives nil and the place of a fault", function()
    local value, message = json.decode('{\n  "a": tru\n}')
    assert.is_nil(value)
    assert.equal("2:8: expected a value", message)
  end)

  it("refuses what is not strictly JSON", function()
    for _, text in ipairs({
      "", "[1,]", "{a:1}", "01", "NaN", "'a'", "1 2", '"\\ud800"', '"\255"', "[1] // no", '"\t"',
    }) do
      local value, message = json.decode(text)
      assert.is_nil(value, text)
      assert.matches("^%d+:%d+: ", message)
    end
  end)

  it("limits how deep a text may nest", function()
    assert.is_nil((json.decode(("["):rep(129) .. ("]"):rep(129))))
    assert.is_table((json.decode(("["):rep(129) .. ("]"):rep(129), { max_depth = 129 })))
  end)

  it("raises for wrong use", function()
    assert.error_matches(function()
      json.decode(7)
    end, "bad argument #1")
    assert.error_matches(function()
      json.decode("1", { max_depth = 0 })
    end, "max_depth must be a number from 1 to 1024")
  end)
end)

describe("wrong use", function()
  it("is shown at the caller's line", function()
    for _, name in ipairs({ "encode", "decode", "array" }) do
      local good, message = pcall(function()
        local value = json[name](print)
        return value
      end)
      assert.is_false(good)
      assert.matches("json_spec%.lua:%d+: ", message)
    end
  end)
end)

describe("json.null", function()
  it("prints its name", function()
    assert.equal("null", tostring(json.null))
  end)
end)

describe("json.array", function()
  it("returns the table it marked", function()
    local t = {}
    assert.equal(t, json.array(t))
    t[1] = "x"
    assert.equal('["x"]', json.encode(t))
  end)

  it("leaves a table with a metatable alone", function()
    assert.error_matches(function()
      json.array(setmetatable({}, {}))
    end, "the table has a metatable of its own")
  end)
end)
