--- The cache that all workers share.
local M = {}

--- What ctx has: functions of (scope, level, ...).
M.calls = {}

function M.calls.query_cache(_, level)
  error("query_cache is not there yet", level + 1)
end

function M.calls.update_cache(_, level)
  error("update_cache is not there yet", level + 1)
end

return M
