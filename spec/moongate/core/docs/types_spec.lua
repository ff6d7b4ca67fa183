local types = require("moongate.core.docs.types")

local function translate(text)
  return types.translate(text, function(name)
    return name:match("([%w_]+)$")
  end)
end

describe("types.translate", function()
  it("says LuaLS's types in TypeScript", function()
    for text, want in pairs({
      ["string"] = "string", ["integer|nil"] = "number | undefined",
      ["string?"] = "string | undefined",
      ["table"] = "Record<string, any>", ["table[]"] = "Record<string, any>[]",
      ['"a"|"b"'] = '"a" | "b"', ["301|302"] = "301 | 302", ["string|false"] = "string | false",
      ["(string|integer)[]"] = "(string | number)[]",
      ["table<string, string|number>"] = "Record<string, string | number>",
      ["table<any, boolean>"] = "Record<string | number, boolean>",
      ["moongate.Future<string>"] = "Future<string>",
      ["moongate.Future<moongate.Rows?>"] = "Future<Rows | undefined>",
      ["{ name: string?, age?: integer }"] = "{ name: string | undefined; age?: number }",
    }) do
      assert.equal(want, translate(text))
    end
  end)

  it("knows functions, which never have a this of their own", function()
    assert.equal("((this: void) => void)", translate("fun(): nil"))
    assert.equal("((this: void, a: string, b?: number) => string | undefined)",
      translate("async fun(a: string, b?: integer): string?"))
    assert.equal("((this: void, ...args: (any)[]) => LuaMultiReturn<[any, string]>)",
      translate("fun(...): any, string"))
    assert.equal("string | ((this: void, out: Out) => void)",
      translate("string|fun(out: moongate.Out)"))
  end)

  it("tells what it cannot understand", function()
    for text, want in pairs({
      ["table<string"] = "a name is wanted in the type table<string",
      ["string text"] = "the type string text ends at text",
    }) do
      local ok, message = pcall(translate, text)
      assert.is_false(ok)
      assert.equal(want, message)
    end
  end)
end)

describe("types.parameter", function()
  it("keeps clear of TypeScript's words", function()
    assert.equal("new_", types.parameter("new"))
    assert.equal("name", types.parameter("name"))
  end)
end)
