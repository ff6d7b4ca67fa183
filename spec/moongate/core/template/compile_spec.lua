local compile = require("moongate.core.template.compile")

describe("core.template.compile", function()
  it("keeps the template's lines", function()
    local out = {}
    local function put(text) out[#out + 1] = text end
    local make = compile.compile('a\n"b"\\\n<% put(line()) %>', "t.etlua")
    setfenv(make, { put = put, line = function() return debug.getinfo(2, "l").currentline end })
    make()(put, put, put)
    assert.same({ 'a\n"b"\\\n', 3 }, out)
  end)

  it("finds the names that stand in quotes", function()
    assert.same({ "a.etlua", "c/d.etlua", "base.etlua" }, compile.names(
      [[<%- include("a.etlua") %> <% layout ( 'base.etlua' ) %><%- include( 'c/d.etlua', {}) %>
      <%- include(name) %> excluded("x")]]))
  end)
end)
