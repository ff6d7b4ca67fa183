--- A port whose connections are never established: its queue is full, so the kernel drops each SYN.
local socket = require("socket")
local process = require("support.process")
local M = {}

local ENOUGH = 8 -- connections that fill a queue of length 0

local BlackHole = {}
BlackHole.__index = BlackHole

local function is_v6(host)
  return host:find(":", 1, true) ~= nil
end

local function new_socket(host)
  return assert((is_v6(host) and socket.tcp6 or socket.tcp4)())
end

---@param host string
---@param port integer|nil any free one
---@return table port
function M.open(host, port)
  local listener = new_socket(host)
  assert(listener:bind(host, port or 0))
  assert(listener:listen(0))
  local _, bound = listener:getsockname()
  local self = setmetatable({ listener = listener, port = tonumber(bound), fillers = {} },
    BlackHole)
  for i = 1, ENOUGH do
    local filler = new_socket(host)
    filler:settimeout(0)
    filler:connect(host, self.port)
    self.fillers[i] = filler
  end
  process.wait_until("the queue is full", function()
    local _, writable = socket.select(nil, self.fillers, 0)
    return #writable >= 1
  end)
  return self
end

function BlackHole:close()
  for _, filler in ipairs(self.fillers) do
    filler:close()
  end
  self.listener:close()
end

return M
