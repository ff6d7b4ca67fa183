--- Names the C function that an await cannot cross.
local M = {}

--- Describes what stands between `await` and its coroutine, or nil if nothing does.
---@param level integer the stack level of the caller of await
---@return string? description, string? where
function M.find(level)
  local where
  for i = level + 1, 200 do
    local info = debug.getinfo(i, "Snl")
    if not info then
      break
    end
    if info.what == "C" then
      return info.name or "a C function", where
    end
    where = info.short_src .. ":" .. (info.currentline or 0)
  end
end

return M
