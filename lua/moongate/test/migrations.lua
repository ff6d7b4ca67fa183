--- The .sql files of a project, run in the database of a spec.
local native = require("moongate.native")
local database = require("moongate.database")

local M = {}

local function run_file(file)
  for _, sql in ipairs(file.statements) do
    local _, err = database.open():query(sql):try_await()
    if err then
      error(file.path .. ": " .. err.message, 0)
    end
  end
end

---@param app moongate.test.App
---@param folder string
---@param url string? of the database
function M.run(app, folder, url)
  local files = native.test_migrations(folder, (url or ""):find("^postgres") ~= nil)
  app:run(function()
    for _, file in ipairs(files) do
      run_file(file)
    end
  end)
  app.calls = {}
end

return M
