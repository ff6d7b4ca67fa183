--- Markdown for a terminal: lines of 80 columns, no colours, nothing that a pipe would have to
--- undo.
local blocks = require("moongate.core.docs.blocks")

local M = {}

local COLUMNS = 80

local function plain(text)
  local parts = {}
  for _, span in ipairs(blocks.spans(text)) do
    parts[#parts + 1] = span.text
  end
  return table.concat(parts)
end
M.plain = plain

-- The bytes of a text that begin a character: its columns, as far as the reference's texts go.
local function width(text)
  return #text:gsub("[\128-\191]", "")
end

local function wrap(out, text, first, rest)
  local line, used = first, width(first)
  local empty = true
  for word in plain(text):gmatch("%S+") do
    if not empty and used + 1 + width(word) > COLUMNS then
      out[#out + 1] = line
      line, used, empty = rest, width(rest), true
    end
    line = line .. (empty and "" or " ") .. word
    used = used + (empty and 0 or 1) + width(word)
    empty = false
  end
  out[#out + 1] = line
end

local RENDER = {}

function RENDER.heading(out, block)
  out[#out + 1] = plain(block.text)
end

function RENDER.code(out, block)
  for line in (block.text .. "\n"):gmatch("(.-)\n") do
    out[#out + 1] = line == "" and "" or "    " .. line
  end
end

-- A row each, its first cell in front of the others.
function RENDER.table(out, block)
  for i, row in ipairs(block.rows) do
    if i > 1 then
      local rest = table.concat(row, ", ", 2):gsub(", $", "")
      wrap(out, row[1] .. ": " .. rest, "  ", "      ")
    end
  end
end

function RENDER.list(out, block)
  for i, item in ipairs(block.items) do
    local mark = block.ordered and i .. ". " or "- "
    wrap(out, item, mark, (" "):rep(#mark))
  end
end

function RENDER.paragraph(out, block)
  wrap(out, block.text, "", "")
end

--- The text as it is printed, with a line end.
---@param text string Markdown
---@return string
function M.render(text)
  local out = {}
  for i, block in ipairs(blocks.parse(text)) do
    if i > 1 then
      out[#out + 1] = ""
    end
    RENDER[block.kind](out, block)
  end
  return table.concat(out, "\n") .. "\n"
end

return M
