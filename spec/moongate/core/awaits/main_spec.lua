--- What `moongate check` prints of forgotten awaits.
local main = require("moongate.core.awaits.main")

describe("the lines of a script", function()
  it("name file, line, what, and what to write", function()
    assert.equal("lua/a.lua:2: ctx:query_cache(...) is a Future, which is always true: write "
      .. "ctx:query_cache(...):await()\nlua/a.lua:3: ctx:body(...) is a Future, which has no 'x': "
      .. "write ctx:body(...):await()\n",
      main.read("lua/a.lua", "return function(ctx)\nif ctx:query_cache('k') then\n"
        .. "return ctx:body().x end end"))
  end)

  it("are none of a good one", function()
    assert.equal("", main.read("lua/a.lua", "return function(ctx) return ctx:body():await() end"))
  end)
end)
