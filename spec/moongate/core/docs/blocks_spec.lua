local blocks = require("moongate.core.docs.blocks")

describe("blocks.parse", function()
  it("tells headings, paragraphs, code, tables and lists apart", function()
    local found = blocks.parse(table.concat({
      "# Title", "", "one", "two", "", "```lua", "x = 1", "", "y = 2", "```", "",
      "| a | b |", "|---|---|", "| 1 | `x \\| y` |", "", "- first", "  goes on", "- second", "",
      "1. one", "2. two",
    }, "\n"))
    assert.same({
      { kind = "heading", level = 1, text = "Title" },
      { kind = "paragraph", text = "one two" },
      { kind = "code", language = "lua", text = "x = 1\n\ny = 2" },
      { kind = "table", rows = { { "a", "b" }, { "1", "`x | y`" } } },
      { kind = "list", items = { "first goes on", "second" }, ordered = false },
      { kind = "list", items = { "one", "two" }, ordered = true },
    }, found)
  end)

  it("ends with code that is never closed", function()
    assert.same({ { kind = "code", language = "", text = "x" } }, blocks.parse("```\nx"))
  end)
end)

describe("blocks.spans", function()
  it("parts a text into code, links, bold and the rest", function()
    local kinds = {}
    for _, span in ipairs(blocks.spans("see `a[1](b)` and [the **page**](x.md), **now**")) do
      kinds[#kinds + 1] = span.kind .. ":" .. span.text
    end
    assert.same({
      "text:see ", "code:a[1](b)", "text: and ", "link:the **page**", "text:, ", "bold:now",
    }, kinds)
  end)
end)
