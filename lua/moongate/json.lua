--- moongate.json: JSON, strictly as RFC 8259 has it.
---
--- Objects are tables with string keys, written in the order of the keys' bytes; arrays are tables
--- with keys 1 to n. An empty table is `{}` unless it is marked by array(); decoded arrays are.
--- null is a value of its own, true in a condition: compare with `== json.null`. Integers beyond
--- 2^53 are LuaJIT's int64_t and uint64_t, exact in both directions.
local native = require("moongate.native").json
local check = require("moongate.core.check")
local hints = require("moongate.core.hints")

---@class moongate.json
local M = {}

local OF_ENCODE = { pretty = true, strict = true }
local OF_DECODE = { max_depth = true, max_values = true }

--- The text of `value`. Raises with the path of what JSON cannot say: functions and the like, nan
--- and infinities, mixed keys, gaps, and more than 128 levels, which mostly are a table that holds
--- itself. Bytes that are not UTF-8 become U+FFFD, as a browser shows them: what a peer sent is no
--- reason to fail. With `strict` they raise too.
---@param value any
---@param options { pretty?: boolean, strict?: boolean }?
---@return string
function M.encode(value, options)
  if options ~= nil then
    check.options("json.encode", options, OF_ENCODE)
  end
  return native.encode(value, options)
end

--- The value of `text`, or nil and "line:column: what is wrong". `max_depth` is 1 to 1024, by
--- default 128; `max_values` how many numbers, strings, arrays and objects it may hold in all.
---@param text string
---@param options { max_depth?: integer, max_values?: integer }?
---@return any
---@return string?
function M.decode(text, options)
  if options ~= nil then
    check.options("json.decode", options, OF_DECODE)
  end
  return native.decode(text, options)
end

--- Marks a table (a new one if none is given) as an array, so that it is written as `[]` when it is
--- empty; returns it. Raises if it has a metatable of its own.
---@generic T: table
---@type fun(t?: T): T
M.array = native.array

--- Has the members of `t` written in the order of `keys`; those that it does not name follow,
--- sorted, as all members of other tables are. Returns `t`. Raises if it has a metatable already.
---@generic T: table
---@param t T
---@param keys string[]
---@return T
function M.object(t, keys)
  check.type("json.object", t, "table")
  check.type("json.object: keys", keys, "table")
  local meta = getmetatable(t)
  if meta ~= nil and not rawget(meta, "__json_order") then
    check.fail("json.object: the table has a metatable of its own")
  end
  local places = {}
  for place, key in ipairs(keys) do
    places[check.string("json.object: keys[" .. place .. "]", key)] = place
  end
  return setmetatable(t, { __json_order = places })
end

--- JSON's null, to put into a table where nil would leave a gap. Prints as "null".
---@type userdata
M.null = native.null

local function is_null(value)
  return value == native.null
end

hints.add("^attempt to .*userdata", function(co)
  return hints.held(co, is_null) ~= nil
    and "it is null, as of a column that is NULL: compare with moongate.json.null first" or nil
end)

return M
