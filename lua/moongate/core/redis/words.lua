--- Words of commands: what scripts give for them, and which commands go ways of their own.
local check = require("moongate.core.check")
local text = require("moongate.core.text")

local M = {}

-- What would change the connection that all commands share: what does it instead, or "" if nothing
-- does. A table: the next word decides.
local SUBSCRIBE = "redis:subscribe(channel)"
local MULTI = "redis:multi{ ... }, or redis:watch(keys, fn)"
local URL = "the URL of the configuration says that"
local NEAR = 'cache = "redis://host?near=64M" keeps values near'
local INSTEAD = {
  SUBSCRIBE = SUBSCRIBE, PSUBSCRIBE = 'redis:subscribe({ patterns = { "news.*" } })',
  SSUBSCRIBE = "redis:subscribe({ sharded = { channel } })", UNSUBSCRIBE = "messages:close()",
  PUNSUBSCRIBE = "messages:close()", SUNSUBSCRIBE = "messages:close()",
  MULTI = MULTI, EXEC = MULTI, DISCARD = MULTI, WATCH = MULTI, UNWATCH = MULTI,
  SELECT = "redis://host/NUMBER: " .. URL, AUTH = "redis://user:password@host: " .. URL,
  HELLO = "redis://host?resp=2: " .. URL, RESET = "", QUIT = "", MONITOR = "redis-cli monitor",
  SYNC = "", PSYNC = "", REPLCONF = "", ASKING = "", READWRITE = URL,
  READONLY = "redis+cluster://host?replicas=true: " .. URL,
  CLIENT = {
    REPLY = "", TRACKING = NEAR, CACHING = NEAR, ["NO-EVICT"] = "", ["NO-TOUCH"] = "", CAPA = "",
    ["IMPORT-SOURCE"] = "", SETINFO = "", SETNAME = "redis://host?client_name=NAME: " .. URL,
  },
  SCRIPT = { DEBUG = "redis-cli --ldb" },
}

-- The word (from the end, if negative) that says how long a command waits at the server, and in
-- which unit of a second; false: it is behind the word BLOCK.
local WAITING = {
  BLPOP = { -1, 1 }, BRPOP = { -1, 1 }, BRPOPLPUSH = { -1, 1 }, BLMOVE = { -1, 1 },
  BZPOPMIN = { -1, 1 }, BZPOPMAX = { -1, 1 }, BLMPOP = { 2, 1 }, BZMPOP = { 2, 1 },
  WAIT = { -1, 1000 }, WAITAOF = { -1, 1000 }, XREAD = { false, 1000 },
  XREADGROUP = { false, 1000 },
}

--- One word as text. Raises at `level` if it is none.
function M.of(value, number, level)
  if type(value) == "string" then
    return value
  end
  local word, wrong = text.of(value)
  if not word then
    error("word " .. number .. ": " .. wrong, level + 1)
  end
  return word
end

local of = M.of

--- A list of texts, of the list that a script gives.
function M.list(what, words, level)
  if type(words) ~= "table" then
    error(what .. ': a list of words is wanted, as in { "SET", "key", 1 }, not '
      .. check.describe(words),
      level + 1)
  elseif not check.is_list(words) then
    error(what .. ': a list of words has no hole and no names: { "SET", "key", 1 }', level + 1)
  end
  local list, n = {}, #words
  if n == 0 then
    error(what .. ": an empty list is no command", level + 1)
  end
  for i = 1, n do
    list[i] = of(words[i], i, level + 1)
  end
  return list
end

local function upper(word)
  return type(word) == "string" and word:upper() or nil
end

--- Raises if a command would change the connection that it shares with others.
---@param verb any its first word
---@param second any the one behind that
function M.refuse(verb, second, level)
  local name = upper(verb)
  local instead = INSTEAD[name]
  if type(instead) == "table" then
    second = upper(second)
    name, instead = name .. " " .. tostring(second), instead[second]
  end
  if instead then
    error(name .. " would change the connection for all who share it"
      .. (instead ~= "" and "; instead: " .. instead or ""), level + 1)
  end
end

local function waits_for(rule, ...)
  local n = select("#", ...)
  local place, unit = rule[1], rule[2]
  if place then
    return tonumber((select(place < 0 and n or place, ...))), unit
  end
  for i = 2, n - 1 do
    local word = select(i, ...)
    if upper(word) == "BLOCK" then
      return tonumber((select(i + 1, ...))), unit
    elseif upper(word) == "STREAMS" then
      break
    end
  end
end

--- How many seconds a command may wait at the server (0: for ever), or nil: it does not wait.
---@return number?
function M.waits(verb, ...)
  local rule = WAITING[upper(verb)]
  if rule then
    local n, unit = waits_for(rule, verb, ...)
    return n and n / unit
  end
end

--- The same of several commands, one behind the other.
---@param commands table[] lists of texts
---@return number?
function M.all_wait(commands)
  local sum
  for _, command in ipairs(commands) do
    -- Others may have more words than there is room for on the stack.
    local seconds = WAITING[upper(command[1])] and M.waits(unpack(command))
    if seconds then
      sum = (sum == 0 or seconds == 0) and 0 or (sum or 0) + seconds
    end
  end
  return sum
end

return M
