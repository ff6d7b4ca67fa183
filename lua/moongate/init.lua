--- moongate: what route scripts require.
local places = require("moongate.core.places")
local retiring = require("moongate.core.app.retiring")
local suggest = require("moongate.core.suggest")
local Future = require("moongate.future")
local time = require("moongate.time")
local tools = require("moongate.tools")
local database = require("moongate.database")
local topics = require("moongate.topics")

local M = {
  Future = Future,
  app = require("moongate.app").new,
  middleware = require("moongate.middleware"),
  log = require("moongate.log"),
  json = require("moongate.json"),
  template = require("moongate.template"),
  password = require("moongate.password"),
  crypto = require("moongate.crypto"),
  files = require("moongate.files"),
  http = require("moongate.http"),
  cache = require("moongate.cache").get,
  tcp = require("moongate.tcp"),
  redis = require("moongate.redis").get,
  websocket = require("moongate.websocket"),
  upstream = require("moongate.upstream").get,
  topics = topics,
  publish = topics.publish,
  database = database.open,
  blob = database.blob,
  sleep = time.sleep,
  spawn = time.spawn,
  after = time.after,
  now = time.now,
  monotonic = time.monotonic,
  version = require("moongate.native").version,
  info = require("moongate.core.info").get,
}

--- A Future to be settled by hand: f:resolve(...), f:reject(err).
---@return moongate.Future
function M.future()
  return (Future.deferred(2))
end

for name, fn in pairs(tools) do
  M[name] = fn
end

for _, name in ipairs({ "middleware", "log", "json", "files", "http", "tcp", "topics",
  "websocket" }) do
  suggest.close(M[name], "moongate." .. name)
end
for _, name in ipairs({ "middleware", "log", "json", "files", "http", "template", "password",
  "crypto", "tcp", "topics", "websocket" }) do
  places.know(M[name])
end
places.know(M)

local getters = {}

--- Resolved with "reload" or "stop" when the scripts that ask are to go.
---@return moongate.Future
function getters.retiring()
  return retiring.of(Future._current_root())
end

return suggest.close(M, "moongate", getters)
