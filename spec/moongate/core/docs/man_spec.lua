local man = require("moongate.core.docs.man")

local function render(text)
  return man.render({ name = "x", section = 7, title = "a page", version = "1" }, text)
end

describe("man.render", function()
  it("begins with a title and a name", function()
    local text = render("hello")
    assert.truthy(text:find('^%.TH X 7 "" "Moongate 1" "Moongate"\n%.SH NAME\nx \\%- a page\n'))
  end)

  it("escapes what a formatter would take for a request", function()
    local text = render("```\n.TH no\n'no\n\\fB-x\n```")
    assert.truthy(text:find("\\&.TH no\n\\&'no\n\\efB\\-x", 1, true))
  end)

  it("makes sections of headings, and terms of rows", function()
    local text = render("# Part\n\n## Piece\n\n| a | b |\n|---|---|\n| `k` | what |")
    assert.truthy(text:find(".SH PART\n.SS Piece\n.TP\n\\fBk\\fR\nwhat", 1, true))
  end)
end)
