--- The HTTP client.
local M = {}

--- What ctx has: functions of (scope, level, ...).
M.calls = {}

function M.calls.http_request(_, level)
  error("http_request is not there yet", level + 1)
end

return M
