--- Files of a folder: what app:static serves. C resolves paths so that nothing leaves the folder
--- (no "..", no symlink).
local native = require("moongate.native")
local answer = require("moongate.core.request.answer")
local check = require("moongate.core.check")
local files = require("moongate.files")
local slots = require("moongate.core.request.slots")

local M = {}

local OPTIONS = {
  index = check.string,
  cache = check.seconds,
  dotfiles = true, -- serve names that begin with a dot
}

-- Names that begin with a dot are hidden, but for /.well-known (RFC 8615).
local function is_hidden(path)
  for name in path:gmatch("[^/]+") do
    if name:sub(1, 1) == "." and name ~= ".well-known" then
      return true
    end
  end
  return false
end

local function is_refused(path, dotfiles)
  return (is_hidden(path) and not dotfiles) or path:find("[%z\\]") or path:find("//", 1, true)
end

--- Relative links of an index need the slash.
function M.add_slash(ctx)
  local query = native.request_query(ctx[slots.HANDLE])
  ctx:redirect(ctx.path .. "/" .. (query ~= "" and "?" .. query or ""), 301)
end

-- A folder that has an index is found behind the slash. "//host" would lead to another server.
local function to_index(folder, path, index)
  return function(ctx)
    local name = folder .. "/" .. path .. "/" .. index
    local info = files.calls.stat_file(ctx, 1, name):try_await()
    if not info or info.kind ~= "file" or ctx.path:find("^//") or ctx.path:find("/$") then
      return false
    end
    M.add_slash(ctx)
    return true
  end
end

---@param folder string against the project's folder
---@param options table? index (default "index.html"), cache (seconds), dotfiles
---@return fun(ctx: table)
function M.new(folder, options)
  options = check.options("static", options or {}, OPTIONS)
  local index = options.index or "index.html"
  return function(ctx)
    local path = ctx.params.path or ""
    if path == "" or path:sub(-1) == "/" then
      path = path .. index
    end
    if is_refused(path, options.dotfiles) then
      ctx:fail(404, "no such file")
    end
    answer.send_static(ctx, path, folder, options.cache, to_index(folder, path, index))
  end
end

return M
