--- The error log: moongate.log.debug/info/warn/error(message, fields).
local native = require("moongate.native")
local errors = require("moongate.core.errors")
local suggest = require("moongate.core.suggest")

local show = errors.show

local M = {}

local LEVELS = native.constants.log_levels

-- Fields as C wants them: key, text, whether the text is JSON as it stands; sorted by key.
local function flatten(fields)
  if fields == nil then
    return nil
  end
  local names, values = {}, {}
  for key, value in next, fields do
    local name = show(key)
    names[#names + 1] = name
    values[name] = value
  end
  table.sort(names)
  local list = {}
  for _, name in ipairs(names) do
    local value = values[name]
    local ok, encoded = false, nil
    if type(value) ~= "string" then
      ok, encoded = pcall(native.json.encode, value)
    end
    list[#list + 1] = name
    list[#list + 1] = ok and encoded or show(value)
    list[#list + 1] = ok
  end
  return list
end

local function write(level, message, fields)
  native.log(level, show(message), flatten(fields))
end

local function check_fields(name, message, fields)
  if type(message) == "table" and type(fields) == "string" then
    error(("call it with a dot: log.%s(message, fields)"):format(name), 3)
  elseif fields ~= nil and type(fields) ~= "table" then
    error("log." .. name .. ": fields are a table such as { user = 7 }", 3)
  end
end

for name, level in pairs(LEVELS) do
  M[name] = function(message, fields)
    check_fields(name, message, fields)
    write(level, message, fields)
  end
end

local CLOSED = getmetatable(suggest.close({ debug = 1, info = 1, warn = 1, error = 1 }, "ctx.log"))

--- A log whose lines all carry `extra` fields.
---@param extra fun(): table
function M.with(extra)
  local log = {}
  for name, level in pairs(LEVELS) do
    log[name] = function(message, fields)
      check_fields(name, message, fields)
      local all = extra()
      for key, value in next, fields or {} do
        all[key] = value
      end
      write(level, message, all)
    end
  end
  return setmetatable(log, CLOSED)
end

--- `print` of app code.
function M.print(...)
  local parts = {}
  for i = 1, select("#", ...) do
    parts[i] = show((select(i, ...)))
  end
  write(LEVELS.info, table.concat(parts, "\t"))
end

--- A failure with its stitched traceback.
function M.failure(message, err, fields)
  if errors.code(err) == "cancelled" then
    message = message .. ", for it awaited a Future that was cancelled, made at the line named here"
  end
  write(LEVELS.error, message .. ": " .. errors.describe(err), fields)
end

return M
