--- What of Moongate's surface gives Futures, as the declarations in lua/moongate/api say: the types
--- of what scripts call, for core/awaits/scan.lua.
---
--- A type is the text of LuaLS: "moongate.Future", "moongate.Context", "string?".
local M = {}

local FUTURE = "moongate.Future"
M.FUTURE = FUTURE

---@class moongate.awaits.Surface
---@field classes table<string, table<string, moongate.docs.Item>> class -> member -> declaration
---@field aliases table<string, string> name -> type

local function plain(type)
  return type and (type:gsub("%b<>", ""))
end

-- "fun(...)", also of "async fun(...)".
local function without_async(type)
  return (type:gsub("^async%s+", ""))
end

-- The class whose members the variables of a page's file declare.
local function add_page(surface, page)
  local owners = {}
  for _, entry in ipairs(page.entries) do
    local item = entry.item
    if item.kind == "class" and item.variable then
      owners[item.variable] = item.name
    elseif item.kind == "alias" then
      surface.aliases[item.name] = item.type
    end
    local members = surface.classes[item.kind == "class" and item.name or owners[item.owner]]
    if item.kind == "class" then
      members = members or {}
      surface.classes[item.name] = members
      for _, field in ipairs(item.params) do
        members[field.name] = { kind = "field", type = field.type }
      end
    elseif members then
      members[item.name:match("[%w_]+$")] = item
    end
  end
end

---@param reference moongate.docs.Reference
---@return moongate.awaits.Surface
function M.of(reference)
  local surface = { classes = {}, aliases = {} }
  for _, page in ipairs(reference.pages) do
    add_page(surface, page)
  end
  return surface
end

--- What a class has under a name; nil if it has none, or is not of the surface.
---@return moongate.docs.Item?
function M.member(surface, class, name)
  local members = surface.classes[class]
  return members and members[name]
end

--- The type of what a call of `item` gives first.
---@return string?
function M.result(item)
  local first = item.returns and item.returns[1]
  return first and plain(first.type)
end

--- The type of a field.
---@return string?
function M.field_type(item)
  return item.kind == "field" and plain(item.type) or nil
end

-- "fun(...)" behind a type, if it is that of a function.
local function as_function(surface, type)
  local first = type:match("^[^|]+")
  local target = without_async(surface.aliases[first] or first)
  return target:sub(1, 4) == "fun(" and target or nil
end

-- What is left out stands before the last function.
local function last_function(surface, item)
  for i = #item.params, 1, -1 do
    if as_function(surface, item.params[i].type) then
      return item.params[i]
    end
  end
end

-- Whether a function of this type answers a request by what it returns.
local function answers(type)
  return type:find("^moongate%.Handler") ~= nil or type:find("^moongate%.Middleware") ~= nil
end

--- What a function given as an argument gets, and whether what it returns is an answer.
---@param position integer of the argument
---@param is_last boolean no argument is behind it
---@return string[] types of its parameters
---@return boolean answers
function M.callback(surface, item, position, is_last)
  local param = is_last and last_function(surface, item) or item.params[position]
  local text = param and as_function(surface, param.type)
  local types = {}
  for type in (text and text:match("^fun(%b())") or ""):gmatch("[%w_]+:%s*([%w_.]+)") do
    types[#types + 1] = type
  end
  return types, text ~= nil and answers(param.type)
end

--- Whether it may be called for what a function does that it is given.
function M.takes_function(item)
  for _, param in ipairs(item.params) do
    if without_async(param.type):find("^fun[ct(]") then
      return true
    end
  end
  return false
end

local DATA = {
  string = true, number = true, integer = true, boolean = true, table = true, ["nil"] = true,
}

--- Whether an argument is wanted as a value, not as a Future of it. Where any will do, what is
--- called a value is one, and what stands behind a statement.
function M.wants_value(item, position)
  local param = item.params[position] or item.params[#item.params]
  if not param or param.name ~= "..." and not item.params[position] then
    return false
  elseif param.type == "any" then
    return param.name == "value" or param.name == "..." and item.params[1].name == "sql"
  end
  for word in param.type:gmatch("[%a_.]+") do
    if not DATA[word] then
      return false
    end
  end
  return true
end

return M
