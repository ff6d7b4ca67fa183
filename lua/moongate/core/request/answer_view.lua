--- ctx.answer: what is staged, for middleware behind next(); and what became of it, for
--- app:on_response.
local native = require("moongate.native")
local answer = require("moongate.core.request.answer")
local headers_of = require("moongate.core.headers")
local slots = require("moongate.core.request.slots")
local suggest = require("moongate.core.suggest")

local PHASE, KIND, PLAIN, OPEN = slots.PHASE, slots.KIND, slots.PLAIN, slots.OPEN
local STATUS, TYPE, BODY, FIELDS = slots.STATUS, slots.TYPE, slots.BODY, slots.FIELDS

local M = {}

local getters = {}

--- nil as long as there is no answer.
function getters.status(ctx)
  return ctx[PHASE] ~= OPEN and ctx[STATUS] or nil
end

--- Names in lower case to values, looked up in any case; lines of one name are joined. What the
--- wire adds (Date, Content-Length) is not among them.
function getters.headers(ctx)
  answer.fetch_fields(ctx)
  local headers = { ["content-type"] = ctx[TYPE] or nil }
  local fields = ctx[FIELDS] or {}
  for i = 1, #fields, 2 do
    local name, value = fields[i]:lower(), tostring(fields[i + 1])
    headers[name] = headers[name] and (headers[name] .. ", " .. value) or value
  end
  return headers_of.read_only(headers, "ctx.answer.headers cannot be set: ctx:header(name, value)")
end

--- The text that is going to be sent, of a table its JSON; nil of streams and files.
function getters.body(ctx)
  if ctx[PHASE] == OPEN or ctx[KIND] ~= PLAIN then
    return nil
  end
  if type(ctx[BODY]) == "table" then
    ctx[BODY] = native.json.encode(ctx[BODY])
  end
  return ctx[BODY]
end

---@class moongate.Answer
local Answer = {}

function Answer.__index(view, key)
  local getter = getters[key]
  if not getter then
    error("ctx.answer has no '" .. tostring(key) .. "'" .. suggest.for_name(key, getters), 2)
  end
  return getter(rawget(view, 1))
end

function Answer.__newindex(_, key)
  error("ctx.answer." .. tostring(key) .. " cannot be set: ctx:status(...), ctx:header(name, "
    .. "value), or return another answer", 2)
end

---@return moongate.Answer
function M.new(ctx)
  return setmetatable({ ctx }, Answer)
end

--- What app:on_response is told: { status, headers, bytes, seconds, aborted }.
---@param ending table of all but the headers
---@return table
function M.ended(ctx, ending)
  ending.headers = getters.headers(ctx)
  return ending
end

return M
