local moongate = require("moongate")
local test = require("moongate.test")
local template = require("moongate.template")

local function render(text, data)
  return template.compile(text, "page.etlua"):render(data)
end

local function fault(text, data)
  local ok, err = pcall(render, text, data)
  assert.is_false(ok)
  return tostring(err)
end

-- Templates as files of a project.
local function begin(texts)
  template._begin(function(path) return texts[path], path end)
end

describe("a template", function()
  after_each(function() template._begin() end)

  it("writes values escaped or as they are, and runs code", function()
    assert.equal("<p>&lt;b&gt; &amp; &quot;&#39;</p> <i> 7 1700000000123456",
      render("<p><%= a %></p> <%- b %> <%= 7 %> <%= n %>",
        { a = "<b> & \"'", b = "<i>", n = 1700000000123456 }))
    assert.equal("1,2,", render("<% for i = 1, 2 do %><%= i %>,<% end %>"))
    assert.equal("%> \\n \"q\" [[x]]", render("<%- '%>' %> \\n \"q\" [[x]]"))
  end)

  it("leaves out the end of a line behind -%>", function()
    assert.equal("<ul>\n  <li>a</li>\n  <li>b</li>\n</ul>",
      render("<ul>\n<% for _, x in ipairs(list) do -%>\n  <li><%= x %></li>\n<% end -%>\n</ul>",
        { list = { "a", "b" } }))
    assert.equal("a\r\nb", render("<% local x = 1 -%>\r\na\r\nb"))
  end)

  it("names its own file and line in messages", function()
    assert.matches("^page%.etlua:3: a template writes text and numbers: this is nil",
      fault("a\n<% local x = 1 -%>\n<%= missing %>"))
    assert.matches("^page%.etlua:2: a template writes text and numbers: ", fault("\n<%= {} %>"))
    assert.matches("^page%.etlua:4: oh$", fault("a\nb\n\n<% error('oh') %>"))
    assert.matches("^page%.etlua:2: <%% has no %%> behind it$", fault("\n<% if x then"))
    assert.matches("^page%.etlua:2: .*near", fault("\n<%= a b %>"))
    assert.matches("^page%.etlua:1: 'x' is no local: write local x = %.%.%.$", fault("<% x = 1 %>"))
    assert.is_nil(rawget(_G, "x"))
  end)

  it("sees nothing but what it is given and a small library", function()
    assert.equal("nil nil nil", render("<%= type(os) %> <%= type(io) %> <%= type(require) %>"))
    assert.equal("a-b", render("<%= table.concat({ 'a', 'b' }, '-') %>"))
  end)

  it("may await, several renderings at once", function()
    local page = template.compile("<%= name %> <% wait() %><%= name %>")
    local app = test.app(function(app)
      app:get("/:name", function(ctx)
        return page:render({ name = ctx.params.name, wait = function() ctx:sleep(0.1):await() end })
      end)
      app:get("/", function(ctx)
        return moongate.Future.all({
          ctx:spawn(function() return page:render({ name = "a", wait = function()
            ctx:sleep(0.2):await() end }) end),
          ctx:spawn(function() return page:render({ name = "b", wait = function()
            ctx:sleep(0.1):await() end }) end),
        }):await()
      end)
    end)
    assert.equal("ada ada", app:get("/ada").body)
    assert.same({ "a a", "b b" }, app:get("/"):json())
    app:assert_no_leaks()
  end)

  it("includes others and is laid out by another, found beside it", function()
    begin({
      ["views/page.etlua"] = '<% layout("base.etlua", { title = "T" }) %><%- include("a/row.'
        .. 'etlua", { x = 1 }) %>|<%= name %>',
      ["views/base.etlua"] = "<h1><%= title %></h1><%- content %><%= name %>",
      ["views/a/row.etlua"] = '<%= x %><%= name %><%- include("../end.etlua") %>',
      ["views/end.etlua"] = "<%= x %>!",
    })
    local page = template.file("views/page.etlua")
    assert.equal("<h1>T</h1>1&lt;1!|&lt;&lt;", page:render({ name = "<" }))
    assert.equal(page, template.file("views/./page.etlua"))
  end)

  it("tells of what is missing, while the script loads, and of circles", function()
    begin({ ["a.etlua"] = 'x\n<%- include("b.etlua") %>',
      ["c.etlua"] = '<%- include("c.etlua") %>',
      ["d.etlua"] = "<%- include(name) %>" })
    assert.error_matches(function() template.file("a.etlua") end,
      "^a%.etlua: includes b%.etlua: the file cannot be read$")
    assert.error_matches(function() template.file("none.etlua") end,
      "template%.file: none%.etlua: the file cannot be read$")
    local _, err = pcall(function() template.file("c.etlua"):render() end)
    assert.matches("c%.etlua:1: templates include each other 20 deep: c%.etlua", err)
    _, err = pcall(function() template.file("d.etlua"):render({ name = "../../etc/passwd" }) end)
    assert.matches("d%.etlua:1: there is no template '%.%./%.%./etc/passwd' here", err)
    _, err = pcall(template.file, "../x.etlua")
    assert.matches("a path below the project's folder is wanted", err)
  end)

  it("is not read while a request waits", function()
    local app = test.app(function(app)
      app:get("/", function() return template.file("a.etlua"):render() end)
    end)
    local res = app:get("/")
    assert.equal(500, res.status)
    assert.matches("template_spec%.lua:%d+: template%.file reads from the disk: call it while the "
      .. "script loads", app.logs[1].message)
    app:close()
  end)

  it("tells of misspelt names", function()
    assert.error_matches(function() return template.compil end, "did you mean 'compile'")
    assert.error_matches(function() return template.compile("").rendr end, "did you mean 'render'")
    local _, err = pcall(function() template.compile("").render({}) end)
    assert.matches("call it with a colon", err)
  end)
end)

describe("a template of a file", function()
  it("is of the project of the app, not of the one before", function()
    require("moongate.core.scripts.env").new("", function() return "another project's" end)
    local app = test.app(function(a)
      local page = moongate.template.file("spec/fixture/public/hello.txt")
      a:get("/", function(ctx) ctx:html(page:render()) end)
    end)
    local file = assert(io.open("spec/fixture/public/hello.txt"))
    assert.equal(file:read("*a"), app:get("/").body)
    file:close()
    app:close()
  end)
end)
