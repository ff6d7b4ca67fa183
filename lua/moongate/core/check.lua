--- Checks of arguments: each raises at the line of whoever called the public function, saying what
--- is allowed.
local missing = require("moongate.core.future.missing")
local places = require("moongate.core.places")
local suggest = require("moongate.core.suggest")
local text = require("moongate.core.text")

local null = require("moongate.native").json.null

local M = {}

local SHOWN = 100 -- bytes of a text in a message

-- The stack level of the first function outside of the framework, as error() counts it from its
-- caller's caller; 0 if there is none.
local function public_level()
  local level = places.script_level(3)
  return level and level - 1 or 0
end

--- Raises `message` at the public caller's line.
function M.fail(message)
  error(message, public_level())
end

--- "file:line" of the public caller.
---@return string
function M.caller()
  local level = public_level()
  local info = level > 0 and debug.getinfo(level, "Sl")
  return info and (info.source:gsub("^@", "") .. ":" .. info.currentline) or "?"
end

--- "file:line" where a coroutine waits: the first line outside of the framework.
---@param co thread
---@return string
function M.place_of(co)
  for level = 0, 100 do
    local info = debug.getinfo(co, level, "Sl")
    if not info then
      break
    elseif info.currentline > 0 and not places.is_framework(info.source) then
      return info.source:gsub("^@", "") .. ":" .. info.currentline
    end
  end
  return "?"
end

--- What a value is called, behind "not". One who meets null has mostly read a column that is NULL;
--- a Future says that its await is forgotten.
---@return string
local function describe(value)
  if value == null then
    return "null"
  elseif missing.is(value) or type(value) == "boolean" then
    return tostring(value)
  end
  local kind = type(value)
  if kind == "string" then
    return '"' .. (#value > SHOWN and value:sub(1, SHOWN) .. "..." or value) .. '"'
  end
  return kind == "number" and text.shown(value) or kind
end
M.describe = describe

--- The same of what may be a secret: nothing of its content.
---@return string
function M.kind(value)
  return missing.is(value) and tostring(value) or "a " .. type(value)
end

function M.type(name, value, kind)
  if type(value) ~= kind or missing.is(value) then
    M.fail(name .. ": a " .. kind .. " is wanted, not " .. describe(value))
  end
  return value
end

function M.string(name, value)
  return M.type(name, value, "string")
end

--- A folder's path; the project's own is ".".
function M.folder(name, value)
  if M.string(name, value) == "" or value:find("%z") then
    M.fail(name .. ': a folder is wanted (that of the project is ".")')
  end
  return value
end

--- Whether a table is a list: 1, 2, 3 ... and no hole. `ipairs` and `#` differ about holes.
---@param list table
---@return boolean
function M.is_list(list)
  local n = 0
  for _ in pairs(list) do
    n = n + 1
  end
  for i = 1, n do
    if list[i] == nil then
      return false
    end
  end
  return true
end

--- A list, with no hole and no other key; `of`: what it is to hold, for the message.
---@return table
function M.list(name, value, of)
  if type(value) ~= "table" or missing.is(value) or not M.is_list(value) then
    M.fail(name .. ": a list of " .. of .. " is wanted, without a hole"
      .. ((type(value) ~= "table" or missing.is(value)) and ", not " .. describe(value) or ""))
  end
  return value
end

---@return boolean
function M.is_callable(value)
  if type(value) == "table" then
    return (getmetatable(value) or {}).__call ~= nil and not missing.is(value)
  end
  return type(value) == "function"
end

function M.callable(name, value)
  if not M.is_callable(value) then
    M.fail(name .. ": a function is wanted, not " .. describe(value))
  end
  return value
end

function M.positive_integer(name, value)
  if type(value) ~= "number" or value < 1 or value % 1 ~= 0 then
    M.fail(name .. ": a positive integer is wanted, not " .. describe(value))
  end
  return value
end

--- Seconds, above 0.
function M.seconds(name, value)
  if type(value) ~= "number" or not (value > 0 and value < 1e9) then
    M.fail(name .. ": seconds are wanted, a number above 0, not " .. describe(value))
  end
  return value
end

local MOST_BYTES = 2 ^ 53 -- what lies beyond fits into no size of C
local UNITS = { [""] = 1, K = 1024, M = 1024 ^ 2, G = 1024 ^ 3, T = 1024 ^ 4 }

--- Bytes: an integer, or text such as "64K", "16M", "1T", as in the configuration.
---@return integer
function M.size(name, value)
  local bytes
  if type(value) == "number" and value >= 0 and value % 1 == 0 then
    bytes = value
  elseif type(value) == "string" then
    local digits, unit = value:match("^(%d+)([KMGTkmgt]?)$")
    bytes = digits and tonumber(digits) * UNITS[unit:upper()]
  end
  if not bytes or bytes > MOST_BYTES then
    M.fail(name .. ': a size is wanted, bytes or "64K", "16M", "1T", not ' .. describe(value))
  end
  return bytes
end

--- The same of what may have no bound: false is the largest there is.
---@return integer
function M.bound(name, value)
  return value == false and MOST_BYTES or M.size(name, value)
end

--- The keys of `set` as text, sorted.
---@return string[]
function M.names(set)
  local names = {}
  for key in pairs(set) do
    names[#names + 1] = tostring(key)
  end
  table.sort(names)
  return names
end

--- One of the keys of `allowed`.
function M.one_of(name, value, allowed)
  if allowed[value] == nil then
    local names = M.names(allowed)
    M.fail(name .. ": " .. describe(value) .. " is unknown, allowed are "
      .. (names[1] and table.concat(names, ", ") or "none") .. suggest.for_name(value, allowed))
  end
  return value
end

--- A table whose keys are all in `allowed` (key -> check function(name, value) -> value, or true).
--- Returns a checked copy.
function M.options(name, options, allowed)
  M.type(name, options, "table")
  local copy = {}
  for key, value in pairs(options) do
    M.one_of(name, key, allowed)
    local check = allowed[key]
    copy[key] = type(check) == "function" and check(name .. "." .. tostring(key), value) or value
  end
  return copy
end

return M
