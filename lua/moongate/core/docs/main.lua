--- What src/lua/docs.c runs: `moongate help NAME` and `moongate docs`.
local reference = require("moongate.core.docs.reference")
local help = require("moongate.core.docs.help")
local settings = require("moongate.core.docs.settings")
local site = require("moongate.core.docs.site")
local typescript = require("moongate.core.docs.typescript")
local json = require("moongate.native").json -- all that is there of it

local M = {}

-- What C knows, and what is written of it here.
local function facts_of(given, loaded)
  local facts = json.decode(given)
  settings.complete(facts.settings, loaded.settings)
  return facts
end

--- The text of an entry; or nil, and a line that says what is wrong.
---@param facts string JSON: { version, settings, commands }
---@param name string
---@return string?, string?
function M.help(facts, name)
  local loaded = reference.load()
  return help.of(loaded, facts_of(facts, loaded), name)
end

--- The declarations for TypeScript.
---@return string
function M.types()
  return typescript.write(reference.load())
end

--- Writes the reference below a folder, which exists with its three folders.
---@param facts string
---@param folder string
function M.write(facts, folder)
  local loaded = reference.load()
  site.write(folder, loaded, facts_of(facts, loaded))
end

return M
