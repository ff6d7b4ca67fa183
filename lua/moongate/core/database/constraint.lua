--- What a broken constraint is about, told alike for all kinds of databases: `constraint` (which
--- kind), `table`, `columns`, and `constraint_name` as far as it has one.
local array = require("moongate.native").json.array

local M = {}

local OF_SQLSTATE = {
  ["23505"] = "unique", ["23503"] = "foreign_key", ["23514"] = "check", ["23502"] = "not_null",
  ["23P01"] = "exclusion",
}
local OF_WORDS = {
  UNIQUE = "unique", ["FOREIGN KEY"] = "foreign_key", CHECK = "check", ["NOT NULL"] = "not_null",
}

-- "a, b" as { "a", "b" }.
local function names_in(text)
  local list = array()
  for name in (text .. ", "):gmatch("(.-), ") do
    list[#list + 1] = name
  end
  return list
end

-- PostgreSQL's fields are there; the columns of a key are told in the detail alone:
-- "Key (a, b)=(1, 2) already exists."
local function complete_postgres(fields)
  fields.constraint = OF_SQLSTATE[fields.sqlstate]
  local key = (fields.detail or ""):match("^Key %((.-)%)=")
  fields.columns = key and names_in(key) or fields.column and array({ fields.column }) or nil
end

-- SQLite says all in its message: "UNIQUE constraint failed: users.name, users.team"; of a check
-- its name, of a foreign key nothing.
local function complete_sqlite(fields, message)
  local words, rest = message:gsub(', in ".*$', ""):match("^(%u[%u ]*) constraint failed:? ?(.*)$")
  fields.constraint = OF_WORDS[words]
  local index = (rest or ""):match("^index '(.*)'$")
  if fields.constraint == "check" or index then
    fields.constraint_name = index or rest
  elseif rest and rest ~= "" then
    local columns = names_in(rest)
    for i, column in ipairs(columns) do
      fields.table, columns[i] = column:match("^(.*)%.(.-)$")
    end
    fields.columns = columns
  end
end

--- Adds to the fields of a fault of code "database" that has the message.
---@param fields table
---@param message string
function M.complete(fields, message)
  if fields.reason ~= "constraint" then
    return
  elseif fields.sqlstate then
    complete_postgres(fields)
  else
    complete_sqlite(fields, message)
  end
end

return M
