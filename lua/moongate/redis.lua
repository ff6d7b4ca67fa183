--- Redis: moongate.redis().
---
--- Commands of all who ask are sent one behind the other over a few connections that they share.
--- Replies: texts are strings, lists and sets arrays, maps tables (of a server before 6, or with
--- resp=2, flat lists), integers beyond 2^53 LuaJIT's int64_t, a null nil, and moongate.json.null
--- inside of others.
---
--- A failure has code "redis" and a `reason`: the first word of what the server says ("WRONGTYPE",
--- "NOAUTH"), or "down" (it could not be asked), "timeout", "closed" (the connection was lost: what
--- came of it is not known), "limit" (too much waits, or the reply is too large). No command is
--- ever sent twice.
local native = require("moongate.native")
local asking = require("moongate.core.redis.asking")
local keys = require("moongate.core.redis.keys")
local watch = require("moongate.core.redis.watch")
local messages = require("moongate.core.redis.messages")
local words = require("moongate.core.redis.words")
local check = require("moongate.core.check")
local suggest = require("moongate.core.suggest")
local tools = require("moongate.tools")
local Future = require("moongate.future")

local M = {}

local DEFAULT = "default"

---@class moongate.Redis
local Redis = {}
Redis.__index = Redis

local function scope_of(self, level, what)
  if type(self) ~= "table" or getmetatable(self) ~= Redis then
    error("call it with a colon: redis:" .. what .. "(...)", level + 1)
  end
  Future._refuse_loading("a command of Redis", level + 1)
  return Future._app_scope()
end

--- One command, as its words: redis:command("SET", "key", "value", "EX", 60).
---@param verb string
---@return moongate.Future of the reply
function Redis:command(verb, ...)
  local scope = scope_of(self, 2, "command")
  words.refuse(verb, (...), 2)
  return (Future._named("command", asking.send(scope, 2, self._name, self._timeout, verb, ...)))
end

--- Several commands in one go. An error of one is its reply: a moongate.Error.
---@param list table[] of lists of words
---@return moongate.Future of the list of replies
function Redis:pipeline(list)
  local scope = scope_of(self, 2, "pipeline")
  return (Future._named("pipeline", asking.send_several(scope, 2, self._name, self._timeout,
    asking.commands("pipeline", list, 2))))
end

--- Several commands as a transaction: nobody else's comes between them.
---@param list table[] of lists of words
---@return moongate.Future of the list of replies
function Redis:multi(list)
  local scope = scope_of(self, 2, "multi")
  return (Future._named("multi", asking.send_transaction(scope, 2, self._name, self._timeout,
    asking.commands("multi", list, 2))))
end

--- Runs `fn(tx)` while keys are watched: tx:command(...) reads, tx:multi{ ... } writes unless one
--- of the keys has changed meanwhile; then it gives nil, and nothing was done.
---@param watched string|string[] keys
---@param fn fun(tx: moongate.RedisWatch): any
---@return moongate.Future of what fn returns
function Redis:watch(watched, fn)
  local scope = scope_of(self, 2, "watch")
  watched = words.list("watch", type(watched) == "table" and watched or { watched }, 2)
  return (Future._named("watch", watch.begin(scope, 2, self._name, self._timeout, watched, fn)))
end

-- --- scripts ---

-- Sources whose SHA the server knows. Those that are new push out those that were used least
-- lately: a script that is made anew for each request fills no memory.
local SHAS = 256
local shas, older, sha_count = {}, {}, 0

local function keep_sha(source, sha)
  if sha_count == SHAS then
    shas, older, sha_count = {}, shas, 0
  end
  shas[source], sha_count = sha, sha_count + 1
end

local function sha_of(source)
  local sha = shas[source]
  if not sha and older[source] then
    sha = older[source]
    keep_sha(source, sha)
  end
  return sha
end

local function eval(scope, level, self, source, rest)
  if not sha_of(source) then
    keep_sha(source, tools.sha1(source))
  end
  return (asking.send(scope, level + 1, self._name, self._timeout, "EVAL", source, unpack(rest)))
end

--- Runs a script at the server, by its SHA once it is known there.
---@param source string Lua, for the server: KEYS[1], ARGV[1]
---@param touched string[]? all keys that it touches
---@param args any[]? texts and numbers
---@return moongate.Future of what it returns
function Redis:script(source, touched, args)
  local scope = scope_of(self, 2, "script")
  check.type("script: the source", source, "string")
  touched = check.list("script: the keys", touched or {}, "texts")
  args = check.list("script: the arguments", args or {}, "texts and numbers")
  local rest = { #touched }
  for _, list in ipairs({ touched, args }) do
    for i = 1, #list do
      rest[#rest + 1] = words.of(list[i], i, 2)
    end
  end
  local sha = not asking.stub and sha_of(source)
  if not sha then
    return (Future._named("script", eval(scope, 2, self, source, rest)))
  end
  local future = asking.send(scope, 2, self._name, self._timeout, "EVALSHA", sha, unpack(rest))
  return (Future._named("script", future:catch(function(err)
    if err.reason == "NOSCRIPT" then -- the server has begun anew
      return eval(scope, 2, self, source, rest)
    end
    error(err, 0)
  end)))
end

--- Keys, one by one: for key in redis:scan{ match = "user:*" } do ... end. Of a cluster those of
--- all its servers. A key that is there all the time comes at least once. `count`: how many are
--- looked at at once.
---@param options { match: string, count: integer, type: string }?
---@return moongate.RedisKeys
function Redis:scan(options)
  return (keys.open(scope_of(self, 2, "scan"), 2, self._name, self._timeout, options))
end

--- Hears what is published: for message in redis:subscribe("a", "b") do ... end, or with
--- { channels = {}, patterns = {}, sharded = {} }. A message has `channel` and `payload`; one with
--- `missed` stands for what may have been missed while there was no connection.
---@return moongate.RedisMessages
function Redis:subscribe(...)
  return (messages.open(scope_of(self, 2, "subscribe"), 2, self._name, ...))
end

--- How the service stands, as far as this worker knows: `state` ("idle", "connecting", "ready",
--- "down"), `why` it is down, and figures.
---@return table
function Redis:stats()
  local stats = native.redis_stats(self._name)
  if not stats then
    error(asking.refusal(self._name, "unknown", nil, check.caller()), 2)
  end
  return stats
end

suggest.close(Redis, "a Redis")

local OPTIONS = { timeout = check.seconds }

--- The Redis of that name; without a name the default one, which is the cache's, unless `redis` of
--- the configuration is another.
---@param name string?
---@param options { timeout: number }? seconds of each command, instead of the URL's
---@return moongate.Redis
function M.get(name, options)
  if name ~= nil and type(name) ~= "string" then
    error("redis: a name is wanted, not " .. check.describe(name), 2)
  end
  options = check.options("redis", options or {}, OPTIONS)
  return setmetatable({ _name = name or DEFAULT, _timeout = options.timeout or false }, Redis)
end

return M
