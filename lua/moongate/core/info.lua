--- What a script may know of the process that runs it.
local native = require("moongate.native")

local M = { generation = 1, worker = 0 }

---@class moongate.Info
---@field version string of Moongate
---@field generation integer counts the reloads of the scripts, from 1
---@field worker integer from 1; 0: the server is one process
---@field pid integer of the worker

---@return moongate.Info
function M.get()
  return {
    version = native.version, generation = M.generation, worker = M.worker, pid = native.pid(),
  }
end

return M
