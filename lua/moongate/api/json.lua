---@meta _

--- JSON, strictly as RFC 8259 has it.
---
--- Objects are tables with string keys, arrays are tables with keys 1 to n. Members are written in the
--- order of their keys' bytes, so that equal tables give equal text, or as `moongate.json.object`
--- says. An empty table is `{}` unless it is marked by `moongate.json.array`; decoded arrays are. Integers beyond 2^53 are
--- LuaJIT's int64_t and uint64_t, exact in both directions.
---@class moongate.json
local json = {}

---@class moongate.EncodeOptions
---@field pretty? boolean over several lines, indented
---@field strict? boolean bytes that are not UTF-8 raise, instead of becoming U+FFFD

--- The text of a value. Raises with the path of what JSON cannot say: functions and the like, nan
--- and infinities, mixed keys, gaps, and more than 128 levels.
---
--- ```lua
--- app:get("/", function() return moongate.json.encode({ 1, "two", { three = true } }) end)
--- --> GET / => 200 [1,"two",{"three":true}]
--- ```
---@param value any
---@param options? moongate.EncodeOptions
---@return string
function json.encode(value, options) end

---@class moongate.DecodeOptions
---@field max_depth? integer levels at most, 1 to 1024; 128 unless told
---@field max_values? integer numbers, strings, arrays and objects at most; any number unless told

--- The value of a text.
---
--- ```lua
--- app:get("/", function()
---   local value, err = moongate.json.decode("[1, 2,")
---   return value or err
--- end)
--- --> GET / => 200 ...
--- ```
---@param text string
---@param options? moongate.DecodeOptions
---@return any value nil if it is malformed
---@return string? message "line:column: what is wrong" then
---@typescript decode<V = any>(this: void, text: string, options?: DecodeOptions): LuaMultiReturn<[V, undefined] | [undefined, string]>
function json.decode(text, options) end

--- Marks a table (a new one if none is given) as an array, so that it is `[]` when it is empty.
---
--- ```lua
--- app:get("/", function() return { users = moongate.json.array() } end)
--- --> GET / => 200 {"users":[]}
--- ```
---@generic T: table
---@param t? T
---@return T
---@typescript array<T>(this: void, t?: T[]): T[]
function json.array(t) end

--- Has the members of a table written in the order of `keys`; those that it does not name follow,
--- sorted. A copy, such as one out of the cache, does not keep that order.
---
--- ```lua
--- app:get("/", function()
---   return moongate.json.object({ name = "Ada", age = 36, id = 7 }, { "id", "name" })
--- end)
--- --> GET / => 200 {"id":7,"name":"Ada","age":36}
--- ```
---@generic T: table
---@param t T a table without a metatable
---@param keys string[]
---@return T t
---@typescript object<T extends object>(this: void, t: T, keys: string[]): T
function json.object(t, keys) end

--- JSON's null, to put into a table where nil would leave a gap. It is true in a condition: compare
--- with `== moongate.json.null`.
---
--- ```lua
--- app:get("/", function() return { name = moongate.json.null } end)
--- --> GET / => 200 {"name":null}
--- ```
---@type userdata
json.null = nil
