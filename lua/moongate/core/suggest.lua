--- "did you mean": the nearest of the names that there are.
local M = {}

local function is_swap(a, b, i, j)
  return i > 1 and j > 1 and a:byte(i) == b:byte(j - 1) and a:byte(i - 1) == b:byte(j)
end

local GIVEN_UP = 4

-- Edit distance (Damerau-Levenshtein: neighbours that swapped count once), given up beyond 3.
local function distance(a, b)
  if math.abs(#a - #b) >= GIVEN_UP then
    return GIVEN_UP
  end
  local older, old = nil, {}
  for j = 0, #b do
    old[j] = j
  end
  for i = 1, #a do
    local row = { [0] = i }
    for j = 1, #b do
      local cost = a:byte(i) == b:byte(j) and 0 or 1
      row[j] = math.min(old[j] + 1, row[j - 1] + 1, old[j - 1] + cost)
      if is_swap(a, b, i, j) then
        row[j] = math.min(row[j], older[j - 2] + 1)
      end
    end
    older, old = old, row
  end
  return old[#b]
end

local SHORTEST, ENDING = 3, 3

-- A key that `name` only adds an ending to: "warning" to "warn".
local function shorter(name, ...)
  for ending = 1, math.min(ENDING, #name - SHORTEST) do
    local key = name:sub(1, -1 - ending)
    for _, names in ipairs({ ... }) do
      if rawget(names, key) ~= nil then
        return key
      end
    end
  end
end

--- The nearest key of the tables to `name`, or nil if none is near.
---@return string?
function M.nearest(name, ...)
  local best, best_distance
  name = tostring(name)
  for _, names in ipairs({ ... }) do
    for key in pairs(names) do
      local d = distance(name, tostring(key))
      local most = math.min(GIVEN_UP - 1, math.max(1, math.floor(#name / 3)))
      if d <= most and (not best or d < best_distance
        or (d == best_distance and tostring(key) < best)) then
        best, best_distance = tostring(key), d
      end
    end
  end
  return best or shorter(name, ...)
end

--- The key of `names` that `name` misses by one letter, or by two that are swapped.
---@return string?
function M.slip(name, names)
  for key in pairs(names) do
    if key ~= name and distance(name, key) == 1 then
      return key
    end
  end
end

--- ": did you mean 'x'?" or "".
---@return string
function M.for_name(name, ...)
  local near = M.nearest(name, ...)
  return near and (" (did you mean '" .. near .. "'?)") or ""
end

--- Whoever asks for a name that `names` has not is told of the nearest one. What begins with "_"
--- may be asked for.
---@generic T: table
---@param names T a table that scripts index, or the class of what they index
---@param what string "moongate"
---@param getters table<string, fun(): any>? further names, whose values are made when asked for
---@return T names
function M.close(names, what, getters)
  getters = getters or {}
  return setmetatable(names, {
    __index = function(_, key)
      local getter = getters[key]
      if getter then
        return getter()
      elseif type(key) ~= "string" or key:sub(1, 1) ~= "_" then
        error(what .. " has no '" .. tostring(key) .. "'" .. M.for_name(key, names, getters), 2)
      end
    end,
  })
end

return M
