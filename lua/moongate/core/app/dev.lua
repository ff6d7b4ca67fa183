--- `moongate dev`: faults as a page in the browser, which loads itself again when they are gone.
local info = require("moongate.core.info")
local errors = require("moongate.core.errors")

local M = {}

local POLL = "/.moongate/dev" -- where the page asks whether the scripts were replaced
local AROUND = 5 -- lines of source before and behind the one at fault

local STYLE = [[
:root{color-scheme:light dark;--line:#8884;--mark:#f9c80e33;--fault:#c62828}
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.3rem;color:var(--fault);overflow-wrap:anywhere}
pre{overflow-x:auto;padding:.75rem;border:1px solid var(--line);font-size:.85rem}
mark{background:var(--mark);color:inherit;display:block}
@media(prefers-color-scheme:dark){:root{--fault:#ff8a80}}
]]

local SCRIPT = [[
setInterval(async()=>{try{
const now=await(await fetch("%s",{cache:"no-store"})).json();
if(now.generation!==%d)location.reload();
}catch(e){}},300);
]]

local ESCAPES = {
  ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;", ["'"] = "&#39;",
}

local function escape(text)
  return (errors.show(text):gsub("[&<>\"']", ESCAPES))
end

local open = io.open -- scripts get another one

local function read_disk(path)
  local file = open(path, "rb")
  if not file then
    return nil
  end
  local text = file:read("*a")
  file:close()
  return text
end

-- The first "path:line" of a text whose file can be read.
local function place_in(text, source_of)
  for path, line in text:gmatch("([^%s:'\"]+%.lua):(%d+)") do
    local source = source_of(path)
    if source then
      return path, tonumber(line), source
    end
  end
end

--- Lines around the one at fault, as HTML; that one is marked.
---@param source string
---@param line integer from 1
---@return string html "" if there is no such line
function M.excerpt(source, line)
  local rows, n, marked = {}, 0, false
  for text in (source:gsub("\n$", "") .. "\n"):gmatch("(.-)\r?\n") do
    n = n + 1
    if n >= line - AROUND and n <= line + AROUND then
      local row = escape(("%5d  %s"):format(n, text))
      marked = marked or n == line
      rows[#rows + 1] = n == line and ("<mark>" .. row .. "</mark>") or (row .. "\n")
    end
  end
  return marked and ("<pre tabindex=0>" .. table.concat(rows) .. "</pre>") or ""
end

---@param parts { title: string, message: string, traceback: string?, request: string }
---@param source_of fun(path: string): string?
---@return string html
function M.render(parts, source_of)
  local details = parts.message .. "\n" .. errors.show(parts.traceback or "")
  local path, line, source = place_in(details, source_of)
  local html = {
    "<!doctype html><html lang=en><meta charset=utf-8>",
    "<meta name=viewport content='width=device-width'>",
    "<title>", escape(parts.title), "</title><style>", STYLE, "</style><main>",
    "<h1 role=alert>", escape(parts.message), "</h1><p>", escape(parts.request),
    ". This page loads itself again when a file is saved.</p>",
  }
  if path then
    html[#html + 1] = "<h2>" .. escape(path) .. ":" .. line .. "</h2>" .. M.excerpt(source, line)
  end
  if parts.traceback then
    html[#html + 1] = "<h2>Traceback</h2><pre tabindex=0>" .. escape(parts.traceback) .. "</pre>"
  end
  html[#html + 1] = "</main><script>"
    .. SCRIPT:format(POLL, info.generation) .. "</script></html>\n"
  return table.concat(html)
end

-- How much of a type an Accept field wants, from 0 to 1.
local function quality(accept, wanted)
  for range in accept:gmatch("[^,]+") do
    if range:match("^%s*([^;%s]+)") == wanted then
      return tonumber(range:match(";%s*q=([%d.]+)")) or 1
    end
  end
  return 0
end

-- Browsers name HTML; curl takes anything, and gets what others get.
local function wants_html(ctx)
  local accept = (ctx.headers.accept or ""):lower()
  local html = quality(accept, "text/html")
  return html > 0 and html >= quality(accept, "application/json")
end

-- Gives the project's sources by path; what a message may name beyond them is nobody's business.
local function reader(root, read)
  read = read or read_disk
  local prefix = root == "" and "" or (root:gsub("/$", "") .. "/")
  return function(path)
    if path:sub(1, 1) == "/" then
      if prefix == "" or path:sub(1, #prefix) ~= prefix then
        return nil
      end
      path = path:sub(#prefix + 1)
    end
    return not ("/" .. path .. "/"):find("/../", 1, true) and read(prefix .. path) or nil
  end
end

--- What stages an error's page: page(ctx, err, status) is true if it did, false for clients that do
--- not read HTML and for errors that are the client's.
---@param root string
---@param read (fun(path: string): string?)?
function M.page(root, read)
  local source_of = reader(root, read)
  return function(ctx, err, status)
    if status < 500 or not wants_html(ctx) then
      return false
    end
    ctx:status(status)
    ctx:header("Cache-Control", "no-store")
    ctx:header("Content-Security-Policy", nil) -- the app's would keep the page from looking again
    ctx:html(M.render({
      title = status .. " " .. ctx.method .. " " .. ctx.path,
      message = errors.line(err),
      traceback = errors.traceback(err),
      request = ctx.method .. " " .. ctx.path,
    }, source_of))
    return true
  end
end

local function answer_poll(fault)
  return function(ctx)
    ctx:header("Cache-Control", "no-store")
    return { generation = info.generation, fault = fault }
  end
end

--- app:freeze() with the place that the pages ask; the app's own middleware does not guard it.
function M.freeze(app)
  app:get(POLL, answer_poll(false))
  local frozen = app:freeze()
  for _, route in ipairs(frozen.routes) do
    if route.pattern == POLL then
      route.middleware = {}
    end
  end
  return frozen
end

--- An app that answers everything with the fault that kept the real one from loading.
---@param message string
---@param page function of M.page
function M.fault_app(message, page)
  local app = require("moongate.app").new()
  app:get(POLL, answer_poll(true))
  app:not_found(function(ctx)
    if not page(ctx, message, 500) then
      ctx:header("Cache-Control", "no-store")
      ctx:text(message .. "\n", 500)
    end
  end)
  return app
end

return M
