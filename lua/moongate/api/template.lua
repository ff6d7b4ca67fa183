---@meta

--- Text with holes, in the syntax of etlua. A template's code is Lua; the names of what it is given are
--- its variables, and besides there are `pairs ipairs next select tostring tonumber type unpack error
--- string table math escape`. Messages name the template's own file and line.
---
--- | in a template | |
--- |---|---|
--- | `<%= value %>` | a text or number, with `& < > " '` escaped: fit for HTML, and for attributes in quotes |
--- | `<%- html %>` | the same as it is |
--- | `<% code %>` | Lua: `<% for _, user in ipairs(users) do %> ... <% end %>` |
--- | `-%>` | instead of `%>`: the end of the line behind it is left out |
--- | `<%- include("head.etlua", { title = "x" }) %>` | another template, which sees what this one sees, and what it is given besides |
--- | `<% layout("page.etlua") %>` | this one's text is `content` of that one: `<%- content %>` |
---
--- nil and `moongate.json.null` are mistakes: write `<%= name or "" %>`. Templates include each other
--- at most 20 deep.
---@class moongate.template
local template = {}

---@class moongate.Template
---@field name string its file
local Template = {}

--- The text, with what it is given. Code in it may await.
---
--- ```lua
--- local page = moongate.template.compile(
---   "<% for _, name in ipairs(names) do %><li><%= name %></li><% end %>")
--- app:get("/", function(ctx) return ctx:html(page:render({ names = { "Ada", "<b>" } })) end)
--- --> GET / => 200 <li>Ada</li><li>&lt;b&gt;</li>
--- ```
---@param data? table
---@return string
function Template:render(data) end

--- A template of a file of the project, and with it all that it includes under names in quotes, which
--- lie beside it. It is read while the script loads, from the same snapshot as the scripts; a reload
--- reads it anew, and `moongate dev` when it is saved. The same file gives the same template.
---
--- ```lua
--- local page = moongate.template.file("views/page.etlua")
--- app:get("/", function(ctx) return ctx:html(page:render({ title = "Moons & gates" })) end)
--- --> GET / => 200 <title>Moons &amp; gates</title>
--- ```
---@param path string below the project's folder; its name ends in ".etlua"
---@return moongate.Template
function template.file(path) end

--- A template of a text; raises "name:line: what" if it is malformed.
---
--- ```lua
--- local hello = moongate.template.compile("hello, <%= name %>")
--- app:get("/:name", function(ctx) return hello:render(ctx.params) end)
--- --> GET /ada => 200 hello, ada
--- --> GET /%3Cada%3E => 200 hello, &lt;ada&gt;
--- ```
---@param text string
---@param name? string in messages; "template" unless told
---@return moongate.Template
function template.compile(text, name) end

--- A text or number as it may stand in HTML.
---
--- ```lua
--- app:get("/", function() return moongate.template.escape("<a href='x'>") end)
--- --> GET / => 200 &lt;a href=&#39;x&#39;&gt;
--- ```
---@param text string|number
---@return string
function template.escape(text) end
