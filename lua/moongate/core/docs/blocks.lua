--- The part of Markdown that the reference and the guides are written in: headings, fenced code,
--- tables, lists, paragraphs; in a text code, links and bold.
local M = {}

---@class moongate.docs.Block
---@field kind "heading"|"code"|"table"|"list"|"paragraph"
---@field text string? of a heading, code or paragraph
---@field level integer? of a heading
---@field language string? of code
---@field rows string[][]? of a table, its head first
---@field items string[]? of a list
---@field ordered boolean? of a list

-- The cells of "| a | b |".
local function cells_of(line)
  local cells = {}
  local hidden = line:gsub("\\|", "\1")
  for cell in hidden:gmatch("|%s*([^|]*)") do
    cells[#cells + 1] = (cell:gsub("%s+$", ""):gsub("\1", "|"))
  end
  cells[#cells] = nil -- behind the last bar
  return cells
end

local Reader = {}
Reader.__index = Reader

function Reader:peek()
  return self.lines[self.at]
end

function Reader:next()
  self.at = self.at + 1
  return self.lines[self.at - 1]
end

local function read_code(reader)
  local language = reader:next():match("^```(.*)$")
  local text = {}
  while reader:peek() and reader:peek() ~= "```" do
    text[#text + 1] = reader:next()
  end
  reader:next()
  return { kind = "code", language = language, text = table.concat(text, "\n") }
end

local function read_table(reader)
  local rows = {}
  while (reader:peek() or ""):find("^|") do
    local line = reader:next()
    if not line:find("^|[%s|:-]+$") then
      rows[#rows + 1] = cells_of(line)
    end
  end
  return { kind = "table", rows = rows }
end

local function item_of(line)
  local number, text = line:match("^(%d+)%. (.*)$")
  if number then
    return text, true
  end
  return line:match("^%- (.*)$"), false
end

local function read_list(reader)
  local _, ordered = item_of(reader:peek())
  local items = {}
  while reader:peek() and reader:peek() ~= "" do
    local line = reader:next()
    local item = item_of(line)
    if item then
      items[#items + 1] = item
    else
      items[#items] = items[#items] .. " " .. line:gsub("^%s+", "")
    end
  end
  return { kind = "list", items = items, ordered = ordered }
end

local function read_paragraph(reader)
  local text = {}
  repeat
    text[#text + 1] = reader:next()
    local line = reader:peek()
  until not line or line == "" or line:find("^```") or line:find("^|") or item_of(line)
  return { kind = "paragraph", text = table.concat(text, " ") }
end

--- The blocks of a text, in order.
---@param text string
---@return moongate.docs.Block[]
function M.parse(text)
  local reader = setmetatable({ lines = {}, at = 1 }, Reader)
  for line in (text .. "\n"):gmatch("(.-)\n") do
    reader.lines[#reader.lines + 1] = line
  end
  local blocks = {}
  while reader:peek() do
    local line = reader:peek()
    if line == "" then
      reader:next()
    elseif line:find("^```") then
      blocks[#blocks + 1] = read_code(reader)
    elseif line:find("^#+ ") then
      local level, title = reader:next():match("^(#+) (.*)$")
      blocks[#blocks + 1] = { kind = "heading", level = #level, text = title }
    elseif line:find("^|") then
      blocks[#blocks + 1] = read_table(reader)
    elseif item_of(line) then
      blocks[#blocks + 1] = read_list(reader)
    else
      blocks[#blocks + 1] = read_paragraph(reader)
    end
  end
  return blocks
end

-- Where the earliest span begins: its kind, what it says, a link's target, where it ends.
local function next_span(text, at)
  local best
  local function offer(start, stop, kind, content, target)
    if start and (not best or start < best.start) then
      best = { start = start, stop = stop, kind = kind, text = content, target = target }
    end
  end
  local start, stop, content = text:find("`([^`]+)`", at)
  offer(start, stop, "code", content)
  local target
  start, stop, content, target = text:find("%[([^%]]+)%]%(([^)%s]+)%)", at)
  offer(start, stop, "link", content, target)
  start, stop, content = text:find("%*%*([^*]+)%*%*", at)
  offer(start, stop, "bold", content)
  return best
end

--- The spans of a paragraph, a cell or an item: { kind = "text"|"code"|"link"|"bold", text,
--- target }.
---@param text string
---@return table[]
function M.spans(text)
  local spans, at = {}, 1
  while at <= #text do
    local span = next_span(text, at)
    local before = text:sub(at, span and span.start - 1 or -1)
    if before ~= "" then
      spans[#spans + 1] = { kind = "text", text = before }
    end
    if not span then
      break
    end
    spans[#spans + 1] = span
    at = span.stop + 1
  end
  return spans
end

return M
