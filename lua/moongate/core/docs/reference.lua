--- The reference as data: what the files of lua/moongate/api and lua/moongate/guide say, in pages
--- and entries, and the examples in them.
local settings = require("moongate.core.docs.settings")
local source = require("moongate.core.docs.source")

local M = {}

-- The pages of the Lua surface, in the order in which a reader wants them.
local PAGES = {
  { "moongate", "moongate" }, { "app", "The app" }, { "context", "ctx: the request" },
  { "answer", "ctx: the answer" }, { "async", "ctx: what is awaited" }, { "future", "Futures" },
  { "http", "HTTP calls" }, { "database", "Databases" },
  { "cache", "The cache" }, { "redis", "Redis" }, { "upstream", "Upstreams" },
  { "topics", "Topics" }, { "websocket_client", "WebSockets to other servers" },
  { "tcp", "Connections without HTTP" },
  { "files", "Files" }, { "json", "JSON" },
  { "template", "Templates" }, { "crypto", "Signatures" }, { "password", "Passwords" },
  { "log", "The log" },
  { "errors", "Errors" }, { "middleware", "Middleware" }, { "stream", "Raw streams" },
  { "websocket", "WebSockets" }, { "test", "Specs: moongate.test" },
  { "test_stubs", "Specs: what stands in for others" },
  { "test_peers", "Specs: clients' ends, and time" },
}

-- Guides, in the order of the site.
local GUIDES = {
  "routing", "answers", "awaiting", "middleware", "live", "stores", "proxy", "tls", "jobs",
  "reload", "specs", "types", "deployment", "recipes",
}

-- What stands before the names of a class's members where the file's own variable would mislead.
local OWNERS = {
  ["moongate.test.App"] = "test_app", ["moongate.FutureClass"] = "moongate.Future",
  ["moongate.middleware"] = "moongate.middleware", ["moongate.http"] = "moongate.http",
  ["moongate.json"] = "moongate.json",
  ["moongate.template"] = "moongate.template", ["moongate.topics"] = "moongate.topics",
  ["moongate.crypto"] = "moongate.crypto", ["moongate.password"] = "moongate.password",
  ["moongate.files"] = "moongate.files", ["moongate.tcp"] = "moongate.tcp",
  ["moongate.websocket"] = "moongate.websocket",
}

---@class moongate.docs.Entry one name of the reference
---@field name string as it is looked up: "ctx:json"
---@field kind "function"|"field"|"class"|"alias"
---@field item moongate.docs.Item
---@field page string its page's id

---@class moongate.docs.Page
---@field id string
---@field title string
---@field text string Markdown in front of its entries
---@field entries moongate.docs.Entry[]

local function folder_of_framework()
  return (debug.getinfo(1, "S").source:gsub("^@", ""):gsub("core/docs/reference%.lua$", ""))
end

local function read(path)
  local file, message = io.open(path, "r")
  if not file then
    error(message, 0)
  end
  local text = file:read("*a")
  file:close()
  return text
end

-- The examples of a text: fenced blocks that begin with ```lua.
local function take_examples(list, name, item)
  local kind, code, start
  local number = item.line - 1
  for line in (item.doc .. "\n"):gmatch("(.-)\n") do
    number = number + 1
    local fence = line:match("^```(.*)$")
    if not fence then
      if code then
        code[#code + 1] = line
      end
    elseif code then
      if kind then
        list[#list + 1] = {
          name = name, kind = kind, code = table.concat(code, "\n"), file = item.file, line = start,
        }
      end
      code = nil
    else
      kind, code, start = fence:match("^lua ?(.*)$"), {}, number + 1
    end
  end
end

-- The name under which a reader knows it.
local function public_name(item, owners)
  local owner = item.owner and owners[item.owner]
  if not owner then
    return item.name
  end
  return owner .. item.name:sub(#item.owner + 1)
end

local function add_entry(reference, page, item, name)
  local entry = {
    name = name, kind = item.kind, item = item, page = page.id,
  }
  page.entries[#page.entries + 1] = entry
  reference.entries[#reference.entries + 1] = entry
  reference.by_name[name] = reference.by_name[name] or entry
  take_examples(reference.examples, name, item)
end

local function read_page(reference, id, title, path)
  local page = { id = id, title = title, text = "", entries = {} }
  local owners = {}
  for _, item in ipairs(source.parse(read(path), path)) do
    if item.kind == "class" and item.variable then
      owners[item.variable] = OWNERS[item.name]
      if not page.subject then
        page.text, page.subject = item.doc, item.name
      end
    end
    if item.name then
      add_entry(reference, page, item, public_name(item, owners))
    end
  end
  reference.pages[#reference.pages + 1] = page
  reference.page_of[id] = page
end

local function read_guide(reference, id, path)
  local text = read(path)
  local title = text:match("^# ([^\n]+)\n") or error(path .. ":1: a title is wanted: # ...", 0)
  local page = {
    id = "guide-" .. id, title = title, text = text:gsub("^# [^\n]+\n+", ""), entries = {},
    guide = true,
  }
  reference.pages[#reference.pages + 1] = page
  reference.page_of[page.id] = page
  take_examples(reference.examples, "guide " .. id, { doc = text, file = path, line = 1 })
end

---@class moongate.docs.Reference
---@field pages moongate.docs.Page[]
---@field page_of table<string, moongate.docs.Page>
---@field entries moongate.docs.Entry[]
---@field by_name table<string, moongate.docs.Entry>
---@field settings table<string, moongate.docs.SettingText>
---@field examples { name: string, kind: string, code: string, file: string, line: integer }[]

--- All of it, read from the framework's own folder. Raises "file:line: what" of what is malformed.
---@return moongate.docs.Reference
function M.load()
  local reference = { pages = {}, page_of = {}, entries = {}, by_name = {}, examples = {} }
  local folder = folder_of_framework()
  for _, page in ipairs(PAGES) do
    read_page(reference, page[1], page[2], folder .. "api/" .. page[1] .. ".lua")
  end
  for _, id in ipairs(GUIDES) do
    read_guide(reference, id, folder .. "guide/" .. id .. ".md")
  end
  reference.settings = settings.parse(read(folder .. "core/docs/settings.md"))
  for path, entry in pairs(reference.settings) do
    reference.examples[#reference.examples + 1] = {
      name = path, kind = "conf", code = entry.example, file = "settings.md", line = 0,
    }
  end
  return reference
end

return M
