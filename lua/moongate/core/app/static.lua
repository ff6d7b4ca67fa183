--- Files of a folder: what app:static serves. C resolves paths so that nothing leaves the folder
--- (no "..", no symlink).
---
--- Without middleware C serves them alone (src/server/folder.h), and the handler sees only what it
--- does not find.
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

--- What C is told of a folder.
---@param folder table of M.new
---@param root string the project's folder
function M.native(folder, root)
  local options = folder.options
  return {
    path = answer.below(root, folder.path), index = folder.index, dotfiles = options.dotfiles,
    cache_control = options.cache and answer.cache_control(options.cache),
  }
end

---@param folder string against the project's folder
---@param options table? index (default "index.html"), cache (seconds), dotfiles
---@return fun(ctx: table) handler
---@return table for M.native
function M.new(folder, options)
  options = check.options("static", options or {}, OPTIONS)
  local index = options.index or "index.html"
  local function handler(ctx)
    local path = ctx.params.path or ""
    if path == "" or path:sub(-1) == "/" then
      path = path .. index
    end
    if is_refused(path, options.dotfiles) then
      ctx:fail(404, "no such file")
    end
    answer.send_static(ctx, path, folder, options.cache, to_index(folder, path, index))
  end
  return handler, { path = folder, index = index, options = options }
end

return M
