--- redis:scan: keys one by one, asked for in pieces. Nothing is held between two of these: a loop
--- may be left at any time.
local asking = require("moongate.core.redis.asking")
local check = require("moongate.core.check")
local native = require("moongate.native")
local sched = require("moongate.core.sched")
local suggest = require("moongate.core.suggest")

local M = {}

local OPTIONS = { match = check.string, count = check.positive_integer, type = check.string }

---@class moongate.RedisKeys
local Keys = {}
Keys.__index = Keys

local function fetch(keys)
  if not sched.current then
    error("keys are awaited in a coroutine: in a handler, a callback or moongate.spawn(fn)", 3)
  end
  local future = asking.send(keys._scope, 3, keys._name, keys._timeout, "SCAN",
    keys._cursor or "0", unpack(keys._words))
  future._source, future._line = keys._source, keys._line
  local reply = future:await()
  keys._cursor, keys._batch, keys._at = tostring(reply[1]), reply[2], 0
end

function Keys:__call()
  while true do
    local key = self._batch[self._at + 1]
    if key ~= nil then
      self._at = self._at + 1
      return key
    elseif self._cursor == "0" then
      return nil
    end
    fetch(self)
  end
end

suggest.close(Keys, "what redis:scan gives")

---@param options { match: string, count: integer, type: string }?
---@return moongate.RedisKeys
function M.open(scope, level, name, timeout, options)
  options = check.options("scan", options or {}, OPTIONS)
  local words = {}
  for _, option in ipairs({ "match", "count", "type" }) do
    if options[option] then
      words[#words + 1] = option:upper()
      words[#words + 1] = tostring(options[option])
    end
  end
  local source, line = native.where(level + 1)
  return setmetatable({
    _scope = scope, _name = name, _timeout = timeout, _words = words, _batch = {}, _at = 0,
    _cursor = false, _source = source, _line = line,
  }, Keys)
end

return M
