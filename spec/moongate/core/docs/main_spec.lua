local main = require("moongate.core.docs.main")

describe("docs.main", function()
  it("shows help with the facts as JSON", function()
    local text = main.help('{"settings":[{"path":"a.b","about":"What"}],"commands":[]}', "a.b")
    assert.equal("a.b (configuration)\n\nWhat.\n", text)
    text = main.help('{"settings":[{"path":"limits.body","about":"What"}],"commands":[]}',
      "limits.body")
    assert.truthy(text:find("return { limits = { body = \"64M\" } }", 1, true))
  end)
end)
