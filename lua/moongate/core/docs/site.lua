--- Writes the reference into a folder: Markdown, HTML and man pages.
local html = require("moongate.core.docs.html")
local json = require("moongate.native").json -- all that is there of it
local man = require("moongate.core.docs.man")
local markdown = require("moongate.core.docs.markdown")
local terminal = require("moongate.core.docs.terminal")

local M = {}

-- --- pages of what C knows ---

local SETTINGS = [[
A configuration is a Lua file that returns a table; a setting that is left out has its default.
Sizes are bytes, or texts as "64K", "16M", "1T"; durations are seconds. Paths begin at the folder
above `conf/`. `moongate check` tells faults with file, key and what is allowed;
`moongate check --defaults` prints all of this as a file.
]]

local INDEX = [[
Moongate is an HTTP gateway whose routes are Lua scripts. The README is the tour; this is the
reference. In a terminal `moongate help NAME` shows an entry, as `moongate help ctx:json`.
]]

local function settings_text(facts)
  local out = { SETTINGS }
  for _, setting in ipairs(facts.settings) do
    out[#out + 1] = "## `" .. setting.path .. "`\n\n" .. markdown.setting(setting) .. "\n"
  end
  return table.concat(out, "\n")
end

local function commands_text(facts)
  local out = {}
  for _, command in ipairs(facts.commands) do
    out[#out + 1] = "## `moongate " .. command.name .. "`\n\n```\n" .. command.page:gsub("\n+$", "")
      .. "\n```\n"
  end
  return table.concat(out, "\n")
end

local function index_text(groups)
  local out = { INDEX }
  for _, group in ipairs(groups) do
    out[#out + 1] = "## " .. group.title .. "\n"
    for _, page in ipairs(group) do
      out[#out + 1] = "- [" .. page.title .. "](" .. page.id .. ".md)"
    end
    out[#out + 1] = ""
  end
  return table.concat(out, "\n")
end

--- All pages in their groups: guides, the Lua surface, what operators need.
---@param reference moongate.docs.Reference
---@param facts table from C: settings, commands, version
---@return table[] groups
function M.groups(reference, facts)
  local guides, surface = { title = "Guides" }, { title = "Lua" }
  for _, page in ipairs(reference.pages) do
    local group = page.guide and guides or surface
    group[#group + 1] = page
  end
  local operators = {
    title = "Operators",
    { id = "configuration", title = "Configuration", text = settings_text(facts), entries = {} },
    { id = "commands", title = "Commands", text = commands_text(facts), entries = {} },
  }
  return { guides, surface, operators }
end

-- --- the index of the search ---

local function first_sentence(text)
  local paragraph = text:gsub("```.*", ""):match("^%s*(.-)\n\n") or text
  return (terminal.plain(paragraph:gsub("\n", " ")):match("^(.-%.)%s") or terminal.plain(paragraph))
    :sub(1, 160)
end

local function index_of(groups, facts)
  local list = {}
  for _, group in ipairs(groups) do
    for _, page in ipairs(group) do
      list[#list + 1] = {
        n = page.title, t = first_sentence(page.text), u = page.id .. ".html",
      }
      for _, entry in ipairs(page.entries) do
        if entry.name ~= page.subject then
          list[#list + 1] = {
            n = entry.name, t = first_sentence(entry.item.doc),
            u = page.id .. ".html#" .. html.anchor(markdown.signature(entry)),
          }
        end
      end
    end
  end
  for _, setting in ipairs(facts.settings) do
    list[#list + 1] = {
      n = setting.path, t = first_sentence(setting.text or setting.about),
      u = "configuration.html#" .. html.anchor(setting.path),
    }
  end
  for _, command in ipairs(facts.commands) do
    local name = "moongate " .. command.name
    list[#list + 1] = {
      n = name, t = first_sentence(command.page), u = "commands.html#" .. html.anchor(name),
    }
  end
  return list
end

-- --- man pages ---

local function man_pages(groups, facts)
  local lua = {}
  for _, page in ipairs(groups[2]) do
    lua[#lua + 1] = markdown.page(page)
  end
  return {
    ["moongate.1"] = man.render({
      name = "moongate", section = 1, title = "an HTTP gateway whose routes are Lua scripts",
      version = facts.version,
    }, "# Synopsis\n\n**moongate** COMMAND [ARGUMENTS]\n\n# Commands\n\n" .. commands_text(facts)),
    ["moongate.conf.5"] = man.render({
      name = "moongate.conf", section = 5, title = "the configuration of moongate",
      version = facts.version,
    }, "# Description\n\n" .. settings_text(facts)),
    ["moongate.lua.7"] = man.render({
      name = "moongate.lua", section = 7, title = "what route scripts of moongate may use",
      version = facts.version,
    }, table.concat(lua, "\n")),
  }
end

-- --- writing ---

local function read(name)
  local folder = debug.getinfo(1, "S").source:gsub("^@", ""):gsub("site%.lua$", "")
  local file = assert(io.open(folder .. name, "r"))
  local text = file:read("*a")
  file:close()
  return text
end

local function write(path, text)
  local file, message = io.open(path, "w")
  if not file then
    error(message, 0)
  end
  file:write(text)
  file:close()
end

local function all_pages(groups)
  local all = { { id = "index", title = "Moongate", text = index_text(groups), entries = {} } }
  for _, group in ipairs(groups) do
    for _, page in ipairs(group) do
      all[#all + 1] = page
    end
  end
  return all
end

--- Writes `markdown/*.md`, `html/*` and `man/*` below `folder`, which has these three folders.
---@param folder string
---@param reference moongate.docs.Reference
---@param facts table
function M.write(folder, reference, facts)
  local groups = M.groups(reference, facts)
  local frame = read("page.html")
  for _, page in ipairs(all_pages(groups)) do
    local text = markdown.page(page)
    write(folder .. "/markdown/" .. page.id .. ".md", text)
    write(folder .. "/html/" .. page.id .. ".html",
      html.page(frame, page, html.render(text), groups, facts.version))
  end
  for _, name in ipairs({ "style.css", "search.js" }) do
    write(folder .. "/html/" .. name, read(name))
  end
  local index = json.encode(index_of(groups, facts))
  write(folder .. "/html/index.js", "const INDEX = " .. index .. ";\n")
  for name, text in pairs(man_pages(groups, facts)) do
    write(folder .. "/man/" .. name, text)
  end
end

return M
