--- What pages of development have in common.
local html = require("moongate.core.dev.html")

describe("a page of development", function()
  it("holds nothing that comes from elsewhere, and escapes its title", function()
    local page = html.page("<a>", "<p>body")
    assert.matches("<title>&lt;a&gt;</title>", page)
    assert.matches("<main><p>body</main>", page)
    assert.is_nil(page:find("https?://"))
    assert.is_nil(page:find("src=", 1, true))
  end)

  it("has tables whose cells are escaped and may have several lines", function()
    assert.equal("<table tabindex=0><tr><th scope=col>A</th></tr><tr><td>&lt;1&gt;<br>2</td></tr>"
      .. "</table>", html.rows({ { "<1>\n2" } }, { "A" }))
  end)
end)
