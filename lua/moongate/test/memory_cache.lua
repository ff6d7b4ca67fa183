--- A cache of one spec: a table that heeds ttl in virtual time.
local native = require("moongate.native")
local Future = require("moongate.future")
local time = require("moongate.time")
local answers = require("moongate.test.answers")

local Cache = {}
Cache.__index = Cache

---@return table with a function(self, ...) for each call of the real cache
function Cache.new()
  return setmetatable({ entries = {} }, Cache)
end

-- As the real one keeps bytes: what is changed later is not changed in the cache.
local function copy(value)
  return type(value) == "table" and (native.json.unpack(native.json.pack(value))) or value
end

local function live(self, key)
  local entry = self.entries[key]
  if entry and entry.ends and entry.ends <= native.now() then
    self.entries[key] = nil
    return nil
  end
  return entry
end

local function store(self, key, value, ttl)
  self.entries[key] = { value = copy(value), ends = ttl and native.now() + ttl }
end

function Cache:query_cache(key)
  local entry = live(self, key)
  return entry and copy(entry.value)
end

function Cache:update_cache(key, value, options)
  store(self, key, value, options and options.ttl)
  return true
end

--- Whether it was there.
function Cache:delete_cache(key)
  local there = live(self, key) ~= nil
  self.entries[key] = nil
  return there
end

--- An existing counter keeps its end.
function Cache:increment_cache(key, by, options)
  options = options or {}
  local entry = live(self, key)
  if not entry then
    store(self, key, options.initial or 0, options.ttl)
    entry = self.entries[key]
  elseif type(entry.value) ~= "number" then
    return answers.fail("cache", "the value of '" .. key .. "' is no integer")
  end
  entry.value = entry.value + (by or 1)
  return entry.value
end

--- The value of the key; else what `fn()` gives, which is kept.
function Cache:cached(key, ttl, fn)
  local entry = live(self, key)
  if entry then
    return copy(entry.value)
  end
  return (time.spawn_in(Future._app_scope(), 2, function()
    local value = fn()
    if getmetatable(value) == Future then
      value = value:await()
    end
    store(self, key, value, ttl)
    return value
  end))
end

return Cache
