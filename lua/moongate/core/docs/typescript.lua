--- The declarations for TypeScript (moongate.d.ts), made of the same comments as the reference.
--- They are for TypeScriptToLua, which makes Lua of scripts that are written in TypeScript.
local types = require("moongate.core.docs.types")

local M = {}

local HEAD = [[
// What scripts of Moongate may use, for TypeScriptToLua. Made by `moongate docs --types`.
]]

-- A class whose members are a module's own: what `require` gives.
local MODULES = { ["moongate"] = "moongate", ["moongate.test"] = "moongate.test" }

-- Under the name Future TypeScript knows more than the class (prelude.d.ts).
local RENAMED = { ["moongate.Future"] = "FutureOf" }

-- --- classes, gathered from all pages ---

---@class moongate.docs.Class
---@field name string "moongate.Context"
---@field item moongate.docs.Item of its first declaration
---@field fields table[]
---@field members moongate.docs.Item[]

local function class_of(module, item)
  local class = module.by_name[item.name]
  if not class then
    class = { name = item.name, item = item, fields = {}, members = {} }
    module.by_name[item.name] = class
    module.classes[#module.classes + 1] = class
  end
  for _, field in ipairs(item.params) do
    class.fields[#class.fields + 1] = field
  end
  return class
end

local function take_page(module, page)
  local owners = {}
  for _, entry in ipairs(page.entries) do
    local item = entry.item
    if item.kind == "class" then
      local class = class_of(module, item)
      owners[item.variable or ""] = class
    elseif item.kind == "alias" then
      module.aliases[#module.aliases + 1] = item
    elseif owners[item.owner] then
      table.insert(owners[item.owner].members, item)
    end
  end
end

local function new_module(name)
  return { name = name, classes = {}, by_name = {}, aliases = {} }
end

-- --- names ---

-- What a module calls a class. Where the class is another module's, that is imported as `moongate`.
local function namer(module, other)
  return function(name)
    local short = name:match("([%w_]+)$")
    if not name:find("^moongate%.") then
      return name
    elseif other and not module.by_name[name] then
      return "moongate." .. short
    end
    return short
  end
end

local function interface_of(class)
  return RENAMED[class.name] or class.name:match("([%w_]+)$")
end

-- --- text ---

-- The prose of a comment; its examples are in Lua.
local function prose(doc)
  local text = doc:gsub("```.-```", ""):gsub("%*/", "* /"):gsub("%[([^%]]+)%]%([^)]+%)", "%1")
  return (text:gsub("\n\n\n+", "\n\n"):gsub("^%s+", ""):gsub("%s+$", ""))
end

local function add_comment(out, indent, item)
  local lines = {}
  for line in prose(item.doc):gmatch("([^\n]*)\n?") do
    lines[#lines + 1] = line
  end
  lines[#lines] = nil -- behind the last line end
  for _, param in ipairs(item.kind == "function" and item.params or {}) do
    if param.doc ~= "" and param.name ~= "..." then
      lines[#lines + 1] = "@param " .. types.parameter(param.name) .. " " .. prose(param.doc)
    end
  end
  local first = item.returns[1]
  if first and first.doc ~= "" and first.doc ~= "self" then
    lines[#lines + 1] = "@returns " .. prose(first.doc)
  end
  if #lines == 0 then
    return
  end
  out[#out + 1] = indent .. "/**"
  for _, line in ipairs(lines) do
    out[#out + 1] = (indent .. " * " .. line):gsub("%s+$", "")
  end
  out[#out + 1] = indent .. " */"
end

-- --- functions ---

local Writer = {}
Writer.__index = Writer

function Writer:type(text)
  return types.translate(text, self.name_of)
end

-- A type parameter for what must not be, or have in it, a Future that nobody awaited.
local function checked(generics, name)
  generics[#generics + 1] = name
  return name .. " & Settled<" .. name .. ">"
end

function Writer:parameter(param, optional, generics)
  if param.name == "..." then
    return "...args: (" .. self:type(param.type) .. ")[]"
  end
  local type
  if param.type == "any" and self.settles then
    type = checked(generics, ("V%d"):format(#generics + 1))
  elseif param.type == "moongate.Handler" then
    generics[#generics + 1] = "R extends Returned"
    type = "Handler<R>"
  else
    type = self:type(param.type)
  end
  return types.parameter(param.name) .. (optional and "?" or "") .. ": " .. type
end

function Writer:returned(item)
  if #item.returns == 1 then
    local piece = item.returns[1].type:match("fun%(%): (.*)%?$")
    if piece then
      return "LuaIterable<" .. self:type(piece) .. ">" -- an iterator: for (const piece of ...)
    end
  end
  local list = {}
  for i, value in ipairs(item.returns) do
    list[i] = self:type(value.type)
  end
  return types.returned(list)
end

-- The position of the last parameter that is wanted: what may be left out in front of it is an
-- overload's.
local function last_wanted(params)
  for i = #params, 1, -1 do
    if not params[i].optional and params[i].name ~= "..." then
      return i
    end
  end
  return 0
end

function Writer:signature(item, name, without)
  local generics, params = {}, {}
  if not item.name:find(":") then
    params[1] = "this: void"
  end
  local last = last_wanted(item.params)
  for i, param in ipairs(item.params) do
    local in_front = param.optional and i < last
    if not (in_front and without) then
      params[#params + 1] = self:parameter(param, param.optional and not in_front, generics)
    end
  end
  return ("%s%s(%s): %s;"):format(name, #generics > 0 and "<" .. table.concat(generics, ", ") .. ">"
    or "", table.concat(params, ", "), self:returned(item))
end

local function leaves_out(item)
  local last = last_wanted(item.params)
  for i, param in ipairs(item.params) do
    if param.optional and i < last then
      return true
    end
  end
  return false
end

local function own_name(item)
  return item.name:match("([%w_]+)$")
end

-- A function or a field, of an interface or (`prefix`) of a module.
function Writer:member(item, in_module)
  local indent = in_module and "  export " or "    "
  add_comment(self.out, in_module and "  " or "    ", item)
  local function add(text)
    self.out[#self.out + 1] = indent .. text
  end
  local keyword = in_module and "function " or ""
  if #item.typescript > 0 then
    for _, text in ipairs(item.typescript) do
      add((item.kind == "function" and keyword or "") .. text .. ";")
    end
  elseif item.kind == "field" then
    add((in_module and "const " or "readonly ") .. own_name(item) .. ": " .. self:type(item.type)
      .. ";")
  else
    if leaves_out(item) then
      add(self:signature(item, keyword .. own_name(item), true))
    end
    add(self:signature(item, keyword .. own_name(item), false))
  end
end

-- --- classes ---

function Writer:field(field)
  local type = self:type(field.type)
  local optional = field.optional
  if type:find(" | undefined$") then
    optional, type = true, type:gsub(" | undefined$", "")
  end
  if field.doc ~= "" then
    self.out[#self.out + 1] = "    /** " .. prose(field.doc) .. " */"
  end
  self.out[#self.out + 1] = ("    %s%s: %s;"):format(field.name, optional and "?" or "", type)
end

-- What comes of an iterator at each step; nil of what is none.
local function piece_of(overloads)
  return (overloads[1] or ""):match("fun%(%): (.*)%?$")
end

-- Its name, and what it is besides its members: a list, an iterator, another class with more.
function Writer:head(class)
  local item, piece = class.item, piece_of(class.item.overloads)
  local name = interface_of(class) .. (item.generics or "")
  if item.typescript[1] then
    return item.typescript[1]
  elseif piece then
    return name .. " extends LuaIterable<" .. self:type(piece) .. ">"
  elseif not item.parent then
    return name
  end
  local list = item.parent:match("^(.*)%[%]$")
  return name .. " extends " .. (list and "Array<" .. self:type(list) .. ">"
    or self:type(item.parent))
end

function Writer:interface(class)
  add_comment(self.out, "  ", class.item)
  self.out[#self.out + 1] = "  export interface " .. self:head(class) .. " {"
  if piece_of(class.item.overloads) then
    self.out[#self.out + 1] = "    (this: void): " .. (class.item.typescript[1] and "Row"
      or self:type(piece_of(class.item.overloads))) .. " | undefined;"
  end
  for _, field in ipairs(class.fields) do
    self:field(field)
  end
  for _, item in ipairs(class.members) do
    self:member(item, false)
  end
  self.out[#self.out + 1] = "  }\n"
end

function Writer:class(class)
  if not MODULES[class.name] then
    self:interface(class)
    return
  end
  for _, item in ipairs(class.members) do
    self:member(item, true)
    self.out[#self.out + 1] = ""
  end
end

function Writer:alias(item)
  add_comment(self.out, "  ", item)
  self.out[#self.out + 1] = "  export type " .. (item.typescript[1]
    or own_name(item) .. " = " .. self:type(item.type)) .. ";\n"
end

-- --- modules ---

local function write_module(out, module, head, other)
  local writer = setmetatable({
    out = out, name_of = namer(module, other), settles = not other,
  }, Writer)
  add_comment(out, "", { doc = "@noResolution", returns = {} })
  out[#out + 1] = ('declare module "%s" {'):format(module.name)
  out[#out + 1] = head
  for _, item in ipairs(module.aliases) do
    writer:alias(item)
  end
  for _, class in ipairs(module.classes) do
    writer:class(class)
  end
  out[#out + 1] = "}\n"
end

local function read_prelude()
  local path = debug.getinfo(1, "S").source:gsub("^@", ""):gsub("typescript%.lua$", "prelude.d.ts")
  local file = assert(io.open(path, "r"))
  local text = file:read("*a")
  file:close()
  return text
end

--- The declarations.
---@param reference moongate.docs.Reference
---@return string
function M.write(reference)
  local main, test = new_module("moongate"), new_module("moongate.test")
  for _, page in ipairs(reference.pages) do
    take_page(page.id == "test" and test or main, page)
  end
  local out = { HEAD }
  write_module(out, main, read_prelude(), false)
  write_module(out, test, '  import * as moongate from "moongate";\n', true)
  return table.concat(out, "\n")
end

return M
