--- os.exit in a spec would end all specs with whatever status it says, and nobody would know.
local M = {}

local OWN = debug.getinfo(1, "S").source

local function is_own(fn)
  local info = debug.getinfo(fn, "S")
  return info.what ~= "C" and info.source == OWN
end

-- busted ends the process itself when it is through.
local function is_busted(source)
  return source:find("busted[/\\]") or source:find("[/\\]busted$")
end

--- Makes os.exit an error for all but busted. `on_end()` is called before that ends the process.
---@param on_end function?
function M.refuse(on_end)
  local exit = os.exit
  if is_own(exit) then
    return
  end
  os.exit = function(...) -- luacheck: ignore 122
    local info = debug.getinfo(2, "S")
    if not (info and is_busted(info.source)) then
      error("os.exit would end all specs: raise an error, or use assert", 2)
    end
    if on_end then
      on_end()
    end
    exit(...)
  end
end

--- Leaves hidden files out of what busted finds, as those that macOS drops beside others.
function M.hide_dot_files()
  local found, dir = pcall(require, "pl.dir")
  for _, name in ipairs(found and { "getfiles", "getallfiles" } or {}) do
    local list_files = dir[name]
    dir[name] = function(...)
      local files = list_files(...)
      for i = #files, 1, -1 do
        if files[i]:find("^%.[^/]*$") or files[i]:find("/%.[^/]*$") then
          table.remove(files, i)
        end
      end
      return files
    end
  end
end

return M
