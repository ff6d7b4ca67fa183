--- Tokens of Lua.
local lexer = require("moongate.core.awaits.lexer")

local function words(text)
  local tokens, list = lexer.tokens(text), {}
  for i = 1, tokens.n do
    local value = tokens.value[i]
    list[i] = value and tokens.kind[i] .. " " .. value or tokens.kind[i]
  end
  return table.concat(list, "|")
end

describe("the lexer", function()
  for text, wanted in pairs({
    ["local x = a.b:c(1)"] = "local|name x|=|name a|.|name b|:|name c|(|number|)|eof",
    ["a..b...c==d~=e<=f>=g::h"] =
      "name a|..|name b|...|name c|==|name d|~=|name e|<=|name f|>=|name g|::|name h|eof",
    ["'a\\'b' \"c\\\"\" [[d]] [==[e]]]==]"] = "string a\\'b|string c\\\"|string d|string e]]|eof",
    ["'a\\\nb' c"] = "string a\\\nb|name c|eof",
    ["'a\\z \n  b' c"] = "string a\\z \n  b|name c|eof",
    ["0xff-x 1e-3 .5 1LL 0x1p-2 3 ..''"] =
      "number|-|name x|number|number|number|number|number|..|string |eof",
    ["-- a [[b]]\nc --[[ d\n e ]] f"] = "name c|name f|eof",
    ["goto x"] = "name goto|name x|eof",
    ["#!/usr/bin/lua\nx"] = "name x|eof",
    ["\239\187\191x"] = "name x|eof",
    ["\195\164 = 1"] = "name \195\164|=|number|eof",
    ["a[b] a[=[b]=]"] = "name a|[|name b|]|name a|string b|eof",
  }) do
    it("cuts " .. text, function()
      assert.equal(wanted, words(text))
    end)
  end

  it("counts lines, also within strings and comments", function()
    local tokens = lexer.tokens("a\n[[\n\n]] b --[[\n]] c\n'\\\n' d")
    local lines = {}
    for i = 1, tokens.n do
      lines[i] = tokens.line[i]
    end
    assert.same({ 1, 2, 4, 5, 6, 7, 7 }, lines)
  end)

  it("keeps comments by their lines, and whether code stands before them", function()
    local comments = lexer.tokens("a -- one\n-- two\n--[[ three\n]] b").comments
    assert.same({ text = " one", alone = false }, comments[1])
    assert.same({ text = " two", alone = true }, comments[2])
    assert.same({ text = " three\n", alone = true }, comments[3])
  end)

  for text, line in pairs({
    ["a\n'b"] = 2, ["\n\n[[a"] = 3, ["--[[a"] = 1, ["a\n@"] = 2, ["'a\nb'"] = 1, ["'\\"] = 1,
  }) do
    it("names the line of what is malformed: " .. text, function()
      local ok, err = pcall(lexer.tokens, text)
      assert.is_false(ok)
      assert.equal(line, err.line)
      assert.is_string(err.what)
    end)
  end
end)
