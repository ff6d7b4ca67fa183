--- Finds Futures that a script uses as if they were their values, by reading its source: those that
--- nothing can notice when it runs (`if ctx:query_cache(k) then`), and those that would be, before
--- they are.
---
--- It follows what is certain and nothing else: what a call of the surface gives, and a local that
--- holds it until something else is assigned. What a function of the script gives, and what lies in
--- a table, it does not know, and says nothing of it.
local parser = require("moongate.core.awaits.parser")
local surfaces = require("moongate.core.awaits.surface")
local suggest = require("moongate.core.suggest")

local M = {}

jit.off(true, true) -- as for the parser

local FUTURE = surfaces.FUTURE
local SILENT = "moongate: not awaited" -- in a comment of the line, or alone on the line above it

-- Parameters of these names that nothing else is known of.
local CONVENTIONS = { ctx = "moongate.Context", app = "moongate.App" }

-- Functions of Lua's whose first argument is a value.
local WANT_VALUES = {
  ipairs = true, pairs = true, next = true, unpack = true, tonumber = true, assert = true,
  rawlen = true,
}
-- Of a library's functions so many of the first arguments are.
local LIBRARIES = { string = math.huge, math = math.huge, table = 1 }

local expression, statements -- below

-- What an expression is known to be: { type = } of a value, with `item_called` if a call gave it;
-- { item = } of a function of the surface; { on_right = }: the last operand of and/or is a Future.
local NOTHING = {}

-- --- telling ---

local function says_so(comment)
  return comment and comment.text:find(SILENT, 1, true)
end

local function is_silenced(s, line)
  local above = s.comments[line - 1]
  return says_so(s.comments[line]) or says_so(above) and above.alone
end

local function is_future(known)
  return known.type == FUTURE
end

-- How the source calls what made the Future: "ctx:query_cache(...)", "cached".
local function shown(node)
  if node.tag == "local" then
    return node.var.name
  elseif node.tag == "paren" then
    return shown(node.inner)
  elseif node.tag == "index" and node.key.value then
    return shown(node.object) .. "." .. node.key.value
  elseif node.tag == "global" then
    return node.name
  elseif node.tag == "call" then
    return shown(node.fn) .. "(...)"
  elseif node.tag == "method" then
    return shown(node.object) .. ":" .. node.name .. "(...)"
  end
  return "it"
end

-- Of a local the first misuse says it all.
local function report(s, node, what, instead)
  local key = node.tag == "local" and node.var or node
  if s.told[key] or is_silenced(s, node.line) then
    return
  end
  s.told[key] = true
  s.findings[#s.findings + 1] = {
    line = node.line,
    text = what .. ": write " .. (instead or shown(node) .. ":await()"),
  }
end

local function made(node)
  if node.tag == "local" and node.var.made then
    return node.var.name .. " is the Future made at line " .. node.var.made
  end
  return shown(node) .. " is a Future"
end

-- `node` is needed as a value.
local function want(s, node, known, what)
  if known.on_right then
    node, known = known.on_right, { type = FUTURE }
  end
  if is_future(known) then
    report(s, node, made(node) .. ", " .. what)
  end
end

local function is_connective(node)
  return node.tag == "binary" and (node.op == "and" or node.op == "or")
end

-- What decides: of "a and b" both do.
local function test(s, node)
  if is_connective(node) then
    test(s, node.left)
    test(s, node.right)
  elseif node.tag == "paren" then
    test(s, node.inner)
  else
    want(s, node, expression(s, node), "which is always true")
  end
end

-- Something that becomes an answer, JSON or text; also what lies in it.
local function want_data(s, node, what)
  if node.tag == "table" then
    for _, item in ipairs(node.items) do
      if item.key then
        expression(s, item.key)
      end
      want_data(s, item.value, what)
    end
  else
    want(s, node, expression(s, node), what)
  end
end

-- --- expressions ---

local EXPRESSIONS = {}

EXPRESSIONS["local"] = function(s, node)
  local var = node.var
  if var.fn ~= s.fn and var.sets > 0 then
    return NOTHING -- who knows when this function runs
  end
  return var.known or NOTHING
end

function EXPRESSIONS.global(_, node)
  return node.name == "moongate" and { type = "moongate" } or NOTHING
end

function EXPRESSIONS.paren(s, node)
  return expression(s, node.inner)
end

-- `name`: false of a key that is no name.
local function check_member(s, node, name)
  local object = node.object
  if not name then
    report(s, object, made(object) .. ", which has no elements")
  elseif not surfaces.member(s.surface, FUTURE, name) and name:sub(1, 1) ~= "_" then
    local near = suggest.slip(name, s.surface.classes[FUTURE])
    report(s, object, made(object) .. ", which has no '" .. name .. "'",
      near and shown(object) .. ":" .. near .. "(...)")
  end
end

function EXPRESSIONS.index(s, node)
  local object = expression(s, node.object)
  expression(s, node.key)
  local constant = node.key.tag == "constant"
  local name = constant and node.key.value
  if is_future(object) and constant then
    check_member(s, node, name)
  end
  local item = object.type and name and surfaces.member(s.surface, object.type, name)
  if not item then
    return NOTHING
  end
  return item.kind == "function" and { item = item } or { type = surfaces.field_type(item) }
end

local function function_argument(s, node, item, position, is_last)
  local types, answers = {}, false
  if item then
    types, answers = surfaces.callback(s.surface, item, position, is_last)
  end
  EXPRESSIONS["function"](s, node, types, answers)
end

local WANTED = "where a value is wanted"

-- `item`: the declaration of what is called, if it is known. `shift`: how far its parameters lie
-- behind. `values`: so many of the first arguments are wanted as values.
local function arguments(s, args, item, shift, values)
  for i, arg in ipairs(args) do
    local position = i - (shift or 0)
    if arg.tag == "function" then
      function_argument(s, arg, item, position, i == #args)
    elseif item and surfaces.wants_value(item, position) then
      want_data(s, arg, WANTED)
    else
      local known = expression(s, arg)
      if i <= (values or 0) then
        want(s, arg, known, WANTED)
      end
    end
  end
end

local function result(item)
  return item and { type = surfaces.result(item), item_called = item } or NOTHING
end

-- ("a text"), whose methods are those of the string library.
local function is_text(node)
  local inner = node.tag == "paren" and node.inner or node
  return inner.tag == "constant" and type(inner.value) == "string"
end

function EXPRESSIONS.method(s, node)
  local object = expression(s, node.object)
  if is_future(object) then
    check_member(s, node, node.name)
  end
  local item = object.type and surfaces.member(s.surface, object.type, node.name)
  arguments(s, node.args, item, nil, is_text(node.object) and LIBRARIES.string or nil)
  return result(item)
end

-- require("moongate.test") and the like.
local function required(node)
  local arg = node.args[1]
  local name = node.fn.tag == "global" and node.fn.name == "require" and #node.args == 1
    and arg.tag == "constant" and arg.value
  return type(name) == "string" and name:find("^moongate%f[.%z]") and { type = name } or NOTHING
end

-- How many of the first arguments of one of Lua's own functions are wanted as values.
local function values_of(fn)
  if fn.tag == "global" then
    return WANT_VALUES[fn.name] and 1
  end
  return fn.tag == "index" and fn.object.tag == "global" and LIBRARIES[fn.object.name]
end

function EXPRESSIONS.call(s, node)
  local fn = expression(s, node.fn)
  want(s, node.fn, fn, "which cannot be called")
  local item = fn.item
  arguments(s, node.args, item, item and item.name:find(":", 1, true) and 1, values_of(node.fn))
  return item and result(item) or required(node)
end

local COMPARES = { ["=="] = true, ["~="] = true }

-- Two Futures that are compared may be meant so.
local function compare(s, node)
  local left, right = expression(s, node.left), expression(s, node.right)
  local text = "which equals nothing but itself"
  if node.right.tag == "constant" or node.left.tag ~= "local" then
    want(s, node.left, left, text)
  end
  if node.left.tag == "constant" or node.right.tag ~= "local" then
    want(s, node.right, right, text)
  end
  return NOTHING
end

-- In "a and b or c" b is chosen, not tested.
local function connective(s, node)
  if node.op == "or" and is_connective(node.left) then
    expression(s, node.left)
  else
    test(s, node.left)
  end
  local right = expression(s, node.right)
  -- "a and b" is b or false, "a or b" may be a: neither is surely a Future.
  return { on_right = is_future(right) and node.right or right.on_right }
end

function EXPRESSIONS.binary(s, node)
  if is_connective(node) then
    return connective(s, node)
  elseif COMPARES[node.op] then
    return compare(s, node)
  end
  for _, side in ipairs({ node.left, node.right }) do
    want(s, side, expression(s, side), "where '" .. node.op .. "' wants a value")
  end
  return NOTHING
end

function EXPRESSIONS.unary(s, node)
  if node.op == "not" then
    test(s, node.operand)
  else
    want(s, node.operand, expression(s, node.operand), "where '" .. node.op .. "' wants a value")
  end
  return NOTHING
end

function EXPRESSIONS.table(s, node)
  for _, item in ipairs(node.items) do
    if item.key then
      expression(s, item.key)
    end
    expression(s, item.value)
  end
  return NOTHING
end

-- `types`: of its parameters, as far as its caller is known; `answers`: what it returns is sent.
EXPRESSIONS["function"] = function(s, node, types, answers)
  local outer = { s.fn, s.answers, s.touched }
  s.fn, s.answers, s.touched = node, answers or false, {}
  for i, var in ipairs(node.params) do
    local type = types and types[i] or CONVENTIONS[var.name]
    var.known = var.sets == 0 and type and { type = type } or nil
  end
  statements(s, node.body)
  s.fn, s.answers, s.touched = outer[1], outer[2], outer[3]
  return NOTHING
end

function EXPRESSIONS.constant()
  return NOTHING
end

EXPRESSIONS.vararg = EXPRESSIONS.constant

function expression(s, node)
  return EXPRESSIONS[node.tag](s, node)
end

-- --- statements ---

local STATEMENTS = {}

-- What a local holds from here on. One that some other function assigns to is not followed.
local function hold(var, known, line)
  if var.set_elsewhere or known and known.on_right then
    known = nil
  end
  var.known, var.made = known, known and is_future(known) and line or nil
end

-- local text, err = ctx:read_file(...): there is no second value.
local function check_more(s, vars, values, known)
  local last = values[#values]
  local beyond = vars[#values + 1]
  if last and beyond and known[#values].item_called and is_future(known[#values]) then
    report(s, last, shown(last) .. " is a Future, one value: nothing is left for " .. beyond.name,
      shown(last) .. ":try_await()")
    return true
  end
  return false
end

STATEMENTS["local"] = function(s, node)
  local known = {}
  for i, value in ipairs(node.values) do
    known[i] = expression(s, value)
  end
  local told = check_more(s, node.vars, node.values, known)
  for i, var in ipairs(node.vars) do
    local value = node.values[i]
    hold(var, not (told and i >= #node.values) and known[i] or nil, value and value.line)
  end
end

local function assign(s, target, known, line)
  if target.tag ~= "local" then
    expression(s, target)
    return
  end
  hold(target.var, known, line)
  -- Whether this block runs at all is not known behind it.
  s.touched[#s.touched + 1] = target.var
end

function STATEMENTS.set(s, node)
  local known = {}
  for i, value in ipairs(node.values) do
    known[i] = expression(s, value)
  end
  for i, target in ipairs(node.targets) do
    assign(s, target, known[i], node.values[i] and node.values[i].line)
  end
end

-- What nobody waits for, where that is said to be a mistake.
function STATEMENTS.call(s, node)
  local known = expression(s, node.call)
  local item = known.item_called
  if is_future(known) and item.tags.nodiscard and not surfaces.takes_function(item) then
    report(s, node.call, shown(node.call) .. " is a Future that nothing waits for")
  end
end

-- A block of which it is not known whether, or how often, it runs.
local function branch(s, body)
  local outer = s.touched
  s.touched = {}
  statements(s, body)
  for _, var in ipairs(s.touched) do
    var.known, var.made = nil, nil
    outer[#outer + 1] = var
  end
  s.touched = outer
end

STATEMENTS["do"] = function(s, node)
  statements(s, node.body)
end

STATEMENTS["while"] = function(s, node)
  test(s, node.condition)
  branch(s, node.body)
end

STATEMENTS["repeat"] = function(s, node)
  local outer = s.touched
  s.touched = {}
  statements(s, node.body)
  test(s, node.condition)
  for _, var in ipairs(s.touched) do
    outer[#outer + 1] = var
  end
  s.touched = outer
end

STATEMENTS["if"] = function(s, node)
  for _, clause in ipairs(node.clauses) do
    if clause.condition then
      test(s, clause.condition)
    end
    branch(s, clause.body)
  end
end

function STATEMENTS.numeric(s, node)
  for _, bound in ipairs(node.bounds) do
    want(s, bound, expression(s, bound), "where a number is wanted")
  end
  branch(s, node.body)
end

function STATEMENTS.iterate(s, node)
  for i, value in ipairs(node.values) do
    local known = expression(s, value)
    if i == 1 then
      want(s, value, known, "over which nothing can go")
    end
  end
  branch(s, node.body)
end

STATEMENTS["return"] = function(s, node)
  for _, value in ipairs(node.values) do
    if s.answers then
      want_data(s, value, "which is no answer")
    else
      expression(s, value)
    end
  end
end

function STATEMENTS.jump() end

function statements(s, list)
  for _, node in ipairs(list) do
    STATEMENTS[node.tag](s, node)
  end
end

-- --- the whole ---

local function scan(surface, text)
  local main, comments = parser.parse(text)
  local s = {
    surface = surface, findings = {}, told = {}, answers = false, touched = {}, fn = main,
    comments = comments,
  }
  statements(s, main.body)
  table.sort(s.findings, function(a, b)
    return a.line < b.line or a.line == b.line and a.text < b.text
  end)
  return s.findings
end

--- The forgotten awaits of a script, in order. Of what LuaJIT does not take there are none: it says
--- itself why.
---@param surface moongate.awaits.Surface
---@param text string
---@return { line: integer, text: string }[] findings
---@return string? message why the text was not looked at
function M.find(surface, text)
  if not load(text, "", "t") then
    return {}
  end
  local ok, found = pcall(scan, surface, text)
  if ok then
    return found
  end
  local line = type(found) == "table" and found.line
  return {}, line and line .. ": " .. found.what or tostring(found)
end

return M
