--- Lua as a tree, for core/awaits/scan.lua: which local a name means, and nothing that only a
--- compiler needs.
---
--- An expression is a table with `tag` and `line`:
---
---   local { var } · global { name } · function { params, body } · index { object, key }
---   call { fn, args } · method { object, name, args } · binary { op, left, right }
---   unary { op, operand } · table { items = { { key, value } } } · paren { inner }
---   constant { value: of strings } · vararg
---
--- A statement likewise: local { vars, values } · set { targets, values } · call { call }
--- do { body } · while, repeat { condition, body } · if { clauses = { { condition, body } } }
--- numeric { var, bounds, body } · iterate { vars, values, body } · return { values } · jump
local lexer = require("moongate.core.awaits.lexer")

local M = {}

jit.off(true, true) -- so much branching costs more to compile than it saves

---@class moongate.awaits.Var a local or a parameter
---@field name string
---@field fn table the function that declares it
---@field sets integer how often it is assigned to
---@field set_elsewhere boolean some other function assigns to it

-- Left and right: how tightly an operator binds on each side, as in Lua's manual (2.5.6).
local LEFT = {
  ["or"] = 1, ["and"] = 2, ["<"] = 3, [">"] = 3, ["<="] = 3, [">="] = 3, ["~="] = 3, ["=="] = 3,
  [".."] = 5, ["+"] = 6, ["-"] = 6, ["*"] = 7, ["/"] = 7, ["%"] = 7, ["^"] = 10,
}
local RIGHT = { [".."] = 4, ["^"] = 9 }
local UNARY = { ["not"] = true, ["-"] = true, ["#"] = true }
local UNARY_BINDS = 8

local ENDS_BLOCK = {
  ["end"] = true, ["else"] = true, ["elseif"] = true, ["until"] = true, eof = true,
}

local expression, block, function_body -- below

-- --- tokens ---

local function fail(p, what)
  error({ line = p.tokens.line[p.at], what = what }, 0)
end

local function kind(p)
  return p.tokens.kind[p.at]
end

local function line(p)
  return p.tokens.line[p.at]
end

-- Steps over a token of this kind, if it is one.
local function take(p, wanted)
  if p.tokens.kind[p.at] == wanted then
    p.at = p.at + 1
    return true
  end
  return false
end

local function expect(p, wanted)
  if not take(p, wanted) then
    fail(p, "'" .. wanted .. "' is wanted, not '" .. kind(p) .. "'")
  end
end

local function take_name(p)
  local name = p.tokens.value[p.at]
  expect(p, "name")
  return name
end

-- --- locals ---

local function declare(p, name)
  local var = {
    name = name, fn = p.fn, sets = 0, set_elsewhere = false,
    before = p.last, shadowed = p.visible[name],
  }
  p.last, p.visible[name] = var, var
  return var
end

-- Nothing that was declared behind `last` is known any more.
local function forget_behind(p, last)
  while p.last ~= last do
    p.visible[p.last.name] = p.last.shadowed
    p.last = p.last.before
  end
end

local function scoped_block(p)
  local last = p.last
  local body = block(p)
  forget_behind(p, last)
  return body
end

local function note_set(p, target)
  if target.tag == "local" then
    local var = target.var
    var.sets = var.sets + 1
    var.set_elsewhere = var.set_elsewhere or var.fn ~= p.fn
  end
end

-- --- expressions ---

local function name_node(p)
  local at, name = line(p), take_name(p)
  local var = p.visible[name]
  if var then
    return { tag = "local", var = var, line = at }
  end
  return { tag = "global", name = name, line = at }
end

local function expression_list(p)
  local list = { expression(p) }
  while take(p, ",") do
    list[#list + 1] = expression(p)
  end
  return list
end

local function table_item(p)
  if take(p, "[") then
    local key = expression(p)
    expect(p, "]")
    expect(p, "=")
    return { key = key, value = expression(p) }
  elseif kind(p) == "name" and p.tokens.kind[p.at + 1] == "=" then
    local key = { tag = "constant", value = p.tokens.value[p.at], line = line(p) }
    p.at = p.at + 2
    return { key = key, value = expression(p) }
  end
  return { value = expression(p) }
end

local function table_constructor(p)
  local node = { tag = "table", items = {}, line = line(p) }
  expect(p, "{")
  while not take(p, "}") do
    node.items[#node.items + 1] = table_item(p)
    if not (take(p, ",") or take(p, ";")) then
      expect(p, "}")
      break
    end
  end
  return node
end

local function constant(p)
  local node = { tag = "constant", value = p.tokens.value[p.at], line = line(p) }
  p.at = p.at + 1
  return node
end

local SIMPLE = {
  string = constant, number = constant, ["nil"] = constant, ["true"] = constant,
  ["false"] = constant, ["{"] = table_constructor,
}

SIMPLE["..."] = function(p)
  p.at = p.at + 1
  return { tag = "vararg", line = p.tokens.line[p.at - 1] }
end

SIMPLE["function"] = function(p)
  p.at = p.at + 1
  return function_body(p)
end

local function arguments(p)
  if kind(p) == "string" then
    return { constant(p) }
  elseif kind(p) == "{" then
    return { table_constructor(p) }
  end
  expect(p, "(")
  if take(p, ")") then
    return {}
  end
  local list = expression_list(p)
  expect(p, ")")
  return list
end

local SUFFIXES = {}

SUFFIXES["."] = function(p, object)
  p.at = p.at + 1
  local at = line(p)
  local key = { tag = "constant", value = take_name(p), line = at }
  return { tag = "index", object = object, key = key, line = at }
end

SUFFIXES["["] = function(p, object)
  local at = line(p)
  p.at = p.at + 1
  local key = expression(p)
  expect(p, "]")
  return { tag = "index", object = object, key = key, line = at }
end

SUFFIXES[":"] = function(p, object)
  p.at = p.at + 1
  local at, name = line(p), take_name(p)
  return { tag = "method", object = object, name = name, args = arguments(p), line = at }
end

local function call(p, fn)
  local at = line(p)
  return { tag = "call", fn = fn, args = arguments(p), line = at }
end

SUFFIXES["("], SUFFIXES["{"], SUFFIXES.string = call, call, call

local function suffixed(p)
  local node
  if kind(p) == "(" then
    local at = line(p)
    p.at = p.at + 1
    node = { tag = "paren", inner = expression(p), line = at }
    expect(p, ")")
  else
    node = name_node(p)
  end
  local suffix = SUFFIXES[kind(p)]
  while suffix do
    node = suffix(p, node)
    suffix = SUFFIXES[kind(p)]
  end
  return node
end

local function operand(p)
  local at, op = line(p), kind(p)
  if UNARY[op] then
    p.at = p.at + 1
    return { tag = "unary", op = op, operand = expression(p, UNARY_BINDS), line = at }
  end
  local simple = SIMPLE[op]
  if simple then
    return simple(p)
  end
  return suffixed(p)
end

-- What binds more tightly than `limit`.
function expression(p, limit)
  local left = operand(p)
  local op = kind(p)
  while LEFT[op] and LEFT[op] > (limit or 0) do
    local at = line(p)
    p.at = p.at + 1
    left = {
      tag = "binary", op = op, left = left, right = expression(p, RIGHT[op] or LEFT[op]), line = at,
    }
    op = kind(p)
  end
  return left
end

local function parameters(p, fn)
  expect(p, "(")
  while not take(p, ")") do
    if not take(p, "...") then
      fn.params[#fn.params + 1] = declare(p, take_name(p))
    end
    if not take(p, ",") then
      expect(p, ")")
      break
    end
  end
end

-- From the "(" on. `method`: it has a self.
function function_body(p, method)
  local fn = { tag = "function", params = {}, line = line(p) }
  local last, outer = p.last, p.fn
  p.fn = fn
  if method then
    fn.params[1] = declare(p, "self")
  end
  parameters(p, fn)
  fn.body = block(p)
  expect(p, "end")
  forget_behind(p, last)
  p.fn = outer
  return fn
end

-- --- statements ---

local STATEMENTS = {}

local function do_block(p)
  expect(p, "do")
  local body = scoped_block(p)
  expect(p, "end")
  return body
end

STATEMENTS["do"] = function(p)
  return { tag = "do", body = do_block(p) }
end

STATEMENTS["while"] = function(p)
  p.at = p.at + 1
  local condition = expression(p)
  return { tag = "while", condition = condition, body = do_block(p) }
end

STATEMENTS["repeat"] = function(p)
  local last = p.last
  p.at = p.at + 1
  local body = block(p)
  expect(p, "until")
  local condition = expression(p) -- which sees the locals of the body
  forget_behind(p, last)
  return { tag = "repeat", condition = condition, body = body }
end

STATEMENTS["if"] = function(p)
  local node = { tag = "if", clauses = {} }
  repeat
    p.at = p.at + 1
    local condition = expression(p)
    expect(p, "then")
    node.clauses[#node.clauses + 1] = { condition = condition, body = scoped_block(p) }
  until kind(p) ~= "elseif"
  if take(p, "else") then
    node.clauses[#node.clauses + 1] = { body = scoped_block(p) }
  end
  expect(p, "end")
  return node
end

local function numeric(p, name)
  expect(p, "=")
  local bounds = expression_list(p)
  local last = p.last
  local var = declare(p, name)
  local body = do_block(p)
  forget_behind(p, last)
  return { tag = "numeric", var = var, bounds = bounds, body = body }
end

STATEMENTS["for"] = function(p)
  p.at = p.at + 1
  local names = { take_name(p) }
  if kind(p) == "=" then
    return numeric(p, names[1])
  end
  while take(p, ",") do
    names[#names + 1] = take_name(p)
  end
  expect(p, "in")
  local node = { tag = "iterate", vars = {}, values = expression_list(p) }
  local last = p.last
  for i, name in ipairs(names) do
    node.vars[i] = declare(p, name)
  end
  node.body = do_block(p)
  forget_behind(p, last)
  return node
end

STATEMENTS["function"] = function(p)
  p.at = p.at + 1
  local target, method = name_node(p), false
  while kind(p) == "." do
    target = SUFFIXES["."](p, target)
  end
  if kind(p) == ":" then
    target, method = SUFFIXES["."](p, target), true
  end
  note_set(p, target)
  return { tag = "set", targets = { target }, values = { function_body(p, method) } }
end

STATEMENTS["local"] = function(p)
  p.at = p.at + 1
  if take(p, "function") then
    local var = declare(p, take_name(p))
    return { tag = "local", vars = { var }, values = { function_body(p) } }
  end
  local names = {}
  repeat
    names[#names + 1] = take_name(p)
  until not take(p, ",")
  local node = { tag = "local", vars = {}, line = line(p) }
  node.values = take(p, "=") and expression_list(p) or {} -- before the names are known
  for i, name in ipairs(names) do
    node.vars[i] = declare(p, name)
  end
  return node
end

STATEMENTS["return"] = function(p)
  p.at = p.at + 1
  local at = line(p)
  local none = ENDS_BLOCK[kind(p)] or kind(p) == ";"
  return { tag = "return", values = none and {} or expression_list(p), line = at }
end

STATEMENTS["break"] = function(p)
  p.at = p.at + 1
  return { tag = "jump" }
end

STATEMENTS["::"] = function(p)
  p.at = p.at + 1
  take_name(p)
  expect(p, "::")
  return { tag = "jump" }
end

local function assignment(p, first)
  local targets = { first }
  while take(p, ",") do
    targets[#targets + 1] = suffixed(p)
  end
  expect(p, "=")
  for _, target in ipairs(targets) do
    note_set(p, target)
  end
  return { tag = "set", targets = targets, values = expression_list(p) }
end

local function statement(p)
  local read = STATEMENTS[kind(p)]
  if read then
    return read(p)
  elseif p.tokens.value[p.at] == "goto" and p.tokens.kind[p.at + 1] == "name" then
    p.at = p.at + 2 -- LuaJIT takes the word for a name elsewhere
    return { tag = "jump" }
  end
  local node = suffixed(p)
  if kind(p) == "=" or kind(p) == "," then
    return assignment(p, node)
  elseif node.tag ~= "call" and node.tag ~= "method" then
    fail(p, "a statement is wanted")
  end
  return { tag = "call", call = node }
end

-- Its locals stay known: whoever calls ends them.
function block(p)
  local statements = {}
  while not ENDS_BLOCK[kind(p)] do
    if not take(p, ";") then
      statements[#statements + 1] = statement(p)
    end
  end
  return statements
end

--- Raises { line, what } of what is malformed.
---@param text string
---@return table fn the whole as a function
---@return table<integer, moongate.awaits.Comment> comments by line
function M.parse(text)
  local p = { tokens = lexer.tokens(text), at = 1, visible = {} }
  local main = { tag = "function", params = {}, line = 1 }
  p.fn = main
  main.body = block(p)
  if kind(p) ~= "eof" then
    fail(p, "'" .. kind(p) .. "' ends nothing")
  end
  return main, p.tokens.comments
end

return M
