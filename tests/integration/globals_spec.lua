--- What scripts do to the globals and libraries that they share with the server: it goes on.
local services = require("support.service")
local wire = require("support.wire")

local service
local start, stop = services.each(function(now)
  service = now
end)

after_each(stop)

-- What scripts may do to all libraries, by whichever way they get at them.
local LIBRARIES = [[
  local names = {
    "string", "table", "math", "coroutine", "bit", "debug", "io", "os", "jit", "package",
  }
  for _, name in next, names do
    local library = (%s)[name]
    for key in next, library do library[key] = nil end
  end
]]

local WAYS = {
  ["a library without its functions"] = "for k in next, string do string[k] = nil end "
    .. "for k in next, table do table[k] = nil end for k in next, math do math[k] = nil end",
  ["functions that raise"] = "for k in next, string do "
    .. "string[k] = function() error('mine') end end",
  ["all libraries of package.loaded"] = LIBRARIES:format("package.loaded"),
  ["all libraries of getfenv(0)"] = LIBRARIES:format("getfenv(0)"),
  ["the globals of getfenv(0)"] = "local g = getfenv(0) for k in next, g do g[k] = nil end",
  ["the globals of the server's functions"] = "local one, other = getfenv, debug.getfenv "
    .. "local next, fns = next, { print, require, moongate.spawn } for _, fn in next, fns do "
    .. "for _, g in next, { one(fn), other(fn) } do for k in next, g do g[k] = nil end end end",
  ["rawset of globals"] = "for _, k in next, { 'pairs', 'type', 'error', 'pcall', 'next' } do "
    .. "rawset(_G, k, false) end",
  ["strings without methods"] = 'getmetatable("").__index = nil',
  ["strings with methods that raise"] = 'getmetatable("").__index = function() error("mine") end',
  ["another metatable of strings"] = 'for _, k in next, { "__index", "__concat", "__lt" } '
    .. 'do getmetatable("")[k] = error debug.getmetatable("")[k] = error end',
  ["package.loaded"] = "for k in next, getfenv(0).package.loaded do "
    .. "package.loaded[k] = nil getfenv(0).package.loaded[k] = nil end",
  ["package"] = 'package.path, package.loaders, package.preload = "none", nil, nil',
  ["coroutine"] = "coroutine.resume = error coroutine.yield = error coroutine.running = error",
  ["the collector and the compiler"] = "jit.off() jit.flush() pcall(collectgarbage, 'stop') "
    .. "collectgarbage('setpause', 100000)",
  ["hooks and metatables of all values"] = "pcall(debug.sethook, error, 'c') "
    .. "pcall(debug.setmetatable, nil, { __index = error }) pcall(debug.setmetatable, print, {}) "
    .. "pcall(debug.setmetatable, 1, {}) pcall(setmetatable, _G, {}) "
    .. "getmetatable(_G).__index = nil",
}

-- What the server does for scripts, some of it with modules that it has not loaded until then.
local ROUTES = [[
app:use(moongate.middleware.request_id())
app:get("/spoil", function() spoil() return "spoilt" end)
app:get("/path/:id<int>", function(ctx)
  return { ctx.params.id, ctx.query.q, ctx:query_all("q") }
end)
app:get("/error", function() error("raised") end)
app:get("/fail", function(ctx) ctx:fail(418, "tea", { pot = 1 }) end)
app:post("/json", function(ctx) return ctx:body_json():await() end)
app:post("/form", function(ctx) return ctx:body_form():await() end)
app:get("/rows", function(ctx)
  local sum = 0
  for row in moongate.database():rows("SELECT 1 AS n UNION ALL SELECT 2") do sum = sum + row.n end
  local one = ctx:transaction(function(tx) return tx:one("SELECT 7 AS n"):await() end):await()
  return { sum = sum, one = one }
end)
app:get("/cached", function(ctx)
  return ctx:cached(ctx.request_id, 1, function() return { made = true } end):await()
end)
app:get("/all", function(ctx)
  return moongate.Future.all({
    a = ctx:spawn(function() ctx:sleep(0.01):await() return 1 end),
    b = ctx:read_file("lua/none"):catch(function() return 2 end),
  }):await()
end)
app:get("/events", function(ctx)
  return ctx:events(function(out) out:send({ data = { n = 1 } }) end)
end)
app:get("/stream", function(ctx)
  return ctx:stream("text/plain", function(out) out:write("piece") end)
end)
app:get("/file", function(ctx) return ctx:send_file("lua/app.lua", { root = "." }) end)
app:get("/log", function()
  moongate.log.info("told", { n = 1, list = { 1 } })
  print("printed")
  return "told"
end)
app:static("/static", "lua")
app:proxy("/proxied/*path", "itself", { strip = "/proxied" })
app:get("/asked", function(ctx)
  ctx:proxy("itself", { path = "/log" })
  ctx:header("X-Asked", "yes")
end)
app:get("/http", function(ctx) return ctx:http_request(ctx.query.url):await().body end)
]]

local function spoilt_app(code, loading)
  local lines = "local spoil = function() " .. code .. " end\n" .. ROUTES
  return lines .. (loading and "spoil()\n" or "")
end

local function assert_serves(when)
  local function get(target, status, want)
    local res = service:get(target)
    local what = when .. ": GET " .. target .. "\n"
    assert.equal(status, res.status, what .. service:stderr():sub(-1500))
    assert.truthy(res.body:find(want, 1, true), what .. res.body)
  end
  get("/path/5?q=a&q=b", 200, '[5,"b",["a","b"]]')
  get("/path/x", 404, "404")
  get("/error", 500, "request_id")
  get("/fail", 418, '"pot":1')
  get("/rows", 200, '"sum":3')
  get("/cached", 200, '"made":true')
  get("/all", 200, '"b":2')
  get("/events", 200, 'data: {"n":1}')
  get("/stream", 200, "piece")
  get("/file", 200, "moongate.app()")
  get("/log", 200, "told")
  get("/static/app.lua", 200, "moongate.app()")
  get("/proxied/log", 200, "told")
  get("/asked", 200, "told")
  get("/http?url=" .. service:url("/log"), 200, "told")
  for _, body in ipairs({
    { "/json", "application/json", '{"a":[1]}' },
    { "/form", "application/x-www-form-urlencoded", "a=%5B1%5D" },
    { "/form", "multipart/form-data; boundary=x",
      '--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n[1]\r\n--x--\r\n' },
  }) do
    local res = service:request(wire.post(body[1], body[3], "Content-Type: " .. body[2]), "POST")
    assert.equal(200, res.status, when .. ": POST " .. body[1] .. " " .. body[2])
    assert.truthy(res.body:find("[1]", 1, true), res.body)
  end
end

describe("the server goes on when scripts spoil", function()
  for what, code in pairs(WAYS) do
    it(what, function()
      start({ workers = 1, database = "sqlite::memory:" })
      service:configure({ upstreams = { itself = { service:url("/"):sub(1, -2) } } })
      service:write_app("two", spoilt_app(code, true))
      service:must_reload()
      assert_serves("while loading")
      service:write_app("three", spoilt_app(code, false))
      service:must_reload()
      assert.equal("spoilt", service:body("/spoil"))
      assert_serves("in a handler")
      service:write_app("four")
      service:must_reload()
      assert.equal("four", service:body("/"))
      assert.is_nil(service:stderr():find("was interrupted", 1, true))
      assert.is_nil(service:stderr():find("could not be", 1, true))
    end)
  end
end)

describe("scripts", function()
  it("have what they add to strings, whose own methods stay", function()
    start({ workers = 1 })
    service:write_app("two", [[
      function string.shout(s) return s:upper() .. "!" end
      local methods = getmetatable("").__index
      assert(methods == string and methods.shout)
      getmetatable("").__index = function(s, k)
        return type(k) == "number" and s:sub(k, k) or methods[k]
      end
      getmetatable("").__mod = function(s, v) return s:format(v) end
      app:get("/added", function()
        return ("a"):shout() .. ("bcd")[2] .. "%d" % 5 .. ("x"):rep(2)
      end)
    ]])
    service:must_reload()
    assert.equal("A!c5xx", service:body("/added"))
  end)
end)
