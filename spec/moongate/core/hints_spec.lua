--- What is added to messages of Lua's own.
local errors = require("moongate.core.errors")
local hints = require("moongate.core.hints")
local sched = require("moongate.core.sched")

-- The message of an error of that code and text once it has been explained.
local function explained(message, co)
  local err = errors.new("error", message)
  sched.explain(err, co)
  return err.message
end

describe("a hint", function()
  hints.add("^the moon is (%a+), said (%a+)$", function(_, colour, who)
    return colour == "green" and who .. " is mistaken"
  end)

  it("is added behind what it explains", function()
    assert.equal("the moon is green, said ada: ada is mistaken",
      explained("the moon is green, said ada"))
  end)

  it("adds nothing where it has nothing to say", function()
    assert.equal("the moon is grey, said ada", explained("the moon is grey, said ada"))
    assert.equal("the sun is green", explained("the sun is green"))
  end)

  it("is not asked of what is no text", function()
    assert.is_nil(explained(nil))
  end)

  it("sees what the coroutine died of", function()
    hints.add("^bad argument #1 to '%?' %(string expected, got thread%)$", function(co)
      return type(select(2, debug.getlocal(co, 0, 1))) == "thread" and "it has it in hand"
    end)
    local co = coroutine.create(function()
      local _ = string.upper(coroutine.create(print))
    end)
    local _, message = coroutine.resume(co)
    assert.matches("it has it in hand$",
      explained(message:gsub("^.-: ", ""):gsub("'upper'", "'?'"), co))
  end)
end)
