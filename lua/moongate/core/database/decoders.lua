--- What scripts make of values of types that they name: functions of the text that PostgreSQL
--- writes. They are called when a statement is done, and await nothing.
local native = require("moongate.native")
local boundary = require("moongate.core.boundary")
local check = require("moongate.core.check")
local errors = require("moongate.core.errors")
local sched = require("moongate.core.sched")
local suggest = require("moongate.core.suggest")
local Future = require("moongate.future")

local M = {}

-- Of pg_type.dat; they never change.
local TYPES = {
  bool = 16, boolean = 16, bytea = 17, char = 1042, bpchar = 1042, varchar = 1043, text = 25,
  name = 19, int2 = 21, smallint = 21, int4 = 23, integer = 23, int8 = 20, bigint = 20, oid = 26,
  float4 = 700, real = 700, float8 = 701, ["double precision"] = 701, numeric = 1700,
  decimal = 1700, money = 790, json = 114, jsonb = 3802, xml = 142, uuid = 2950, date = 1082,
  time = 1083, timetz = 1266, timestamp = 1114, timestamptz = 1184, interval = 1186, inet = 869,
  cidr = 650, macaddr = 829, bit = 1560, varbit = 1562, point = 600, tsvector = 3614,
  int4range = 3904, int8range = 3926, numrange = 3906, tsrange = 3908, tstzrange = 3910,
  daterange = 3912, ["bool[]"] = 1000, ["bytea[]"] = 1001, ["text[]"] = 1009,
  ["varchar[]"] = 1015, ["int2[]"] = 1005, ["int4[]"] = 1007, ["int8[]"] = 1016,
  ["float4[]"] = 1021, ["float8[]"] = 1022, ["numeric[]"] = 1231, ["json[]"] = 199,
  ["jsonb[]"] = 3807, ["uuid[]"] = 2951, ["date[]"] = 1182, ["timestamp[]"] = 1115,
  ["timestamptz[]"] = 1185,
}

local decoders = {} -- name of a database -> type -> function

local function number_of(level, kind)
  if type(kind) == "number" and kind >= 1 and kind < 2 ^ 32 and kind % 1 == 0 then
    return kind
  elseif TYPES[kind] then
    return TYPES[kind]
  end
  error("decoder: a type of PostgreSQL's own is wanted, or the number of another one (SELECT "
    .. "'mood'::regtype::oid::int8), not " .. (type(kind) == "string" and '"' .. kind .. '"'
    .. suggest.for_name(kind, TYPES) or type(kind)), level + 1)
end

---@param fn fun(text: string): any nil: as before
function M.set(level, name, kind, fn)
  local number = number_of(level + 1, kind)
  if fn ~= nil and type(fn) ~= "function" then
    error("decoder: a function is wanted, or nil, not " .. check.describe(fn), level + 1)
  end
  decoders[name] = decoders[name] or {}
  decoders[name][number] = fn
  local numbers = {}
  for each in pairs(decoders[name]) do
    numbers[#numbers + 1] = each
  end
  native.database_decode(name, numbers)
end

local function decode(row, column, fn)
  local value = row[column]
  if type(value) == "string" then
    row[column] = fn(value)
  end
end

-- `columns`: name and type of each in turn.
local function decode_all(of, value, columns)
  for i = 1, #columns, 2 do
    local fn = of[columns[i + 1]]
    if fn and #value == 0 then
      decode(value, columns[i], fn)
    end
    for _, row in ipairs(fn and value or {}) do
      decode(row, columns[i], fn)
    end
  end
end

local function run(task)
  local future, value = task.a, task.b
  boundary.enter("a decoder")
  decode_all(future._decoders, value, task.c)
  boundary.leave()
  Future._settle_operation(future, true, value)
end

-- What a stall and want of memory end is no fault of the database's.
local function failed(task, err)
  local code = errors.code(err)
  if code == "stall" or code == "memory" then
    return Future._fail(task, task.a, err)
  end
  local said = code == "error" and errors.field(err, "cause") or err
  Future._settle_operation(task.a, false, "database", "a decoder failed: " .. errors.show(said),
    { reason = "error", traceback = errors.traceback(err) })
end

-- In a coroutine, since nothing else of a script can be ended.
local function settle(future, ok, value, columns, ...)
  if ok and value and columns then
    local scope = future._scope or Future._current_root()
    return sched.start(scope, run, failed, future, value, columns)
  end
  return Future._settle_operation(future, ok, value, columns, ...)
end

--- `future` is of a statement of the database of that name.
function M.heed(future, name)
  local of = decoders[name]
  if of then
    future._decoders, future._settle_operation = of, settle
  end
end

return M
