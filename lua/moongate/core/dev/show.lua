--- Values as a person at a prompt wants to see them.
local errors = require("moongate.core.errors")

local M = {}

local DEPTH, ENTRIES = 4, 200 -- shown of a table

local function rank(key)
  return type(key) == "number" and 1 or type(key) == "string" and 2 or 3
end

local function before(a, b)
  if rank(a) ~= rank(b) then
    return rank(a) < rank(b)
  elseif rank(a) < 3 then
    return a < b
  end
  return errors.show(a) < errors.show(b)
end

local function quoted(text)
  return '"' .. text:gsub('[%c"\\]', function(c)
    return ({ ["\n"] = "\\n", ["\t"] = "\\t", ['"'] = '\\"', ["\\"] = "\\\\" })[c]
      or ("\\%d"):format(c:byte())
  end) .. '"'
end

local function key_text(key, n)
  if key == n then
    return ""
  elseif type(key) == "string" and key:find("^[%a_][%w_]*$") then
    return key .. " = "
  end
  return "[" .. (type(key) == "string" and quoted(key) or errors.show(key)) .. "] = "
end

local shown

local function entries_of(value, indent, seen)
  local keys = {}
  for key in next, value do
    keys[#keys + 1] = key
  end
  table.sort(keys, before)
  local lines = {}
  for n, key in ipairs(keys) do
    if n > ENTRIES then
      lines[n] = indent .. "... and " .. #keys - ENTRIES .. " more"
      break
    end
    lines[n] = indent .. key_text(key, n) .. shown(rawget(value, key), indent .. "  ", seen) .. ","
  end
  return lines
end

function shown(value, indent, seen)
  if type(value) == "string" then
    return quoted(value)
  elseif type(value) ~= "table" or (debug.getmetatable(value) or {}).__tostring then
    return errors.show(value)
  elseif seen[value] or #indent > 2 * DEPTH then
    return seen[value] and "{ it is in itself }" or "{ ... }"
  elseif next(value) == nil then
    return "{}"
  end
  seen[value] = true
  local text = "{\n" .. table.concat(entries_of(value, indent, seen), "\n") .. "\n"
    .. indent:sub(3) .. "}"
  seen[value] = nil
  return text
end

--- Tables with their entries, sorted, some levels deep; texts in quotes.
---@param value any
---@return string
function M.value(value)
  return shown(value, "  ", {})
end

return M
