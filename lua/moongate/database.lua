--- Databases.
local M = {}

--- What ctx has: functions of (scope, level, ...).
M.calls = {}

function M.calls.query_database(_, level)
  error("query_database is not there yet", level + 1)
end

return M
