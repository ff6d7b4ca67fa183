--- Places in scripts: "file:line" of what a script did, never of the framework beneath it.
---
--- A function that ends in `return f(...)` leaves no frame behind. Its bytecode tells where it can
--- have ended so, and by what name: that line is as good.
local util = require("jit.util")

local getinfo, getlocal = debug.getinfo, debug.getlocal -- scripts get others
local debug_getmetatable = debug.getmetatable

local M = {}

-- Where operands lie in an instruction: A behind the opcode, then C (or D of 16 bits), then B.
local A_OPERAND, C_OPERAND, B_OPERAND = 256, 65536, 16777216
local LEVELS = 30 -- of the framework, at most, above a script

-- "@.../lua/moongate/": how the sources of the framework begin.
local FRAMEWORK = getinfo(1, "S").source:gsub("core/places%.lua$", "")
M.FRAMEWORK = FRAMEWORK

---@param source string of debug.getinfo
---@return boolean
function M.is_framework(source)
  return source:sub(1, #FRAMEWORK) == FRAMEWORK
end

--- The function beneath what can be called.
---@return function?
function M.function_of(value)
  if type(value) == "table" then
    value = (debug_getmetatable(value) or {}).__call
  end
  return type(value) == "function" and value or nil
end

--- Is it a script's function?
---@return boolean
function M.is_script(fn)
  local info = type(fn) == "function" and getinfo(fn, "S")
  return info and info.what ~= "C" and not M.is_framework(info.source)
end

-- --- bytecode ---

local function opcode(fn, pc)
  local ins = util.funcbc(fn, pc)
  return ins and ins % 256, ins
end

-- The numbers differ between versions of LuaJIT: they are read from functions that must have them.
local function last_opcode(fn)
  local last
  for pc = 1, 100 do
    local op = opcode(fn, pc)
    if not op then
      break
    end
    last = op
  end
  return last
end

local CALLT = last_opcode(function(f) return f() end)
local CALL = opcode(function(f) f() end, 2)
local CALLM = opcode(function(f, ...) f(...) end, 3)
local CALLMT = last_opcode(function(f, ...) return f(...) end)
local TGETS = opcode(function(t) return t.key end, 1)
local RET = last_opcode(function(a) return a, a end)
local RET1 = last_opcode(function(a) return a end)
local TGETV = opcode(function(t, key) return t[key] end, 1)
local TGETB = opcode(function(t) return t[1] end, 1)
local GGET = opcode(function() return _G end, 1)

-- The name under which a bytecode finds a field or a global.
local function name_got(fn, op, ins)
  if op == TGETS then
    return util.funck(fn, -(math.floor(ins / C_OPERAND) % 256) - 1)
  elseif op == GGET then
    return util.funck(fn, -math.floor(ins / C_OPERAND) - 1)
  end
end

-- The lines at which `fn` calls, or ends by a call if `tail`, each with the name that was called,
-- as far as it has one.
local function calls(fn, tail)
  local names, list, pc = {}, {}, 1
  local op, ins = opcode(fn, pc)
  while op do
    local slot = math.floor(ins / A_OPERAND) % 256
    if op == CALLT or op == CALLMT or not tail and (op == CALL or op == CALLM) then
      list[#list + 1] = { line = util.funcinfo(fn, pc).currentline, name = names[slot] }
    end
    names[slot] = name_got(fn, op, ins)
    pc = pc + 1
    op, ins = opcode(fn, pc)
  end
  return list
end

-- The slots of the frame at `level` that its line may be indexing by `key` just now.
local function indexed_slots(level, key)
  local info = getinfo(level + 1, "fl")
  local slots, pc = {}, 1
  local fn = info.func
  local op, ins = opcode(fn, pc)
  while op do
    local by_name = op == TGETS and name_got(fn, op, ins) == key
    local by_value = op == TGETV or op == TGETB
    if (by_name or by_value) and util.funcinfo(fn, pc).currentline == info.currentline then
      slots[#slots + 1] = math.floor(ins / B_OPERAND) % 256
    end
    pc = pc + 1
    op, ins = opcode(fn, pc)
  end
  return slots
end

--- The value that the function at `level` of the stack indexes by `key` just now, if
--- `is_it(value)` takes it; else nil. Where one line does so with several, the first of them.
---@param level integer
---@param key any
---@param is_it fun(value: any): boolean
function M.indexed(level, key, is_it)
  local info = getinfo(level + 1, "f")
  if not M.is_script(info and info.func) then
    return nil
  end
  for _, slot in ipairs(indexed_slots(level + 1, key)) do
    local _, value = getlocal(level + 1, slot + 1)
    if is_it(value) then
      return value
    end
  end
end

local function source_of(info)
  return (info.source:gsub("^[@=]", ""))
end

--- "file:line" where `fn` is declared.
---@return string
function M.declared(fn)
  local info = getinfo(M.function_of(fn), "S")
  return source_of(info) .. ":" .. info.linedefined
end

--- The stack level of the first function of a script from `level` on, as the caller counts; nil if
--- there is none.
---@param level integer
---@return integer?
function M.script_level(level)
  for at = level + 1, level + LEVELS do
    local info = getinfo(at, "S")
    if not info then
      return nil
    elseif info.what ~= "C" and not M.is_framework(info.source) then
      return at - 1
    end
  end
end

--- "file:line" of the last call of `name` in the function at `level` of the stack, up to the line
--- that runs; nil if there is none.
---@param level integer
---@param name string
---@return string?
function M.called_at(level, name)
  local info = getinfo(level + 1, "fl")
  local found
  for _, call in ipairs(M.is_script(info and info.func) and calls(info.func) or {}) do
    if call.name == name and call.line <= info.currentline then
      found = call.line
    end
  end
  return found and (source_of(getinfo(info.func, "S")) .. ":" .. found)
end

--- "file:line" where `fn`, which left no frame, ended by a call of `name`: of the first one if
--- there are several; where it is declared if there is none. And by what name it was called.
---@param fn function|table
---@param name string?
---@return string
---@return string?
function M.tail_place(fn, name)
  fn = M.function_of(fn)
  local found
  for _, call in ipairs(calls(fn, true)) do
    if name and call.name == name then
      found = call
      break
    end
    found = found or call
  end
  if found then
    return source_of(getinfo(fn, "S")) .. ":" .. found.line, found.name
  end
  return M.declared(fn)
end

--- "file:line" of the first statement of `fn` that returns `n` values; where it is declared if
--- there is none.
---@param fn function|table
---@param n integer
---@return string
function M.returned_at(fn, n)
  fn = M.function_of(fn)
  local pc = 1
  local op, ins = opcode(fn, pc)
  while op do
    local values = op == RET and math.floor(ins / C_OPERAND) - 1 or op == RET1 and 1
    if values == n then
      return source_of(getinfo(fn, "S")) .. ":" .. util.funcinfo(fn, pc).currentline
    end
    pc = pc + 1
    op, ins = opcode(fn, pc)
  end
  return M.declared(fn)
end

-- --- tracebacks ---

local FRAMES = 200 -- looked at
local SHOWN = 40

local public = {} -- tables of functions that scripts call by name

--- Scripts find functions in `functions`: a frame of one tells what a tail call called.
---@param functions table<string, any>
---@param key string? those that are known by this key are forgotten
function M.know(functions, key)
  public[key or #public + 1] = functions
end

local function public_name(fn)
  for _, functions in pairs(public) do
    for name, value in next, functions do
      if value == fn then
        return name
      end
    end
  end
end

-- What locals are called by which the framework calls functions of scripts.
local HOLDS = { handler = true, middleware = true, script = true }

-- The script's function that a frame of the framework holds, to call it.
local function script_held(co, level)
  for i = 1, 20 do
    local name, value = getlocal(co, level, i)
    if not name then
      return nil
    end
    local fn = HOLDS[name] and M.function_of(value)
    if fn and M.is_script(fn) then
      return fn
    end
  end
end

-- A frame of the framework called `callee`; the script's function that it meant to call has left no
-- frame if it ended by calling that.
local function lost_frame(co, level, callee)
  local fn = callee and script_held(co, level)
  if not fn or fn == callee.func then
    return nil
  end
  local name = public_name(callee.func)
  if name or callee.what == "C" or not M.is_framework(callee.source) then
    return M.tail_place(fn, name)
  end
end

local function describe(info)
  local place = source_of(info) .. ":" .. info.currentline
  if info.what == "main" then
    return place .. ": in main chunk"
  elseif info.name then
    return place .. ": in function '" .. info.name .. "'"
  end
  return place .. ": in function <" .. source_of(info) .. ":" .. info.linedefined .. ">"
end

--- The stack of `co` as people want it: a script's lines, also those of functions that ended by a
--- call; the framework's are counted.
---@param co thread
---@return string traceback
---@return string? place "file:line" of the innermost line of a script
---@return string? name what was called there, if that was such a call
function M.traceback(co)
  local lines, others, place, callee, called = {}, 0, nil, nil, nil
  for level = 0, FRAMES do
    local info = getinfo(co, level, "Slnf")
    if not info then
      break
    end
    local lost, name
    if info.what ~= "C" and not M.is_framework(info.source) then
      lines[#lines + 1] = describe(info)
      place = place or lines[#lines]:match("^(.-:%d+): ")
    else
      others = others + 1
      if info.what ~= "C" then
        lost, name = lost_frame(co, level, callee)
      end
    end
    if lost then
      lines[#lines + 1] = lost .. ": in a function that ended by this call"
      if not place then
        place, called = lost, name
      end
    end
    callee = info
  end
  if #lines > SHOWN then
    lines[SHOWN] = "..."
    lines = { unpack(lines, 1, SHOWN) }
  end
  lines[#lines + 1] = "(" .. others .. " frames of Moongate and of C)"
  return "stack traceback:\n\t" .. table.concat(lines, "\n\t"), place, called
end

return M
