--- The array slots of a ctx, behind those of a scope (core/scope.lua), and what PHASE and KIND
--- hold.
return {
  HANDLE = 7, -- of the exchange in C
  ROUTE = 8,
  METHOD = 9, -- native.constants.methods
  START = 10, -- monotonic seconds

  PHASE = 11, -- what has become of the answer
  OPEN = 0,
  STAGED = 1,
  COMMITTED = 2,
  OVER = 3,

  KIND = 12, -- how BODY is to be sent
  PLAIN = 0,
  STREAM = 1,
  FILE = 2,
  TUNNEL = 3, -- once it is committed, BODY is the stream
  RELAY = 4, -- what ctx:proxy was answered: core/request/proxied.lua
  SOCKET = 5, -- a WebSocket: core/live/serve.lua
  EVENTS = 6, -- of topics, which C sends: core/request/events.lua

  STATUS = 13,
  TYPE = 14, -- the media type, false: none
  BODY = 15,
  FIELDS = 16, -- { name, value, name, value, ... }, false: none

  TASK = 17, -- the handler's
  PARAMS = 18,
  QUERY = 19,
  HEADERS = 20,
  STATE = 21,
  BODY_FUTURE = 22,
  COOKIES = 23,
  LOG = 24,
  APP = 25,
  ANSWERING = 26, -- the deadline passed: somebody else answers
  ALLOWED = 27, -- the set of methods that a 405 names
  SLOT = 28, -- of the handle
  KEPT = 29, -- what can be read when the request is over: core/request/ending.lua
}
