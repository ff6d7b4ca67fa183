--- Types as LuaLS writes them, as TypeScript writes them:
--- `table<string, string|integer>?` is `Record<string, string | number> | undefined`.
local M = {}

local NAMES = {
  string = "string", number = "number", integer = "number", boolean = "boolean",
  any = "any", userdata = "Userdata", table = "Record<string, any>", ["nil"] = "undefined",
  never = "never", ["true"] = "true", ["false"] = "false",
  ["function"] = "((this: void, ...args: any[]) => any)",
}

-- What TypeScript keeps for itself, in names of parameters.
local RESERVED = { ["function"] = true, default = true, delete = true, ["in"] = true, new = true }

--- A parameter's name.
---@param name string
---@return string
function M.parameter(name)
  return RESERVED[name] and name .. "_" or name
end

local Reader = {}
Reader.__index = Reader

function Reader:skip()
  self.at = self.text:find("%S", self.at) or #self.text + 1
end

-- What matches `pattern` here, if it does, which is read then.
function Reader:take(pattern)
  self:skip()
  local found = self.text:match("^" .. pattern, self.at)
  if found then
    self.at = self.at + #found
  end
  return found
end

function Reader:want(pattern, what)
  return self:take(pattern) or error(("%s is wanted in the type %s"):format(what, self.text), 0)
end

local read_union

local function read_list(reader, close, read_one)
  local list = {}
  while not reader:take(close) do
    list[#list + 1] = read_one(reader)
    reader:take(",")
  end
  return list
end

-- "name?: type" of a function's parameters and of a table's fields.
local function read_named(reader)
  local name = reader:want("[%w_.]+", "a name")
  local optional = reader:take("%?")
  local type = reader:take(":") and read_union(reader) or "any"
  if name == "..." then
    return "...args: (" .. type .. ")[]"
  end
  return M.parameter(name) .. (optional and "?" or "") .. ": " .. type
end

-- A function never has a `this` of its own: it is called as `fn(...)`.
local function read_function(reader)
  reader:want("%(", "(")
  local params = read_list(reader, "%)", read_named)
  table.insert(params, 1, "this: void")
  local returns = reader:take(":") and { read_union(reader) } or { "void" }
  while reader:take(",") do
    returns[#returns + 1] = read_union(reader)
  end
  return ("((%s) => %s)"):format(table.concat(params, ", "), M.returned(returns))
end

local function read_table(reader)
  reader:want("<", "<")
  local types = read_list(reader, ">", read_union)
  local key = types[1] == "any" and "string | number" or types[1]
  return ("Record<%s, %s>"):format(key, types[2])
end

-- "moongate.Future<string>"; a module's name is not part of a type's.
local function read_class(reader, name)
  local arguments = ""
  if reader:take("<") then
    arguments = "<" .. table.concat(read_list(reader, ">", read_union), ", ") .. ">"
  end
  return reader.name_of(name) .. arguments
end

local function read_primary(reader)
  if reader:take("%(") then
    local inner = read_union(reader)
    reader:want("%)", ")")
    return reader.text:find("^%[", reader.at) and inner or "(" .. inner .. ")"
  elseif reader:take("{") then
    return "{ " .. table.concat(read_list(reader, "}", read_named), "; ") .. " }"
  end
  local literal = reader:take('"[^"]*"') or reader:take("%d+")
  if literal then
    return literal
  end
  local name = reader:want("[%w_.]+", "a name")
  if name == "async" then
    name = reader:want("fun", "fun")
  end
  if name == "fun" then
    return read_function(reader)
  elseif name == "table" and reader.text:find("^%s*<", reader.at) then
    return read_table(reader)
  end
  return NAMES[name] or read_class(reader, name)
end

local function read_postfix(reader)
  local type = read_primary(reader)
  while true do
    if reader:take("%[%]") then
      type = (type:find(" | ", 1, true) and "(" .. type .. ")" or type) .. "[]"
    elseif reader.text:find("^%?", reader.at) then
      reader:take("%?")
      type = type .. " | undefined"
    else
      return type
    end
  end
end

function read_union(reader)
  local types = { read_postfix(reader) }
  while reader:take("|") do
    types[#types + 1] = read_postfix(reader)
  end
  return table.concat(types, " | ")
end

--- What a function returns, of the types of its results.
---@param types string[] of TypeScript
---@return string
function M.returned(types)
  if #types == 0 or (#types == 1 and types[1] == "undefined") then
    return "void"
  elseif #types == 1 then
    return types[1]
  end
  return "LuaMultiReturn<[" .. table.concat(types, ", ") .. "]>"
end

--- A type of LuaLS as TypeScript's. Raises a text if it cannot be understood.
---@param text string
---@param name_of fun(class: string): string what TypeScript calls a class
---@return string
function M.translate(text, name_of)
  local reader = setmetatable({ text = text, at = 1, name_of = name_of }, Reader)
  local type = read_union(reader)
  reader:skip()
  if reader.at <= #text then
    error(("the type %s ends at %s"):format(text, text:sub(reader.at)), 0)
  end
  return type
end

return M
