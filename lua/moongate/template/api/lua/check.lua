--- Checks what clients send, field by field, and answers 422 with all that is wrong at once.
local M = {}

--- A text of 1 to `most` characters.
function M.text(most)
  return function(value)
    if type(value) ~= "string" or value == "" then
      return "a text is wanted"
    elseif #value > most then
      return "at most " .. most .. " bytes"
    end
  end
end

--- true or false, or left out.
function M.flag(value)
  if value ~= nil and type(value) ~= "boolean" then
    return "true or false is wanted"
  end
end

--- The body's fields that `rules` names; each rule says what is wrong with a value, or nothing.
function M.body(ctx, rules)
  local body = ctx:body_json():await()
  if type(body) ~= "table" then
    ctx:fail(422, "an object is wanted")
  end
  local values, wrong = {}, {}
  for name, rule in pairs(rules) do
    values[name] = body[name]
    wrong[name] = rule(body[name])
  end
  if next(wrong) then
    ctx:fail(422, "some fields are wrong", { fields = wrong })
  end
  return values
end

return M
