--- Files of a folder: what app:static serves. C resolves paths so that nothing leaves the folder
--- (no "..", no symlink).
local check = require("moongate.core.check")
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
    ctx:send_file(path, { root = folder, cache = options.cache })
  end
end

return M
