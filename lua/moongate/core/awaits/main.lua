--- What src/lua/awaits.c runs: the forgotten awaits of a project's scripts.
local reference = require("moongate.core.docs.reference")
local surfaces = require("moongate.core.awaits.surface")
local scan = require("moongate.core.awaits.scan")

local M = {}

local surface

--- The forgotten awaits of a script, each a line of text with its end; "" if there are none.
---@param path string as people know it
---@param text string
---@return string lines "file:line: what"
function M.read(path, text)
  surface = surface or surfaces.of(reference.load())
  local lines = {}
  local findings, why = scan.find(surface, text)
  for i, finding in ipairs(findings) do
    lines[i] = ("%s:%d: %s\n"):format(path, finding.line, finding.text)
  end
  if why then
    lines[1] = path .. ":" .. why .. ": not looked at for forgotten awaits\n"
  end
  return table.concat(lines)
end

return M
