--- The array slots of a ctx, behind those of a scope (core/scope.lua), and what they hold. From 0
--- to 15: so many lie in one piece with their table, and there is a table for each request. What
--- few requests need is in the slots of its rest, which is made for those (scopes.rest).
local scopes = require("moongate.core.scope")

local M = {
  PARAMS = 0,

  HANDLE = 6, -- of the exchange in C
  ROUTE = 7,
  BEGUN = 8, -- when and by which method: see M.method and M.start

  PHASE = 9, -- what has become of the answer
  OPEN = 0,
  STAGED = 1,
  COMMITTED = 2,
  OVER = 3,

  KIND = 10, -- how BODY is to be sent
  PLAIN = 0,
  STREAM = 1,
  FILE = 2,
  TUNNEL = 3, -- once it is committed, BODY is the stream
  RELAY = 4, -- what ctx:proxy was answered: core/request/proxied.lua
  SOCKET = 5, -- a WebSocket: core/live/serve.lua
  EVENTS = 6, -- of topics, which C sends: core/request/events.lua

  STATUS = 11,
  TYPE = 12, -- the media type, false: none
  BODY = 13,
  FIELDS = 14, -- { name, value, name, value, ... }, false: none
  TASK = 15, -- the handler's

  -- of its rest, behind those of a scope's
  QUERY = 3,
  HEADERS = 4,
  STATE = 5,
  BODY_FUTURE = 6,
  COOKIES = 7,
  LOG = 8,
  ANSWERING = 9, -- the deadline passed: somebody else answers
  ALLOWED = 10, -- the set of methods that a 405 names
  KEPT = 11, -- what can be read when the request is over: core/request/ending.lua
}

local BEGUN, REST = M.BEGUN, scopes.REST
local METHODS = 64 -- so many are told apart: src/lua/vm.c

---@return integer native.constants.methods
function M.method(ctx)
  return ctx[BEGUN] % METHODS
end

---@return number monotonic seconds
function M.start(ctx)
  return math.floor(ctx[BEGUN] / METHODS) / 1000
end

--- What is in a slot of its rest; false: nothing.
function M.in_rest(ctx, slot)
  local rest = ctx[REST]
  return rest and rest[slot]
end

return M
