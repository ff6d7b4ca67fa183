--- Markdown as HTML, and the frame of a page of the site.
local blocks = require("moongate.core.docs.blocks")

local M = {}

local ESCAPES = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;" }

---@param text string
---@return string
function M.escape(text)
  return (text:gsub('[&<>"]', ESCAPES))
end
local escape = M.escape

--- What a heading is linked by.
---@param text string
---@return string
function M.anchor(text)
  return (text:lower():gsub("`", ""):gsub("[^%w]+", "-"):gsub("^%-", ""):gsub("%-$", ""))
end

local function target_of(target)
  return (target:gsub("%.md$", ".html"):gsub("%.md#", ".html#"))
end

local SPANS = {
  text = function(span) return escape(span.text) end,
  code = function(span) return "<code>" .. escape(span.text) .. "</code>" end,
  bold = function(span) return "<strong>" .. escape(span.text) .. "</strong>" end,
  link = function(span)
    return ('<a href="%s">%s</a>'):format(escape(target_of(span.target)), escape(span.text))
  end,
}

local function spans(text)
  local parts = {}
  for _, span in ipairs(blocks.spans(text)) do
    parts[#parts + 1] = SPANS[span.kind](span)
  end
  return table.concat(parts)
end

local RENDER = {}

function RENDER.heading(block, anchors)
  local anchor = M.anchor(block.text)
  local n = (anchors[anchor] or 0) + 1
  anchors[anchor] = n
  if n > 1 then
    anchor = anchor .. "-" .. n
  end
  local link = ('<a class="here" href="#%s" aria-label="Link to this heading">#</a>'):format(anchor)
  return ('<h%d id="%s">%s %s</h%d>'):format(block.level, anchor, spans(block.text), link,
    block.level)
end

-- What is wider than its column is scrolled, also by keys.
function RENDER.code(block)
  return '<pre tabindex="0"><code>' .. escape(block.text) .. "</code></pre>"
end

local function cells(row, tag)
  local out = {}
  for i, cell in ipairs(row) do
    out[i] = ("<%s>%s</%s>"):format(tag, spans(cell), tag:match("^%a+"))
  end
  return "<tr>" .. table.concat(out) .. "</tr>"
end

function RENDER.table(block)
  local out = { '<div class="wide" tabindex="0" role="group" aria-label="Table"><table>',
    "<thead>" .. cells(block.rows[1], 'th scope="col"') .. "</thead><tbody>" }
  for i = 2, #block.rows do
    out[#out + 1] = cells(block.rows[i], "td")
  end
  out[#out + 1] = "</tbody></table></div>"
  return table.concat(out, "\n")
end

function RENDER.list(block)
  local tag = block.ordered and "ol" or "ul"
  local out = { "<" .. tag .. ">" }
  for _, item in ipairs(block.items) do
    out[#out + 1] = "<li>" .. spans(item) .. "</li>"
  end
  out[#out + 1] = "</" .. tag .. ">"
  return table.concat(out, "\n")
end

function RENDER.paragraph(block)
  return "<p>" .. spans(block.text) .. "</p>"
end

---@param text string Markdown
---@return string
function M.render(text)
  local out, anchors = {}, {}
  for _, block in ipairs(blocks.parse(text)) do
    out[#out + 1] = RENDER[block.kind](block, anchors)
  end
  return table.concat(out, "\n")
end

local function links(pages, here)
  local out = {}
  for _, group in ipairs(pages) do
    out[#out + 1] = "<h2>" .. escape(group.title) .. "</h2>\n<ul>"
    for _, page in ipairs(group) do
      local current = page.id == here and ' aria-current="page"' or ""
      out[#out + 1] = ('<li><a href="%s.html"%s>%s</a></li>'):format(page.id, current,
        escape(page.title))
    end
    out[#out + 1] = "</ul>"
  end
  return table.concat(out, "\n")
end

--- A whole page.
---@param frame string page.html: what stands around it
---@param page { id: string, title: string }
---@param body string HTML
---@param groups table[] of pages, each with a title
---@param version string
---@return string
function M.page(frame, page, body, groups, version)
  local values = {
    title = escape(page.title), version = escape(version), links = links(groups, page.id),
    body = body,
  }
  return (frame:gsub("{{(%a+)}}", values))
end

return M
