local terminal = require("moongate.core.docs.terminal")

describe("terminal.render", function()
  it("keeps to 80 columns, counting characters and not bytes", function()
    local text = terminal.render(("größer "):rep(40))
    for line in text:gmatch("[^\n]+") do
      assert.is_true(#line:gsub("[\128-\191]", "") <= 80, line)
    end
    assert.equal(40, select(2, text:gsub("größer", "")))
  end)

  it("indents code and shows rows by their first cell", function()
    assert.equal("Title\n\n    x = 1\n\n  name: string, the name\n",
      terminal.render("# Title\n\n```lua\nx = 1\n```\n\n| a | b | c |\n|---|---|---|\n"
        .. "| `name` | `string` | the name |"))
  end)

  it("leaves no marks of Markdown", function()
    assert.equal("call it now: see the page\n",
      terminal.render("call `it` **now**: see [the page](x.md)"))
  end)
end)
