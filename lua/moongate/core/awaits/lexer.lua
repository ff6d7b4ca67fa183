--- Cuts Lua (5.1, and what LuaJIT adds) into tokens, for core/awaits/parser.lua.
---
--- What LuaJIT itself has compiled is understood; of anything else it says where it is malformed.
--- It reads once over the text and keeps nothing of it but names and strings.
local M = {}

jit.off(true, true) -- so much branching costs more to compile than it saves

local KEYWORDS = {}
for word in ([[and break do else elseif end false for function if in local nil not or repeat return
  then true until while]]):gmatch("%a+") do
  KEYWORDS[word] = true
end

local LONGEST = 3 -- bytes of an operator: the longest that fits is meant
local IS_OPERATOR = {}
for operator in ([[... .. == ~= <= >= :: + - * / % ^ # < > = ( ) { } [ ] ; : , .]]):gmatch("%S+") do
  IS_OPERATOR[operator] = true
end

---@class moongate.awaits.Tokens
---@field kind string[] "name", "string", "number", "eof", or the keyword or operator itself
---@field value (string|boolean)[] of names and strings; of others false
---@field line integer[]
---@field comments table<integer, moongate.awaits.Comment> by the line where they begin

---@class moongate.awaits.Comment
---@field text string
---@field alone boolean no code stands in front of it

local function fail(line, what)
  error({ line = line, what = what }, 0)
end

-- What strings and comments begin with: they alone hold ends of lines.
local MAY_SPAN = { [("'"):byte()] = true, [('"'):byte()] = true, [("["):byte()] = true,
  [("-"):byte()] = true }

-- How many lines end between two places of a text.
local function lines_in(text, at, stop)
  local n = 0
  at = text:find("\n", at, true)
  while at and at <= stop do
    n, at = n + 1, text:find("\n", at + 1, true)
  end
  return n
end

-- Where the long bracket that begins at `at` ends, and what is in it; nil if none begins there.
local function long_bracket(text, at, line)
  local level, first = text:match("^%[(=*)%[()", at)
  if not level then
    return nil
  end
  local start, stop = text:find("]" .. level .. "]", first, true)
  if not start then
    fail(line, "a long bracket has no end")
  end
  return stop, text:sub(first, start - 1)
end

-- Where the string that begins with the quote at `at` ends.
local function end_of_string(text, at, line)
  local quote = text:sub(at, at)
  local stop = at
  repeat
    stop = text:find("[\\\n" .. quote .. "]", stop + 1)
    local c = stop and text:sub(stop, stop)
    if c == "\\" then
      local _, space = text:find("^z%s*", stop + 1)
      stop = space or text:find("^\r\n", stop + 1) and stop + 2 or stop + 1
    elseif c ~= quote then
      fail(line, "a string has no end")
    end
  until c == quote
  return stop
end

local function skip_comment(tokens, text, at, line)
  local stop, content = long_bracket(text, at + 2, line)
  if not stop then
    stop = (text:find("\n", at, true) or #text + 1) - 1
    content = text:sub(at + 2, stop)
  end
  local before = tokens.comments[line]
  tokens.comments[line] = {
    text = (before and before.text or "") .. content,
    alone = tokens.line[tokens.n] ~= line,
  }
  return stop
end

local function add(tokens, kind, value, line)
  local n = tokens.n + 1
  tokens.n, tokens.kind[n], tokens.value[n], tokens.line[n] = n, kind, value, line
end

local function add_string(tokens, text, at, line)
  local stop, content = long_bracket(text, at, line)
  if not stop then
    stop = end_of_string(text, at, line)
    content = text:sub(at + 1, stop - 1)
  end
  add(tokens, "string", content, line)
  return stop
end

local function add_operator(tokens, text, at, line)
  for n = LONGEST, 1, -1 do
    local operator = text:sub(at, at + n - 1)
    if #operator == n and IS_OPERATOR[operator] then
      add(tokens, operator, false, line)
      return at + n - 1
    end
  end
  fail(line, "'" .. text:sub(at, at) .. "' begins nothing")
end

local NUMBERS = { "^0[xX][%x.]+[pP][+-]?%w*", "^0[xX][%w.]*", "^[%d.]+[eE][+-]?%w*", "^[%w.]+" }

local function end_of_number(text, at)
  for _, pattern in ipairs(NUMBERS) do
    local _, stop = text:find(pattern, at)
    if stop then
      return stop
    end
  end
end

-- Adds the token at `at`, which is no white space; returns its last byte.
local function take(tokens, text, at, line)
  -- LuaJIT takes bytes beyond ASCII for letters.
  local stop, word = select(2, text:find("^([%a_\128-\255][%w_\128-\255]*)", at))
  if stop then
    add(tokens, KEYWORDS[word] and word or "name", not KEYWORDS[word] and word, line)
    return stop
  elseif text:find("^%-%-", at) then
    return skip_comment(tokens, text, at, line)
  elseif text:find("^%.?%d", at) then
    add(tokens, "number", false, line)
    return end_of_number(text, at)
  elseif text:find("^[\"']", at) or text:find("^%[=*%[", at) then
    return add_string(tokens, text, at, line)
  end
  return add_operator(tokens, text, at, line)
end

--- Raises { line, what } of what is malformed.
---@param text string
---@return moongate.awaits.Tokens
function M.tokens(text)
  local tokens = { kind = {}, value = {}, line = {}, comments = {}, n = 0 }
  local at, line = text:find("^\239\187\191") and 4 or 1, 1 -- a byte order mark
  at = text:sub(at, at) == "#" and (text:find("\n", 1, true) or #text + 1) or at -- #!/usr/bin/lua
  while true do
    local start = text:find("[^ \t\r\f\v]", at)
    if not start then
      break
    elseif text:sub(start, start) == "\n" then
      line, at = line + 1, start + 1
    else
      local stop = take(tokens, text, start, line)
      if stop - start > 1 and MAY_SPAN[text:byte(start)] then
        line = line + lines_in(text, start, stop)
      end
      at = stop + 1
    end
  end
  add(tokens, "eof", false, line)
  return tokens
end

return M
