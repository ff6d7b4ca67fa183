--- Fields of a head as scripts have them: a table by name, looked up without regard to case.
local rawget, type = rawget, type

local M = {}

local function look_up(headers, name)
  if type(name) == "string" then
    return rawget(headers, name:lower())
  end
end

local ANY_CASE = { __index = look_up }

--- Makes `headers`, whose names are in lower case, be looked up without regard to case.
---@param headers table<string, string>
---@return table<string, string> headers
function M.any_case(headers)
  return setmetatable(headers, ANY_CASE)
end

local closed = {} -- by what is said: a metatable

--- The same of fields that a script has no use in adding to: `refusal` says what to do instead.
---@param headers table<string, string>
---@param refusal string
---@return table<string, string> headers
function M.read_only(headers, refusal)
  local meta = closed[refusal]
  if not meta then
    meta = {
      __index = look_up,
      __newindex = function()
        error(refusal, 2)
      end,
    }
    closed[refusal] = meta
  end
  return setmetatable(headers, meta)
end

--- A copy of what a script gave, in any case, to be looked up so.
---@param given table?
function M.lowered(given)
  local headers = {}
  for name, value in pairs(given or {}) do
    headers[tostring(name):lower()] = value
  end
  return M.any_case(headers)
end

--- A copy without the fields in `unwanted`, a set of names in lower case.
---@param headers table? as a script gave them
function M.without(headers, unwanted)
  local kept = {}
  for name, value in pairs(headers or {}) do
    if not unwanted[type(name) == "string" and name:lower()] then
      kept[name] = value
    end
  end
  return kept
end

return M
