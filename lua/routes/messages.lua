--- A form: what the page at / posts. The last few messages live in the worker's memory.
local moongate = require("moongate")
local M = {}

local MOST = 20

local function keep(messages, text)
  table.insert(messages, { text = text, at = moongate.now() })
  if #messages > MOST then
    table.remove(messages, 1)
  end
end

function M.declare(app)
  local messages = moongate.json.array() -- [] while it is empty, not {}

  app:get("/messages", "messages", function()
    return messages
  end)

  app:post("/messages", { body = "4K" }, function(ctx)
    local text = ctx:body_form():await().text
    if type(text) ~= "string" or not text:find("%S") then
      ctx:fail(422, "text: a message is wanted", { field = "text" })
    end
    keep(messages, text)
    moongate.publish("live", { text = text }) -- to the pages that are open: home.lua
    ctx:redirect(app:url("messages"), 303)
  end)
end

return M
