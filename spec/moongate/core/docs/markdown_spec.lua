local markdown = require("moongate.core.docs.markdown")
local source = require("moongate.core.docs.source")

local function entry(text)
  local item = source.parse(text, "x.lua")[1]
  return { name = item.name, item = item }
end

describe("markdown", function()
  it("shows what may be left out of a call", function()
    assert.equal("a:b(x, [y], ...)", markdown.signature(entry(
      "---@param x string\n---@param y? string\n---@param ... any\nfunction a:b(x, y, ...) end")))
  end)

  it("makes a table of parameters and a sentence of results", function()
    local text = markdown.entry(entry("--- Does.\n---@param x? string|integer a | b\n"
      .. "---@return boolean good\nfunction a.b(x) end"))
    assert.equal("Does.\n\n| parameter | type | meaning |\n|---|---|---|\n"
      .. "| `x` | `string\\|integer`, may be left out | a \\| b |\n\nReturns `boolean` good.", text)
  end)

  it("hides from readers what is for the runner of examples", function()
    assert.equal("```lua\nx\n```", markdown.shown_doc("```lua spec\nx\n```"))
  end)

  it("tells of a setting its default and what is allowed", function()
    assert.equal("How much.\n\nDefault: `1`.\n\nAllowed: a number.", markdown.setting({
      path = "a", about = "How much", default = "1", allowed = "a number",
    }))
    assert.equal("So much.\n\n```lua\nreturn { a = 2 }\n```", markdown.setting({
      path = "a", about = "How much", text = "So much.", example = "return { a = 2 }",
    }))
  end)
end)
