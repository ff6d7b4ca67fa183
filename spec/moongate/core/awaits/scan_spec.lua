--- Forgotten awaits, found by reading.
local reference = require("moongate.core.docs.reference")
local surfaces = require("moongate.core.awaits.surface")
local scan = require("moongate.core.awaits.scan")
local parser = require("moongate.core.awaits.parser")

local surface = surfaces.of(reference.load())

local HEAD = 'local moongate = require("moongate") local app = moongate.app() '
  .. "local http, Future = moongate.http, moongate.Future "

-- The findings of a handler's body, on its one line, as text.
local function in_handler(body)
  local findings = scan.find(surface, HEAD .. 'app:get("/", function(ctx) ' .. body .. " end)")
  local texts = {}
  for i, finding in ipairs(findings) do
    texts[i] = finding.text
  end
  return table.concat(texts, "\n")
end

describe("a Future used as its value", function()
  for body, wanted in pairs({
    ["if ctx:query_cache('k') then end"] =
      "ctx:query_cache(...) is a Future, which is always true: write ctx:query_cache(...):await()",
    ["if a then elseif ctx:body() then end"] = "ctx:body(...) is a Future, which is always true",
    ["while not ctx:read_file('f') do end"] = "ctx:read_file(...) is a Future, which is always",
    ["repeat local f = ctx:body() until f"] = "f is the Future made at line 1, which is always",
    ["if a and (b or ctx:body()) then end"] = "ctx:body(...) is a Future, which is always true",
    ["local v = ctx:query_cache('k') or 1"] = "which is always true",
    ["local v = ctx:query_cache('k') and 1"] = "which is always true",
    ["if ctx:query_cache('k') == nil then end"] = "which equals nothing but itself",
    ["if 'x' ~= ctx:query_cache('k') then end"] = "which equals nothing but itself",
    ["local f = ctx:body() if f == 'x' then end"] = "f is the Future made at line 1, which equals",
    ["local n = #ctx:body()"] = "where '#' wants a value",
    ["local n = -ctx:increment('k')"] = "where '-' wants a value",
    ["local n = ctx:increment('k') + 1"] = "where '+' wants a value",
    ["local t = 'a' .. ctx:body()"] = "where '..' wants a value",
    ["local t = 'a' .. (b or ctx:body())"] = "where '..' wants a value",
    ["local x = ctx:body_json().name"] =
      "ctx:body_json(...) is a Future, which has no 'name': write ctx:body_json(...):await()",
    ["local x = ctx:query_database('s')[1]"] = "which has no elements",
    ["local user = ctx:body_json() print(user.name)"] =
      "user is the Future made at line 1, which has no 'name': write user:await()",
    ["local r = http.get('u') r.status = 1"] = "the Future made at line 1, which has no 'status'",
    ["local f = ctx:body() f:awiat()"] = "which has no 'awiat': write f:await(...)",
    ["ctx:body():upper()"] = "ctx:body(...) is a Future, which has no 'upper'",
    ["for k in pairs(ctx:body_form()) do end"] = "where a value is wanted",
    ["for k in ctx:body() do end"] = "over which nothing can go",
    ["for i = 1, ctx:increment('k') do end"] = "where a number is wanted",
    ["assert(ctx:read_file('f'))"] = "where a value is wanted",
    ["local t = string.upper(ctx:body())"] = "where a value is wanted",
    ["local t = string.format('%s', ctx:body())"] = "where a value is wanted",
    ["local t = ('%s'):format(ctx:body())"] = "where a value is wanted",
    ["table.sort(ctx:body_json())"] = "where a value is wanted",
    ["local f = ctx:body_json() table.insert(f, 1)"] = "where a value is wanted",
    ["local n = math.max(1, ctx:increment('k'))"] = "where a value is wanted",
    ["ctx:query_database('s', 1, ctx:query_cache('k')):await()"] = "where a value is wanted",
    ["moongate.redis():command('SET', 'k', ctx:body()):await()"] = "where a value is wanted",
    ["local text, err = ctx:read_file('f')"] = "ctx:read_file(...) is a Future, one value: nothing "
      .. "is left for err: write ctx:read_file(...):try_await()",
    ["ctx:json(ctx:query_cache('k'))"] = "where a value is wanted",
    ["ctx.json(ctx, ctx:query_cache('k'))"] = "where a value is wanted",
    ["ctx:json({ a = { ctx:query_cache('k') } })"] = "where a value is wanted",
    ["ctx:header('X', ctx:query_cache('k'))"] = "where a value is wanted",
    ["ctx:update_cache('k', ctx:query_cache('j'))"] = "where a value is wanted",
    ["return ctx:query_cache('k')"] = "ctx:query_cache(...) is a Future, which is no answer",
    ["return a or ctx:query_cache('k')"] = "ctx:query_cache(...) is a Future, which is no answer",
    ["return { user = ctx:query_cache('k') }"] = "which is no answer",
    ["return 200, moongate.sleep(1)"] = "moongate.sleep(...) is a Future, which is no answer",
    ["ctx:sleep(1)"] =
      "ctx:sleep(...) is a Future that nothing waits for: write ctx:sleep(...):await()",
    ["Future.all({ ctx:body() })"] = "Future.all(...) is a Future that nothing waits for",
    ["moongate.cache():get('k')()"] = "which cannot be called",
    ["local db = ctx:database() if db:one('s') then end"] = "db:one(...) is a Future",
    ["local read = moongate.files.read_file if read('f') then end"] = "read(...) is a Future",
    ["ctx:transaction(function(tx) if tx:one('s') then end end):await()"] = "tx:one(...) is a",
    ["local x x = ctx:body() if x then end"] = "x is the Future made at line 1, which is always",
    ["local f = ctx:body() local function g() return f.x end"] = "f is the Future made at line 1",
    ["if ctx:read_file('f'):and_then(print) then end"] = "which is always true",
  }) do
    it("is told: " .. body, function()
      local said = in_handler(body)
      assert.truthy(said:find(wanted, 1, true), said)
      assert.is_nil(said:find("\n"), said)
    end)
  end

  for _, body in ipairs({
    "if ctx:query_cache('k'):await() then end",
    "local f = ctx:body() return f:await()",
    "local f = ctx:body() f = f:await() if f then end",
    "local f if a then f = ctx:body() end if f then f:await() end",
    "local f while a do if f then f:await() end f = ctx:body() end",
    "local f = ctx:body() local g = function() f = 1 end g() if f then end",
    "local f = ctx:body() local g = function() return f.x end f = {} g()",
    "local f = a and ctx:body() or ctx:sleep(1) f:await()",
    "local f = a and ctx:body() if f then f:await() end",
    "local f = ctx:body() if f == g then end",
    "local text, err = ctx:read_file('f'):try_await()",
    "local a, b = ctx:body(), ctx:sleep(1) a:await() b:await()",
    "local all = Future.all({ ctx:body(), ctx:sleep(1) }):await()",
    "local function later() return ctx:body() end return later():await()",
    "return ctx:cached('k', 1, function() return ctx:body() end):await()",
    "ctx:body():and_then(function(b) return ctx:sleep(1) end):await()",
    "ctx:body():and_then(print)", "ctx:spawn(print)", "ctx:update_cache('k', 1)",
    "local f = ctx:body() f.keep = true f:finally(print)",
    "local f = ctx:body() local m = 'await' return f[m](f)",
    "local f = moongate.future() f:resolve(1) return f:await()",
    "local ctx = other() if ctx:body() then end",
    "local o = {} if o:body() then end",
    "pcall(ctx.body(ctx).await)",
    "moongate.spawn(print, ctx:body())",
    "local t = {} table.insert(t, ctx:body()) Future.all(t):await()",
    "local t = ('a'):gsub('a', function() ctx:spawn(print) end)",
  }) do
    it("is not seen in: " .. body, function()
      assert.equal("", in_handler(body))
    end)
  end
end)

-- The lines of the findings of a whole script.
local function lines_of(text)
  local lines = {}
  for i, finding in ipairs(scan.find(surface, text)) do
    lines[i] = finding.line
  end
  return lines
end

describe("what is looked at", function()
  it("is a parameter called ctx, and whatever a route's function calls it", function()
    assert.same({ 1 }, lines_of("return function(ctx) if ctx:body() then end end"))
    assert.same({ 1 }, lines_of("return function(app) "
      .. "app:post('/', function(c) return c:body() end) end"))
    assert.same({ 1 }, lines_of("require('moongate').app():group('/a', function(g) "
      .. "g:get('/', 'name', function(r) return r:body() end) end)"))
    assert.same({}, lines_of("return function(c) if c:body() then end end"))
  end)

  it("is told by line, in order, of a local once", function()
    assert.same({ 3, 6 }, lines_of("return function(ctx)\nlocal f = ctx:body()\nprint(f.a)\n"
      .. "print(f.b)\nif x then\nreturn not ctx:body()\nend end"))
  end)

  it("is not what a comment says is meant, on its line or alone above", function()
    local test = "if ctx:body() then end"
    assert.same({}, lines_of("return function(ctx) " .. test .. " -- moongate: not awaited\nend"))
    assert.same({}, lines_of("return function(ctx)\n-- moongate: not awaited\n" .. test .. "\nend"))
    assert.same({ 2 }, lines_of("return function(ctx) -- moongate: not awaited\n" .. test
      .. "\nend"))
    assert.same({ 4 }, lines_of("return function(ctx)\n-- moongate: not awaited\n\n" .. test
      .. "\nend"))
  end)

  it("is nothing of what LuaJIT does not take", function()
    assert.same({}, (scan.find(surface, "if then")))
    assert.same({}, (scan.find(surface, string.dump(function() end))))
  end)
end)

-- --- the repository ---

local function scripts(folders)
  local list = {}
  local find = io.popen("find " .. folders .. " -name '*.lua'")
  for path in find:lines() do
    local file = assert(io.open(path))
    list[#list + 1] = { path = path, text = file:read("*a") }
    file:close()
  end
  find:close()
  return list
end

-- Those that try what a forgotten await does.
local ON_PURPOSE = { ["spec/moongate/core/future/missing_spec.lua"] = true }

describe("the scripts of this repository", function()
  it("forget no await", function()
    local seen = 0
    for _, script in ipairs(scripts("lua conf spec tests")) do
      local findings, why = scan.find(surface, script.text)
      seen = seen + 1
      assert.is_nil(why, script.path .. ":" .. tostring(why))
      for _, finding in ipairs(ON_PURPOSE[script.path] and {} or findings) do
        local is_spec = script.path:find("_spec%.lua$")
        local dropped = finding.text:find("that nothing waits for", 1, true)
        -- Specs drop Futures to see what becomes of them.
        assert.truthy(is_spec and dropped, script.path .. ":" .. finding.line .. ": "
          .. finding.text)
      end
    end
    assert.is_true(seen > 300)
  end)

  it("are read without an end or a crash, however they are cut and mixed", function()
    local all = scripts("lua/moongate/core spec/moongate/core/future")
    local random = 7
    local function next_random(n)
      random = (random * 16807) % 2147483647
      return random % n + 1
    end
    for _ = 1, 200 do
      local a, b = all[next_random(#all)].text, all[next_random(#all)].text
      local text = a:sub(1, next_random(#a)) .. b:sub(next_random(#b))
      local findings, why = scan.find(surface, text)
      assert.is_table(findings)
      assert.is_nil(why) -- whatever LuaJIT takes is understood
      local ok, err = pcall(parser.parse, text)
      assert.is_true(ok or type(err) == "table" and err.line > 0, tostring(err))
    end
  end)

  it("are as good when nested as deeply as LuaJIT allows", function()
    local deep = "return function(ctx) return " .. ("("):rep(150) .. "ctx:body()" .. (")"):rep(150)
      .. " == nil end"
    assert.same({ 1 }, lines_of(deep))
    local nested = ("local a, b = f(function() "):rep(60) .. (" end)"):rep(60)
    assert.same({}, lines_of(nested))
    local chain = "return x" .. (".y"):rep(20000)
    local findings, why = scan.find(surface, chain)
    assert.same({}, findings)
    assert.is_true(why == nil or type(why) == "string")
  end)
end)
