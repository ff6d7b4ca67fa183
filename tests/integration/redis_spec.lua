--- Redis under a running server: the cache's calls and moongate.redis(), and what happens when it
--- is killed, freezes and comes back.
local process = require("support.process")
local redis = require("support.redis")
local servers = require("support.server")
local tls = require("support.tls")
local wire = require("support.wire")

-- POST /lua runs its body; an error is told as its code, reason and message.
local APP = [==[
local moongate = require("moongate")
local app = moongate.app()
local made = 0
app:post("/lua", { timeout = 20 }, function(ctx)
  local chunk = assert(loadstring(ctx:body():await()))
  setfenv(chunk, setmetatable({ redis = moongate.redis(), moongate = moongate, ctx = ctx,
    cache = moongate.cache() }, { __index = _G }))
  local ok, value = pcall(chunk)
  if not ok then
    return 409, { code = value.code, reason = value.reason,
      message = value.message or tostring(value) }
  end
  return { value = value }
end)
app:get("/cached", { timeout = 5 }, function(ctx)
  return ctx:cached("shown", 60, function()
    made = made + 1
    return "made " .. made
  end):await()
end)
app:get("/get", { timeout = 5 }, function(ctx)
  local value, err = ctx:query_cache("k"):try_await()
  return err and 503 or 200, err and err.code or value or "none"
end)
app:get("/plain", function() return "plain" end)
return app
]==]

local function start(options)
  return servers.start(options, { app = APP })
end

local function post(server, text)
  return server:request(wire.post("/lua", text), "POST")
end

-- What the text gives, as JSON.
local function value_of(server, text)
  local answer = post(server, text)
  assert.equal(200, answer.status, answer.body)
  return (answer.body:match('^{"value":(.*)}$') or answer.body)
end

local function failure_of(server, text)
  local answer = post(server, text)
  assert.equal(409, answer.status, answer.body)
  return answer.body
end

describe("Redis", function()
  local database, server

  setup(function()
    database = redis.start()
    server = start({ cache = database:url("?prefix=app:&timeout=0.5&max_reply=1M"),
      redis = { default = database:url("?timeout=0.5&max_reply=1M"),
        few = database:url("?leases=1") } })
  end)
  teardown(function()
    server:stop()
    database:stop()
  end)
  before_each(function()
    database:cli("FLUSHALL")
  end)

  describe("commands", function()
    it("give what the server says, in Lua's types", function()
      assert.equal('["OK","1",2,{"a":"1","b":"2"},["x"],1.5,true]', value_of(server, [[
        local list = { redis:command("SET", "n", 1):await(), redis:command("GET", "n"):await(),
          redis:command("INCR", "n"):await() }
        redis:command("HSET", "h", "a", 1, "b", 2):await()
        redis:command("SADD", "s", "x"):await()
        redis:command("ZADD", "z", 1.5, "m"):await()
        list[4] = redis:command("HGETALL", "h"):await()
        list[5] = redis:command("SMEMBERS", "s"):await()
        list[6] = redis:command("ZSCORE", "z", "m"):await()
        list[7] = redis:command("GET", "nothing"):await() == nil
        return list]]))
      assert.equal('[9223372036854775807,[null,"a"],"9007199254740993"]', value_of(server, [[
        redis:command("SET", "n", "9223372036854775806"):await()
        redis:command("SET", "exact", 9007199254740993LL):await()
        redis:command("SET", "k", "a"):await()
        return { redis:command("INCR", "n"):await(), redis:command("MGET", "none", "k"):await(),
          redis:command("GET", "exact"):await() }]]))
    end)

    it("fail with what the server says, and its first word", function()
      assert.equal('{"code":"redis","message":"WRONGTYPE Operation against a key '
        .. 'holding the wrong kind of value","reason":"WRONGTYPE"}', failure_of(server, [[
        redis:command("LPUSH", "l", 1):await()
        return redis:command("GET", "l"):await()]]))
    end)

    it("are refused where they would change the connection for others", function()
      assert.matches("SELECT would change the connection", failure_of(server,
        'return redis:command("select", 1):await()'), 1, true)
      assert.matches("CLIENT REPLY would change the connection", failure_of(server,
        'return redis:pipeline{ { "GET", "a" }, { "CLIENT", "REPLY", "OFF" } }:await()'), 1, true)
      assert.matches("redis:subscribe", failure_of(server,
        'return redis:command("SUBSCRIBE", "a"):await()'), 1, true)
      assert.matches(']:1: word 2: ', failure_of(server,
        'return redis:command("GET", {}):await()'), 1, true)
    end)

    it("that wait at the server hold up no others", function()
      assert.equal('["still here",["list","pushed"]]', value_of(server, [[
        local waiting = redis:command("BLPOP", "list", 5)
        moongate.sleep(0.02):await()
        local pong = redis:command("ECHO", "still here"):await()
        redis:command("RPUSH", "list", "pushed"):await()
        return { pong, waiting:await() }]]))
    end)

    it("that wait in a pipeline hold up no others, and tell of what stands before them", function()
      assert.equal('["still here",["OK",["list","pushed"],0]]', value_of(server, [[
        local waiting = redis:pipeline{ { "SET", "a", 1 }, { "BLPOP", "list", 5 },
          { "WAIT", 0, 10 } }
        moongate.sleep(0.02):await()
        local pong = redis:command("ECHO", "still here"):await()
        redis:command("RPUSH", "list", "pushed"):await()
        return { pong, waiting:await() }]]))
      assert.equal("0", value_of(server, "return redis:stats().leased"))
    end)

    it("that wait for ever outlive the timeout of others", function()
      assert.equal('["list","pushed"]', value_of(server, [[
        local waiting = redis:command("BLPOP", "list", 0)
        moongate.sleep(0.7):await() -- timeout=0.5
        redis:command("RPUSH", "list", "pushed"):await()
        return waiting:await()]]))
    end)

    it("that would need one connection too many are told of the limit", function()
      assert.equal('["limit",true]', value_of(server, [[
        local few = moongate.redis("few")
        local waiting = few:command("BLPOP", "list", 5)
        local _, err = few:command("BLPOP", "list", 5):try_await()
        local _, other = few:watch("a", function() end):try_await()
        assert(other.reason == "limit")
        redis:command("RPUSH", "list", "pushed"):await()
        return { err.reason, waiting:await()[2] == "pushed" }]]))
    end)

    it("with a reply that is too large fail alone", function()
      assert.equal('["limit","small"]', value_of(server, [[
        redis:command("SET", "large", ("x"):rep(2 ^ 20 - 100)):await()
        redis:command("APPEND", "large", ("x"):rep(200)):await()
        local large, small = redis:command("GET", "large"), redis:command("ECHO", "small")
        local _, err = large:try_await()
        return { err.reason, small:await() }]]))
    end)

    it("of many values become Lua's over several turns", function()
      assert.equal('[10000,"9999"]', value_of(server, [[
        local words = { "RPUSH", "l" }
        for i = 0, 4999 do words[#words + 1] = i end
        redis:command(unpack(words)):await()
        for i = 5000, 9999 do words[i - 4997] = i end
        redis:command(unpack(words)):await()
        local list = redis:command("LRANGE", "l", 0, -1):await()
        return { #list, list[10000] }]]))
      assert.equal('[3000,"v3000",5000,"9999"]', value_of(server, [[
        local words = { "HSET", "h" }
        for i = 1, 3000 do
          words[2 * i + 1], words[2 * i + 2] = "f" .. i, "v" .. i
        end
        redis:command(unpack(words)):await()
        local list = redis:pipeline{ { "HGETALL", "h" }, { "LRANGE", "l", 5000, -1 } }:await()
        local n = 0
        for _ in pairs(list[1]) do n = n + 1 end
        return { n, list[1].f3000, #list[2], list[2][5000] }]]))
    end)

    it("may have any number of words, as a list", function()
      assert.equal('["OK","5000"]', value_of(server, [[
        local words = { "MSET" }
        for i = 1, 5000 do
          words[2 * i] = "many:" .. i
          words[2 * i + 1] = i
        end
        return redis:pipeline{ words, { "GET", "many:5000" } }:await()]]))
    end)

    it("find keys one by one", function()
      assert.equal('[300,true,false]', value_of(server, [[
        local all = {}
        for i = 1, 300 do all[i] = { "SET", "scanned:" .. i, i } end
        all[301] = { "SET", "other", 1 }
        redis:pipeline(all):await()
        local seen, n = {}, 0
        for key in redis:scan{ match = "scanned:*", count = 50 } do
          n = n + (seen[key] and 0 or 1)
          seen[key] = true
        end
        return { n, seen["scanned:300"], seen.other or false }]]))
    end)
  end)

  it("pipelines give a reply for each command, errors too", function()
    assert.equal('["OK","1","WRONGTYPE",null]', value_of(server, [[
      local list = redis:pipeline{ { "SET", "a", 1 }, { "GET", "a" }, { "LPOP", "a" },
        { "GET", "none" } }:await()
      list[3] = list[3].reason
      return list]]))
  end)

  it("transactions happen as a whole, and not at all once a watched key has changed", function()
    assert.equal('[["OK",2],"2"]', value_of(server, [[
      local list = redis:multi{ { "SET", "n", 1 }, { "INCR", "n" } }:await()
      return { list, redis:command("GET", "n"):await() }]]))
    assert.matches('"reason":"ERR"', failure_of(server, [[
      return redis:multi{ { "SET", "n", 5 }, { "NONSENSE" } }:await()]]), 1, true)
    assert.equal('["2",["OK"],"3","changed","9"]', value_of(server, [[
      local got, first
      first = redis:watch("n", function(tx)
        got = tx:command("GET", "n"):await()
        return tx:multi{ { "SET", "n", got + 1 } }
      end):await()
      local after = redis:command("GET", "n"):await()
      local second = redis:watch({ "n", "m" }, function(tx)
        redis:command("SET", "n", 9):await()
        return tx:multi{ { "SET", "n", 0 } }
      end):await()
      return { got, first, after, second == nil and "changed" or second,
        redis:command("GET", "n"):await() }]]))
    assert.equal('["unseen","11"]', value_of(server, [[
      local value = redis:watch("n", function(tx)
        tx:multi{ { "SET", "n", 11 } }
        return "unseen"
      end):await()
      return { value, redis:command("GET", "n"):await() }]]))
    assert.matches("NONSENSE", failure_of(server, [[
      return redis:watch("n", function(tx)
        tx:multi{ { "SET", "n", 12 }, { "NONSENSE" } }
      end):await()]]), 1, true)
    assert.equal("0", value_of(server, "return redis:stats().leased"))
  end)

  it("scripts go by their SHA, also when the server has forgotten it", function()
    assert.equal('[["a","1"],["a","2"],["a","3"]]', value_of(server, [[
      local source = "return { KEYS[1], ARGV[1] }"
      local list = {}
      list[1] = redis:script(source, { "a" }, { 1 }):await()
      list[2] = redis:script(source, { "a" }, { 2 }):await()
      redis:command("SCRIPT", "FLUSH"):await()
      list[3] = redis:script(source, { "a" }, { 3 }):await()
      return list]]))
  end)

  it("scripts beyond count keep their meaning", function()
    assert.equal("600", value_of(server, [[
      local sum = 0
      for _ = 1, 2 do
        for i = 1, 300 do
          sum = sum + redis:script("return " .. i .. " - " .. i .. " + 1"):await()
        end
      end
      return sum]]))
  end)

  it("messages are heard, and a lost connection is told", function()
    assert.equal('[["a","1"],["news.x","2"],"missed",["a","3"]]', value_of(server, [[
      local heard = {}
      local messages = redis:subscribe({ channels = { "a" }, patterns = { "news.*" } })
      messages:ready():await()
      redis:command("PUBLISH", "a", 1):await()
      redis:command("PUBLISH", "news.x", 2):await()
      moongate.sleep(1.1):await() -- a connection that is lost at once is left alone for a while
      for message in messages do
        heard[#heard + 1] = message.missed and "missed" or { message.channel, message.payload }
        if #heard == 2 then
          redis:command("CLIENT", "KILL", "TYPE", "pubsub"):await()
        elseif message.missed then
          redis:command("PUBLISH", "a", 3):await()
        elseif message.payload == "3" then
          messages:close()
        end
      end
      if heard[4] == "missed" then table.remove(heard, 4) end
      return heard]]))
  end)

  describe("as the cache", function()
    it("keeps values that redis-cli can read", function()
      assert.equal("true", value_of(server, [[
        cache:set("table", { a = 1 }):await()
        cache:set("text", "plain text"):await()
        cache:set("digits", "12"):await()
        cache:set("number", 12):await()
        cache:set("bytes", "{\0\255"):await()
        return cache:set("ends", true, { ttl = 100 }):await()]]))
      assert.equal('{"a":1}', database:cli("GET", "app:table"))
      assert.equal("plain text", database:cli("GET", "app:text"))
      assert.equal('"12"', database:cli("GET", "app:digits"))
      assert.equal("12", database:cli("GET", "app:number"))
      assert.is_true(tonumber(database:cli("TTL", "app:ends")) > 50)
      assert.equal('[{"a":1},"plain text","12",12,true,true]', value_of(server, [[
        return { cache:get("table"):await(), cache:get("text"):await(), cache:get("digits"):await(),
          cache:get("number"):await(), cache:get("ends"):await(),
          cache:get("bytes"):await() == "{\0\255" }]]))
    end)

    it("reads what other programs have stored", function()
      database:cli("SET", "app:a", "hello")
      database:cli("SET", "app:b", "[1,2")
      database:cli("SET", "app:c", "[1,2]")
      database:cli("LPUSH", "app:list", "1")
      assert.equal('["hello","[1,2",[1,2]]', value_of(server, [[
        return { cache:get("a"):await(), cache:get("b"):await(), cache:get("c"):await() }]]))
      assert.matches("WRONGTYPE", failure_of(server, 'return cache:get("list"):await()'), 1, true)
    end)

    it("counts in one step, exactly, and keeps the counter's end", function()
      assert.equal("[41,42,true,9007199254740994]", value_of(server, [[
        local list = { cache:increment("n", 1, { initial = 40, ttl = 100 }):await(),
          cache:increment("n"):await() }
        list[3] = redis:command("TTL", "app:n"):await() > 90
        redis:command("SET", "app:large", "9007199254740993"):await()
        list[4] = cache:increment("large"):await()
        return list]]))
      assert.matches("is no integer", failure_of(server, [[
        cache:set("text", "x"):await()
        return cache:increment("text"):await()]]), 1, true)
      assert.matches("does not fit into 64 bits", failure_of(server, [[
        redis:command("SET", "app:most", "9223372036854775807"):await()
        return cache:increment("most"):await()]]), 1, true)
    end)

    it("forgets its own keys alone", function()
      database:cli("SET", "theirs", "1")
      assert.equal("[true,false,true,true]", value_of(server, [[
        cache:set("a", 1):await()
        local list = { cache:delete("a"):await(), cache:delete("a"):await() }
        for i = 1, 1200 do cache:set("k" .. i, i) end
        cache:set("last", 1):await()
        list[3] = cache:clear():await()
        list[4] = cache:get("k1"):await() == nil
        return list]]))
      assert.equal("theirs", database:cli("KEYS", "*"))
    end)

    it("has a value made once by all nodes", function()
      local other = start({ cache = database:url("?prefix=app:") })
      local slow = [[return cache:cached("slow", 60, function()
        moongate.sleep(0.3):await()
        redis:command("INCR", "made"):await()
        return "value"
      end):await()]]
      local one, two = server:connect(), other:connect()
      one:send(wire.post("/lua", slow))
      two:send(wire.post("/lua", slow))
      assert.equal('{"value":"value"}', one:read("POST").body)
      assert.equal('{"value":"value"}', two:read("POST").body)
      assert.equal("1", database:cli("GET", "made"))
      process.wait_until("the lease has ended", function()
        return database:cli("KEYS", "*lease*") == ""
      end)
      other:stop()
    end)
  end)
end)

describe("a Redis that goes", function()
  local database, server

  setup(function()
    database = redis.start()
    server = start({ cache = database:url("?timeout=0.3&backoff=0.1") })
  end)
  teardown(function()
    server:stop()
    database:stop()
  end)
  before_each(function()
    database:cli("FLUSHALL")
    assert.equal(200, server:get("/get").status)
  end)

  local function wait_for(status)
    process.wait_until("/get answers " .. status, function()
      return server:get("/get").status == status
    end)
  end

  it("is not emptied if it has keys of others", function()
    assert.matches("prefix=NAME:", failure_of(server, "return cache:clear():await()"), 1, true)
  end)

  it("fails calls at once, is told once, and is found again", function()
    database:kill()
    wait_for(503)
    local answer = server:get("/get")
    assert.equal("503 cache", answer.status .. " " .. answer.body)
    assert.matches('"reason":"down"', failure_of(server, 'return redis:command("PING"):await()'), 1,
      true)
    assert.equal("made 1", server:get("/cached").body)
    assert.equal("made 2", server:get("/cached").body)
    assert.equal('"down"', value_of(server, "return redis:stats().state"))
    database:start()
    wait_for(200)
    server:wait_for_log("there again")
    local _, warnings = server:stderr():gsub("warn[^\n]*redis://", "")
    assert.equal(1, warnings, server:stderr())
    assert.equal("made 3", server:get("/cached").body)
    assert.equal("made 3", server:get("/cached").body)
  end)

  it("that is frozen holds deadlines, and holds up nothing else", function()
    database:signal("STOP")
    local waiting = server:connect()
    waiting:send(wire.get("/get"))
    assert.equal("plain", server:get("/plain").body) -- the loop goes on
    assert.equal(503, waiting:read("GET").status)
    assert.equal('"down"', value_of(server, "return redis:stats().state"))
    assert.matches("made %d", server:get("/cached").body)
    database:signal("CONT")
    wait_for(200)
  end)

  it("in the middle of many calls ends all of them, and none is said twice", function()
    local connections = {}
    database:signal("STOP")
    for i = 1, 20 do
      connections[i] = server:connect()
      connections[i]:send(wire.post("/lua", 'return redis:command("INCR", "n"):await()'))
    end
    for i = 1, 20 do
      assert.equal(409, connections[i]:read("POST").status)
    end
    database:signal("CONT")
    wait_for(200)
    assert.is_true((tonumber(database:cli("GET", "n")) or 0) <= 20)
    for i = 1, 20 do
      connections[i]:send(wire.post("/lua", 'return redis:command("INCR", "n"):await()'))
    end
    database:kill()
    for i = 1, 20 do
      assert.is_true(connections[i]:read("POST").status > 0)
      connections[i]:close()
    end
    database:start()
    wait_for(200)
  end)
end)

describe("a Redis that wants to know who we are", function()
  local database

  setup(function()
    database = redis.start({ "--requirepass", "topsecret", "--user", "bob", "on", ">bobsecret",
      "~app:*", "+@all", "-flushall" })
  end)
  teardown(function()
    database:stop()
  end)

  it("gets user and password, of the URL or of a file, which nobody else sees", function()
    local folder = process.temp_folder()
    process.write_file(folder .. "/password", "topsecret\n")
    local server = start({
      cache = ("redis://bob:bobsecret@127.0.0.1:%d?prefix=app:"):format(database.port),
      redis = {
        default = ("redis://127.0.0.1:%d/3?password_file=%s/password"):format(database.port,
          folder),
        wrong = ("redis://:nosecret@127.0.0.1:%d"):format(database.port),
        socket = ("redis+unix://%s/redis.sock?password_file=%s/password"):format(database.folder,
          folder),
      },
    })
    assert.equal("true", value_of(server, 'return cache:set("k", 1):await()'))
    assert.equal('["OK","3","default","PONG"]', value_of(server, [[
      local list = { redis:command("SET", "k", 1):await() }
      list[2] = redis:command("CLIENT", "INFO"):await():match(" db=(%d)")
      list[3] = redis:command("ACL", "WHOAMI"):await()
      list[4] = moongate.redis("socket"):command("PING"):await()
      return list]]))
    assert.matches('"reason":"auth"', failure_of(server,
      'return moongate.redis("wrong"):command("PING"):await()'), 1, true)
    assert.matches("there is no Redis 'rong' %(did you mean 'wrong'%?%); configured: ", failure_of(
      server, 'return moongate.redis("rong"):command("PING"):await()'))
    local said = process.run({ servers.BINARY, "check", "--connect", server.conf }, 30)
    assert.equal(1, said.status)
    assert.matches("cache: redis://127.0.0.1:%d+ works", said.out .. said.err)
    assert.matches("redis wrong: redis://127.0.0.1:%d+ fails: ", said.out .. said.err)
    local log = server:wait_for_log("WRONGPASS")
    for _, text in ipairs({ log, server:stdout(), said.out, said.err }) do
      assert.is_nil(text:find("secret"))
    end
    server:stop()
    process.remove_folder(folder)
  end)
end)

describe("Redis over TLS", function()
  it("is believed if its certificate is good for its name", function()
    local folder = process.temp_folder()
    local cert, key = folder .. "/localhost.pem", folder .. "/localhost.key"
    local port = servers.free_port()
    tls.make(folder, "localhost")
    local database = redis.start({ "--tls-port", tostring(port), "--tls-cert-file", cert,
      "--tls-key-file", key, "--tls-auth-clients", "no" })
    local server = start({
      cache = ("rediss://localhost:%d?ca=%s"):format(port, cert),
      redis = {
        stranger = ("rediss://localhost:%d"):format(port),
        insecure = ("rediss://localhost:%d?insecure=true"):format(port),
        misnamed = ("rediss://localhost:%d?ca=%s&server_name=other.test"):format(port, cert),
        plain = ("rediss://localhost:%d?connect_timeout=0.1"):format(database.port),
      },
    })
    assert.equal('"PONG"', value_of(server, 'return redis:command("PING"):await()'))
    assert.equal('"PONG"', value_of(server,
      'return moongate.redis("insecure"):command("PING"):await()'))
    for name, why in pairs({ stranger = "certificate", misnamed = "certificate",
      plain = "the TLS handshake took longer than 0.1 s" }) do
      process.wait_until(name .. " is refused: " .. why, function()
        local text = failure_of(server,
          ('return moongate.redis("%s"):command("PING"):await()'):format(name))
        return text:find(why, 1, true)
      end)
    end
    server:stop()
    database:stop()
    process.remove_folder(folder)
  end)
end)

describe("a reload", function()
  it("keeps the connections of what did not change", function()
    local database = redis.start()
    local server = start({ cache = database:url(), redis = { other = database:url("/1") } })
    local id = 'return redis:command("CLIENT", "ID"):await()'
    local other = 'return moongate.redis("other"):command("CLIENT", "ID"):await()'
    local before, other_before = value_of(server, id), value_of(server, other)
    server.config.redis.other = database:url("/2")
    process.write_file(server.conf, servers.config_text(server.config))
    server.process:signal("HUP")
    process.wait_until("the other one is new", function()
      return value_of(server, other) ~= other_before
    end)
    assert.equal(before, value_of(server, id))
    server:stop()
    database:stop()
  end)
end)
