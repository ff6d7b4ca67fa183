--- The reference's pages as Markdown, which is also what its other forms are made of.
local M = {}

-- A cell of a table: one line, without the sign that ends a cell.
local function cell(text)
  return (text:gsub("\n", " "):gsub("|", "\\|"))
end

local function code(text)
  return "`" .. text .. "`"
end

local function row(...)
  return "| " .. table.concat({ ... }, " | ") .. " |"
end

-- "string (optional)": what stands behind a name.
local function type_of(param)
  return code(cell(param.type)) .. (param.optional and ", may be left out" or "")
end

local function add_params(out, title, params)
  if #params == 0 then
    return
  end
  out[#out + 1] = ""
  out[#out + 1] = row(title, "type", "meaning")
  out[#out + 1] = "|---|---|---|"
  for _, param in ipairs(params) do
    out[#out + 1] = row(code(param.name), type_of(param), cell(param.doc))
  end
end

local function add_returns(out, returns)
  if #returns == 0 then
    return
  end
  local texts = {}
  for i, value in ipairs(returns) do
    texts[i] = code(value.type) .. (value.doc ~= "" and " " .. value.doc or "")
  end
  out[#out + 1] = ""
  out[#out + 1] = "Returns " .. table.concat(texts, "; ") .. "."
end

-- "app:get(pattern [, options], handler)"
local function signature(entry)
  local item = entry.item
  if item.kind ~= "function" then
    return entry.name
  end
  local optional = {}
  for _, param in ipairs(item.params) do
    optional[param.name] = param.optional
  end
  local args = {}
  for name in item.args:sub(2, -2):gmatch("[%w_.]+") do
    args[#args + 1] = optional[name] and "[" .. name .. "]" or name
  end
  return entry.name .. "(" .. table.concat(args, ", ") .. ")"
end
M.signature = signature

-- A code fence says the language alone; what the runner of examples needs to know is not shown.
local function shown_doc(doc)
  return (doc:gsub("```lua [%w ]+", "```lua"))
end
M.shown_doc = shown_doc

--- The text of one entry, without its heading.
---@param entry moongate.docs.Entry
---@return string
function M.entry(entry)
  local item = entry.item
  local out = { shown_doc(item.doc) }
  if item.type then
    out[#out + 1] = (item.doc ~= "" and "\n" or "") .. "Type: " .. code(item.type) .. "."
  end
  if item.kind == "class" and item.parent then
    out[#out + 1] = "\nA " .. code(item.parent) .. " with"
  end
  add_params(out, item.kind == "class" and "field" or "parameter", item.params)
  add_returns(out, item.returns)
  return table.concat(out, "\n")
end

--- A whole page.
---@param page moongate.docs.Page
---@return string
function M.page(page)
  local out = { "# " .. page.title, "", shown_doc(page.text) }
  for _, entry in ipairs(page.entries) do
    if entry.name ~= page.subject then
      out[#out + 1] = "\n## " .. code(signature(entry)) .. "\n"
      out[#out + 1] = M.entry(entry)
    elseif #entry.item.params > 0 then
      add_params(out, "field", entry.item.params)
    end
  end
  return (table.concat(out, "\n"):gsub("\n\n\n+", "\n\n")) .. "\n"
end

-- --- what C knows: settings and commands ---

---@class moongate.docs.Setting
---@field path string "limits.body"
---@field default string as Lua
---@field allowed string
---@field about string
---@field text string? Markdown, instead
---@field example string? a configuration

--- A setting's text.
---@param setting moongate.docs.Setting
---@return string
function M.setting(setting)
  local out = { setting.text or setting.about .. "." }
  if setting.default then
    out[#out + 1] = "\nDefault: " .. code(setting.default) .. "."
  end
  if setting.allowed then
    out[#out + 1] = "\nAllowed: " .. setting.allowed .. "."
  end
  if setting.example then
    out[#out + 1] = "\n```lua\n" .. setting.example .. "\n```"
  end
  return table.concat(out, "\n")
end

return M
