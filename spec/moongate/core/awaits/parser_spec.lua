--- Lua as a tree.
local parser = require("moongate.core.awaits.parser")

-- An expression as text, each operation in brackets.
local function shown(node)
  if node.tag == "local" or node.tag == "global" then
    return node.var and node.var.name or node.name
  elseif node.tag == "constant" then
    return node.value and ("'" .. node.value .. "'") or "?"
  elseif node.tag == "binary" then
    return "(" .. shown(node.left) .. " " .. node.op .. " " .. shown(node.right) .. ")"
  elseif node.tag == "unary" then
    return "(" .. node.op .. " " .. shown(node.operand) .. ")"
  elseif node.tag == "index" then
    return shown(node.object) .. "[" .. shown(node.key) .. "]"
  elseif node.tag == "call" then
    return shown(node.fn) .. "(" .. #node.args .. ")"
  elseif node.tag == "method" then
    return shown(node.object) .. ":" .. node.name .. "(" .. #node.args .. ")"
  elseif node.tag == "paren" then
    return shown(node.inner)
  end
  return node.tag
end

local function value_of(text)
  return parser.parse("return " .. text).body[1].values[1]
end

describe("an expression", function()
  for text, wanted in pairs({
    ["a or b and c == d .. e + f * -g ^ h"] =
      "(a or (b and (c == (d .. (e + (f * (- (g ^ h))))))))",
    ["a .. b .. c"] = "(a .. (b .. c))",
    ["a - b - c"] = "((a - b) - c)",
    ["not a == b"] = "((not a) == b)",
    ["2 ^ -3 ^ 4"] = "(? ^ (- (? ^ ?)))",
    ["(a or b).c['d'][e]:f(1, 2){}'x'"] = "(a or b)['c']['d'][e]:f(2)(1)(1)",
    ["{ a = 1, [b] = 2, 3; 4 }"] = "table",
    ["function(a, ...) return ... end"] = "function",
    ["#t[1]"] = "(# t[?])",
  }) do
    it("is read as Lua does: " .. text, function()
      assert.equal(wanted, shown(value_of(text)))
    end)
  end

  it("knows the line of each of its calls", function()
    assert.equal(3, value_of("\na\n:b()").line)
  end)
end)

-- Names of the locals that each `use(x)` of a text means: the line of their declaration's function.
local function uses(text)
  local list = {}
  local function walk(node)
    if type(node) ~= "table" then
      return
    elseif node.tag == "call" and node.fn and node.fn.name == "use" then
      local arg = node.args[1]
      list[#list + 1] = arg.tag == "local" and arg.var or "global"
    end
    for key, child in pairs(node) do
      if key ~= "var" and key ~= "vars" and key ~= "params" then
        walk(child)
      end
    end
  end
  walk(parser.parse(text).body)
  return list
end

describe("a name", function()
  for text, wanted in pairs({
    ["local x; use(x)"] = "local",
    ["do local x end use(x)"] = "global",
    ["local x = use(x)"] = "global",
    ["local function x() use(x) end"] = "local",
    ["for x = 1, 2 do use(x) end"] = "local",
    ["for x in y do end use(x)"] = "global",
    ["repeat local x until use(x)"] = "local",
    ["if a then local x else use(x) end"] = "global",
    ["function f(x) use(x) end"] = "local",
    ["function f:x() use(self) end"] = "local",
    ["local x do local x end use(x)"] = "local",
  }) do
    it("is found in its scope: " .. text, function()
      local found = uses(text)[1]
      assert.equal(wanted, type(found) == "table" and "local" or found)
    end)
  end

  it("tells how often it is assigned to, and whether another function does", function()
    local body = parser.parse("local a, b, c = 1; a = 2; local function f() b = 3 end").body
    local vars = body[1].vars
    assert.same({ 1, false }, { vars[1].sets, vars[1].set_elsewhere })
    assert.same({ 1, true }, { vars[2].sets, vars[2].set_elsewhere })
    assert.same({ 0, false }, { vars[3].sets, vars[3].set_elsewhere })
  end)
end)

describe("a statement", function()
  for text, wanted in pairs({
    ["local a, b = 1"] = "local", ["a, b.c = 1, 2"] = "set", ["f()"] = "call", ["do end"] = "do",
    ["while a do end"] = "while", ["repeat until a"] = "repeat",
    ["if a then elseif b then else end"] = "if", ["for i = 1, 2, 3 do end"] = "numeric",
    ["for k, v in f() do end"] = "iterate", ["return"] = "return", ["::x::"] = "jump",
    ["goto x"] = "jump", ["goto = 1"] = "set", ["function a.b:c() end"] = "set",
    ["local function f() end"] = "local", [";;f{}"] = "call", ["while a do break end"] = "while",
  }) do
    it("is told from others: " .. text, function()
      local body = parser.parse(text).body
      assert.equal(1, #body)
      assert.equal(wanted, body[1].tag)
    end)
  end

  for text, line in pairs({
    ["\nend"] = 2, ["if a then"] = 1, ["a"] = 1, ["local 1"] = 1, ["f(\n"] = 2, ["x = "] = 1,
    ["for a"] = 1, ["return 1 2"] = 1, ["{"] = 1,
  }) do
    it("names the line of what is malformed: " .. text, function()
      local ok, err = pcall(parser.parse, text)
      assert.is_false(ok)
      assert.equal(line, err.line)
    end)
  end
end)
