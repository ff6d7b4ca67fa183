--- `moongate dev`: what its pages have in common. Nothing of them comes from elsewhere.
local errors = require("moongate.core.errors")
local info = require("moongate.core.info")
local texts = require("moongate.core.text")

local M = {}

M.POLL = "/.moongate/dev" -- where pages ask whether the scripts were replaced

local STYLE = [[
:root{color-scheme:light dark;--line:#8884;--mark:#f9c80e33;--fault:#c62828}
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.3rem;color:var(--fault);overflow-wrap:anywhere}
h2{font-size:1.1rem}small{font-weight:normal}
pre{overflow-x:auto;padding:.75rem;border:1px solid var(--line);font-size:.85rem}
table{border-collapse:collapse;font-size:.9rem;display:block;overflow-x:auto}
td,th{border-bottom:1px solid var(--line);padding:.2rem .8rem .2rem 0;text-align:left;
vertical-align:top;overflow-wrap:anywhere}
mark{background:var(--mark);color:inherit;display:block}
@media(prefers-color-scheme:dark){:root{--fault:#ff8a80}}
]]

-- Loads the page again once other scripts serve.
local SCRIPT = [[
setInterval(async()=>{try{
const now=await(await fetch("%s",{cache:"no-store"})).json();
if(now.generation!==%s)location.reload();
}catch(e){}},300);
]]

---@param text any
---@return string
function M.escape(text)
  return texts.html(errors.show(text))
end

--- What app pages load, told of their generation by the query of its own address.
---@return string
function M.script()
  return "const generation=Number(new URL(document.currentScript.src).searchParams.get('g'));\n"
    .. SCRIPT:format(M.POLL, "generation")
end

--- A table; without a head if none is given.
---@param rows string[][]
---@param head string[]?
---@return string
function M.rows(rows, head)
  local parts = { "<table tabindex=0>" }
  if head then
    parts[2] = "<tr><th scope=col>" .. table.concat(head, "</th><th scope=col>") .. "</th></tr>"
  end
  for _, row in ipairs(rows) do
    local cells = {}
    for i, cell in ipairs(row) do
      cells[i] = "<td>" .. M.escape(cell):gsub("\n", "<br>") .. "</td>"
    end
    parts[#parts + 1] = "<tr>" .. table.concat(cells) .. "</tr>"
  end
  return table.concat(parts) .. "</table>"
end

---@param title string
---@param body string HTML
---@return string
function M.page(title, body)
  return table.concat({
    "<!doctype html><html lang=en><meta charset=utf-8>",
    "<meta name=viewport content='width=device-width'><title>", M.escape(title), "</title><style>",
    STYLE, "</style><main>", body, "</main><script>", SCRIPT:format(M.POLL, info.generation),
    "</script></html>\n",
  })
end

return M
