local html = require("moongate.core.docs.html")

describe("html.render", function()
  it("escapes what the text says", function()
    assert.equal('<p>&lt;b&gt; &amp; <code>&lt;i&gt;</code></p>', html.render("<b> & `<i>`"))
    assert.equal('<pre tabindex="0"><code>&lt;script&gt;</code></pre>',
      html.render("```\n<script>\n```"))
  end)

  it("leads links between pages to their HTML", function()
    assert.equal('<p><a href="http.html">calls</a> <a href="a.html#b">b</a></p>',
      html.render("[calls](http.md) [b](a.md#b)"))
  end)

  it("gives headings of the same text places of their own", function()
    local text = html.render("## `x`\n\n## `x`")
    assert.truthy(text:find('id="x"', 1, true))
    assert.truthy(text:find('id="x-2"', 1, true))
  end)
end)

describe("html.page", function()
  it("fills the frame and marks the page that is shown", function()
    local text = html.page("{{title}}|{{version}}|{{links}}|{{body}}", { id = "a", title = "A&B" },
      "<p>%1</p>", { { title = "G", { id = "a", title = "A&B" }, { id = "b", title = "B" } } }, "1")
    assert.truthy(text:find("^A&amp;B|1|<h2>G</h2>"))
    assert.truthy(text:find('<a href="a.html" aria-current="page">A&amp;B</a>', 1, true))
    assert.truthy(text:find('<a href="b.html">B</a>', 1, true))
    assert.truthy(text:find("|<p>%%1</p>$"))
  end)
end)
