--- Markdown as a man page (man(7) macros).
local blocks = require("moongate.core.docs.blocks")

local M = {}

-- A text that no formatter takes for a request or an escape.
local function escaped(text)
  text = text:gsub("\\", "\\e"):gsub("%-", "\\-")
  return (text:gsub("^([.'])", "\\&%1"):gsub("\n([.'])", "\n\\&%1"))
end

local FONTS = { code = "B", bold = "B", link = "I" }

local function spans(text)
  local parts = {}
  for _, span in ipairs(blocks.spans(text)) do
    local font = FONTS[span.kind]
    local said = escaped(span.text)
    parts[#parts + 1] = font and "\\f" .. font .. said .. "\\fR" or said
  end
  return table.concat(parts)
end

local RENDER = {}

function RENDER.heading(out, block)
  local text = block.text:gsub("`", "")
  out[#out + 1] = block.level <= 1 and ".SH " .. escaped(text):upper() or ".SS " .. escaped(text)
end

function RENDER.code(out, block)
  out[#out + 1] = ".PP\n.RS 4\n.nf\n" .. escaped(block.text) .. "\n.fi\n.RE"
end

function RENDER.table(out, block)
  for i, row in ipairs(block.rows) do
    if i > 1 then
      local rest = table.concat(row, ", ", 2):gsub(", $", "")
      out[#out + 1] = ".TP\n" .. spans(row[1]) .. "\n" .. spans(rest)
    end
  end
end

function RENDER.list(out, block)
  for i, item in ipairs(block.items) do
    local mark = block.ordered and i .. "." or "\\(bu"
    out[#out + 1] = ".IP " .. mark .. " 3\n" .. spans(item)
  end
end

function RENDER.paragraph(out, block)
  out[#out + 1] = ".PP\n" .. spans(block.text)
end

--- A whole page.
---@param options { name: string, section: integer, title: string, version: string }
---@param text string Markdown; headings of level 1 are sections
---@return string
function M.render(options, text)
  local out = {
    ('.TH %s %d "" "Moongate %s" "Moongate"'):format(options.name:upper(), options.section,
      options.version),
    ".SH NAME", escaped(options.name) .. " \\- " .. escaped(options.title),
  }
  for _, block in ipairs(blocks.parse(text)) do
    RENDER[block.kind](out, block)
  end
  return table.concat(out, "\n") .. "\n"
end

return M
