--- A stubbed file in pieces.
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

--- What replaces file_chunks: a stubbed file in pieces.
function M.file_chunks(invoke, is_ours, original)
  return function(scope, level, path, options)
    if not is_ours("file_chunks", path, options) then
      return original(scope, level, path, options)
    end
    local future = invoke("file_chunks", scope, level + 1, path, options)
    local piece = options and tonumber(options.piece) or 65536
    return setmetatable({ future = future, piece = piece, at = 1, closed = false }, Chunks)
  end
end

return M
