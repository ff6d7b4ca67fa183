--- What the cache's API means wherever the cache is: each case runs in a handler, on a cache in
--- memory, on Redis, and on Redis whose values are kept near.
local redis = require("support.redis")
local servers = require("support.server")
local wire = require("support.wire")

-- POST / runs its body, in which `same` compares; says "good", or what is wrong.
local APP = [==[
local moongate = require("moongate")
local app = moongate.app()

local function same(wanted, got)
  local a, b = moongate.json.encode(wanted), moongate.json.encode(got)
  if a ~= b then
    error(("wanted %s, got %s"):format(a, b), 2)
  end
end

local function code_of(future)
  local _, err = future:try_await()
  return err and err.code
end

app:post("/", { timeout = 20 }, function(ctx)
  local case = assert(loadstring(ctx:body():await(), "=case"))
  setfenv(case, setmetatable({ moongate = moongate, ctx = ctx, cache = moongate.cache(),
    json = moongate.json, same = same, code_of = code_of }, { __index = _G }))
  case()
  return "good"
end)
app:on_error(function(ctx, err)
  return ctx:text(tostring(err), 500)
end)
return app
]==]

local CASES = {
  { "gives back what JSON can say, and strings as they are", [[
    local values = { "text", "", "a\0b\255", 7, -0.5, 2 ^ 53, true, false, { 1, 2, { a = "b" } },
      {}, json.array(), { nested = { list = { 1 } } }, json.decode("9223372036854775807"), "123",
      "{}" }
    for i, value in ipairs(values) do
      same(true, cache:set("key" .. i, value):await())
      same(value, cache:get("key" .. i):await())
      same(type(value), type(cache:get("key" .. i):await()))
    end
    cache:set("null", json.null):await()
    assert(cache:get("null"):await() == json.null)
    assert(cache:get("nothing"):await() == nil)]] },
  { "gives copies", [[
    local value = { 1 }
    cache:set("a", value):await()
    value[1] = 2
    cache:get("a"):await()[1] = 3
    same({ 1 }, cache:get("a"):await())]] },
  { "is asked by numbers as by their text, and by any bytes", [[
    cache:set(7, "seven"):await()
    same("seven", cache:get("7"):await())
    cache:set("a\0b\r\n c", 1):await()
    same(1, cache:get("a\0b\r\n c"):await())
    assert(cache:get("a\0b"):await() == nil)]] },
  { "deletes, and tells whether there was anything", [[
    cache:set("a", 1):await()
    same(true, cache:delete("a"):await())
    same(false, cache:delete("a"):await())
    assert(cache:get("a"):await() == nil)]] },
  { "forgets after ttl seconds", [[
    cache:set("long", 1, { ttl = 60 }):await()
    cache:set("short", 1, { ttl = 0.03 }):await()
    while cache:get("short"):await() do
      moongate.sleep(0.005):await()
    end
    same(1, cache:get("long"):await())
    cache:set("short", 2):await() -- without one it stays
    moongate.sleep(0.05):await()
    same(2, cache:get("short"):await())]] },
  { "counts in one step", [[
    same(1, cache:increment("n"):await())
    same(11, cache:increment("n", 10):await())
    same(8, cache:increment("n", -3):await())
    same(8, cache:get("n"):await())
    same(101, cache:increment("m", 1, { initial = 100 }):await())
    local all = {}
    for i = 1, 50 do
      all[i] = cache:increment("many")
    end
    local seen = {}
    for _, n in ipairs(moongate.Future.all(all):await()) do
      assert(not seen[n], n .. " was told twice")
      seen[n] = true
    end
    same(50, cache:get("many"):await())
    cache:increment("gone", 5, { ttl = 0.03 }):await()
    while cache:get("gone"):await() do
      moongate.sleep(0.005):await()
    end
    same(1, cache:increment("gone"):await())]] },
  { "does not count what is no integer", [[
    cache:set("text", "seven"):await()
    same("cache", code_of(cache:increment("text")))
    cache:set("half", 0.5):await()
    same("cache", code_of(cache:increment("half")))
    same("seven", cache:get("text"):await())]] },
  { "refuses what is too large with code limit", [[
    same("limit", code_of(cache:set(("k"):rep(1025), 1)))
    same("limit", code_of(cache:set("a", ("v"):rep(2 ^ 20 + 1))))
    assert(cache:get("a"):await() == nil)]] },
  { "raises at the caller's line for wrong arguments", [[
    for _, args in ipairs({ { "get", {} }, { "set", "a" }, { "set", "a", 1, { ttl = 0 } },
      { "set", "a", 1, { tll = 1 } }, { "set", "a", print }, { "increment", "a", 0.5 },
      { "cached", "a", 1 } }) do
      local name = args[1]
      local ok, err = pcall(function()
        cache[name](cache, unpack(args, 2))
      end)
      assert(not ok and (err.where or tostring(err)):find("case:%d+"), name)
    end]] },
  { "makes a value once for all who ask meanwhile, and gives it to later ones", [[
    local made, all = 0, {}
    for i = 1, 10 do
      all[i] = cache:cached("value", 60, function()
        made = made + 1
        moongate.sleep(0.01):await()
        return { n = made }
      end)
    end
    for _, value in ipairs(moongate.Future.all(all):await()) do
      same({ n = 1 }, value)
    end
    same({ n = 1 }, cache:cached("value", 60, error):await())
    same({ n = 1 }, cache:get("value"):await())]] },
  { "gives an error to who waits, and tries again for the next; nil is not stored", [[
    local function fails()
      moongate.sleep(0.005):await()
      error("not today")
    end
    for _, future in ipairs({ cache:cached("v", 9, fails), cache:cached("v", 9, fails) }) do
      local _, err = future:try_await()
      assert(tostring(err):find("not today", 1, true), tostring(err))
    end
    assert(cache:cached("v", 9, function() end):await() == nil)
    same("good", cache:cached("v", 9, function() return "good" end):await())]] },
  { "refuses a key that is asked for by what makes it", [[
    local function a()
      return cache:cached("a", 9, a):await()
    end
    local err = select(2, cache:cached("a", 9, a):try_await())
    same("cache", err.code)
    assert(tostring(err):find("is asked for by what is made for it", 1, true), tostring(err))]] },
  { "is emptied", [[
    cache:set("a", 1):await()
    cache:set("b", 2):await()
    cache:clear():await()
    assert(cache:get("a"):await() == nil and cache:get("b"):await() == nil)
    cache:set("a", 3):await()
    same(3, cache:get("a"):await())]] },
}

local store
local ENGINES = {
  { "in memory", function() return "memory:8M" end },
  { "in Redis", function() return store:url("?prefix=far:") end },
  { "in Redis, kept near", function() return store:url("?prefix=near:&near=8M") end },
}

describe("the cache", function()
  setup(function()
    store = redis.start()
  end)
  teardown(function()
    store:stop()
  end)

  for _, engine in ipairs(ENGINES) do
    describe(engine[1], function()
      local server, conn
      setup(function()
        server = servers.start({ cache = engine[2]() }, { app = APP })
        conn = server:connect()
      end)
      teardown(function()
        conn:close()
        server:stop()
      end)

      for _, case in ipairs(CASES) do
        it(case[1], function()
          local clear = conn:request(wire.post("/", "cache:clear():await()"), "POST")
          assert.equal("good", clear.body)
          assert.equal("good", conn:request(wire.post("/", case[2]), "POST").body)
        end)
      end
    end)
  end
end)
