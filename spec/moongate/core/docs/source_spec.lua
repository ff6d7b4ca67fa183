local source = require("moongate.core.docs.source")

local function one(text)
  return source.parse(text, "x.lua")[1]
end

describe("source.parse", function()
  it("reads a function with its tags", function()
    local item = one(table.concat({
      "--- Adds.", "---", "--- More.",
      "---@param a? integer the first", "---@param b table<string, string|number> the second",
      "---@return integer sum", "---@nodiscard", "function calc:add(a, b) end",
    }, "\n"))
    assert.equal("function", item.kind)
    assert.equal("calc:add", item.name)
    assert.equal("calc", item.owner)
    assert.equal("Adds.\n\nMore.", item.doc)
    assert.same({ name = "a", optional = true, type = "integer", doc = "the first" },
      item.params[1])
    assert.same({
      name = "b", optional = false, type = "table<string, string|number>", doc = "the second",
    }, item.params[2])
    assert.same({ { type = "integer", doc = "sum" } }, item.returns)
  end)

  it("reads fields and classes, with or without a variable", function()
    local items = source.parse(table.concat({
      "---@class a.Options of a", "---@field size? integer bytes", "",
      "--- The subject.", "---@class a.A<T>: a.B", "local a = {}", "",
      "--- How many.", "---@type integer", "a.count = nil",
    }, "\n"), "x.lua")
    assert.equal("a.Options", items[1].name)
    assert.equal("size", items[1].params[1].name)
    assert.equal("a.A", items[2].name)
    assert.equal("a.B", items[2].parent)
    assert.equal("a", items[2].variable)
    assert.equal("field", items[3].kind)
    assert.equal("a.count", items[3].name)
    assert.equal("integer", items[3].type)
  end)

  it("names the line of what it cannot understand", function()
    local ok, message = pcall(one, "--- A.\n---@parm a integer\nlocal x = 1")
    assert.is_false(ok)
    assert.equal("x.lua:2: @parm: there is no such tag", message)
    ok, message = pcall(one, "---@param 7")
    assert.is_false(ok)
    assert.equal("x.lua:1: @param: a name and a type are wanted", message)
  end)
end)

describe("source.split_type", function()
  it("knows where a type ends", function()
    for text, want in pairs({
      ["string the name"] = "string",
      ["fun(a: string, b: integer): string what it does"] = "fun(a: string, b: integer): string",
      ['"a"|"b" one of both'] = '"a"|"b"',
      ["{ a: string, b: integer } both"] = "{ a: string, b: integer }",
      ["integer"] = "integer",
    }) do
      assert.equal(want, (source.split_type(text)))
    end
  end)
end)
