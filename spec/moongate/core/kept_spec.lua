local kept = require("moongate.core.kept")

describe("what was begun in a transaction", function()
  local awaited
  before_each(function()
    awaited = {}
  end)

  local function begun(name, looked_at)
    return {
      _looked_at = looked_at,
      await = function(self)
        self._looked_at = true
        awaited[#awaited + 1] = name
      end,
    }
  end

  it("is awaited in its order, unless somebody has looked at it", function()
    local list = kept.new()
    kept.add(list, begun("a", false))
    kept.add(list, begun("b", true))
    kept.add(list, begun("c", false))
    kept.await(list)
    assert.same({ "a", "c" }, awaited)
  end)

  it("is awaited too if it was begun meanwhile, however much is forgotten then", function()
    local list = kept.new()
    kept.add(list, {
      await = function(self)
        self._looked_at = true
        for i = 1, 200 do
          kept.add(list, begun(i, i % 100 ~= 0))
        end
      end,
    })
    kept.await(list)
    assert.same({ 100, 200 }, awaited)
  end)

  it("is forgotten once somebody has looked at it, and no other is", function()
    local list = kept.new()
    for i = 1, 1000 do
      kept.add(list, begun(i, i % 100 ~= 0))
    end
    assert.is_true(#list < 100)
    kept.await(list)
    assert.same({ 100, 200, 300, 400, 500, 600, 700, 800, 900, 1000 }, awaited)
  end)
end)
