--- A stubbed file in pieces: what file_chunks gives.
local M = {}

local Chunks = {}
Chunks.__index = Chunks

function Chunks:__call()
  if self.closed then
    return nil
  end
  self.text = self.text or self.future:await()
  local piece = self.text:sub(self.at, self.at + self.piece - 1)
  self.at = self.at + #piece
  return piece ~= "" and piece or nil
end

function Chunks:close()
  self.closed = true
end

---@param future moongate.Future of the content
---@param options table? as of file_chunks
function M.new(future, _, options)
  local piece = options and tonumber(options.piece) or 65536
  return setmetatable({ future = future, piece = piece, at = 1, closed = false }, Chunks)
end

return M
