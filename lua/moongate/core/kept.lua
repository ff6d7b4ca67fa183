--- What was begun in a transaction, of a database or of Redis: one that fails unseen must not be
--- committed around, so those that nobody has looked at are awaited before it ends.
local M = {}

local FEW = 64 -- before those that somebody has looked at are forgotten

function M.new()
  return { most = FEW }
end

---@param list table of M.new
---@param future table a Future, or whatever else has `_looked_at` and an `await`
function M.add(list, future)
  list[#list + 1] = future
  if #list < list.most then
    return
  end
  local n = 0
  for i = 1, #list do
    local each = list[i]
    list[i] = nil
    if not each._looked_at then
      n = n + 1
      list[n] = each
    end
  end
  list.most = FEW + 2 * n
end

--- Raises the first failure. Others may begin something meanwhile: it is awaited too.
function M.await(list)
  local i, most = 1, list.most
  while list[i] do
    if not list[i]._looked_at then
      list[i]:await()
    end
    i = list.most == most and i + 1 or 1 -- else some were forgotten, and the rest moved up
    most = list.most
  end
end

return M
