local boot = require("moongate.core.boot")
local test = require("moongate.test")

local HTML = { Accept = "text/html,application/xhtml+xml,*/*;q=0.8" }

local app
local boot_load, test_read = boot.load, test.read

-- Serves `lines` as the app's script, as `moongate dev` does; `fault`: as one that did not load.
local function serve(lines, fault)
  local text = 'local moongate = require("moongate")\nlocal app = moongate.app()\n'
    .. lines .. "\nreturn app\n"
  test.read = function(path)
    return path == "/project/lua/app.lua" and text or nil
  end
  boot.load = function(root, path, options)
    options.dev, options.generation = true, 7
    if fault then
      return boot.load_fault(root, fault, options)
    end
    return boot_load(root, path, options)
  end
  app = test.app("lua/app.lua", { root = "/project" })
end

after_each(function()
  boot.load, test.read = boot_load, test_read
  if app then
    app:assert_no_leaks()
    app = nil
  end
end)

local function get(path, headers)
  return app:get(path, { headers = headers })
end

local function contains(res, text)
  assert.truthy(res.body:find(text, 1, true), text .. " is not in " .. res.body)
end

local function lacks(res, text)
  assert.is_nil(res.body:find(text, 1, true), text .. " is in " .. res.body)
end

describe("a failing handler in development", function()
  it("is shown to a browser with message, source, traceback and request", function()
    serve([[
      app:get("/boom", function()
        local nothing
        return nothing.field
      end)
    ]])
    local res = get("/boom?q=1", HTML)
    assert.equal(500, res.status)
    assert.matches("^text/html", res.headers["content-type"])
    assert.equal("no-store", res.headers["cache-control"])
    contains(res, "attempt to index local &#39;nothing&#39;")
    contains(res, "<h2>lua/app.lua:5</h2>")
    contains(res, "<mark>    5          return nothing.field</mark>")
    lacks(res, "stack traceback")
    lacks(res, "moongate/core")
    contains(res, "GET /boom?q=1")
    contains(res, "<td>ctx.query.q</td><td>1</td>")
    assert.matches("attempt to index", app.logs[1].message)
  end)

  it("is shown with the lines of those who called, and what it had awaited", function()
    serve([[
      local function deep() error("broken") end
      local function load(ctx)
        ctx:sleep(0.25):await()
        deep()
        return 1
      end
      app:get("/boom", function(ctx)
        local a = load(ctx)
        return a
      end)
    ]])
    local res = get("/boom", HTML)
    for _, line in ipairs({ 3, 6, 10 }) do
      contains(res, "<h2>lua/app.lua:" .. line)
    end
    contains(res, "<h2>Awaits so far</h2>")
    contains(res, "<td>sleep</td><td>250.0 ms</td><td>lua/app.lua:5</td>")
    local text = get("/boom").body
    assert.matches("^500 GET /boom\n\nlua/app.lua:3: broken\n\nlua/app.lua:3\n", text)
    assert.matches("\n>     3        local function deep%(%) error%(\"broken\"%) end\n", text)
    assert.matches("\nlua/app.lua:6, in function", text)
    assert.matches("awaits so far:\n  sleep +250.0 ms  lua/app.lua:5\n$", text)
  end)

  it("is shown as text to curl, and as JSON to who prefers that", function()
    serve("app:get('/boom', function() error('broken') end)")
    for _, headers in ipairs({ {}, { Accept = "*/*" }, { Accept = "text/plain" } }) do
      local res = get("/boom", headers)
      assert.same({ 500, "text/plain; charset=utf-8", "no-store" },
        { res.status, res.headers["content-type"], res.headers["cache-control"] })
      contains(res, "lua/app.lua:3: broken\n")
    end
    for _, accept in ipairs({ "application/json", "application/json, text/html;q=0.5",
      "text/html;q=0, application/json", "application/problem+json" }) do
      local res = get("/boom", { Accept = accept })
      assert.same({ 500, "application/problem+json" }, { res.status, res.headers["content-type"] })
      assert.equal("lua/app.lua:3: broken", res:json().detail)
      assert.equal("lua/app.lua:3", res:json().at)
    end
    for _, accept in ipairs({ "text/html", "Text/HTML;q=0.9, application/json;q=0.8" }) do
      contains(get("/boom", { Accept = accept }), "<h1 role=alert>lua/app.lua:3: broken</h1>")
    end
  end)

  it("cannot put markup into the page", function()
    serve([[app:get("/*path", function(ctx) error(ctx.path .. "<script>alert('1')</script>") end)]])
    local res = get("/a'<img%20src=x>\"", HTML)
    assert.is_true(res.status == 500 or res.status == 400)
    lacks(res, "<img")
    lacks(res, "<script>alert")
  end)

  it("may raise something without a place", function()
    serve([[
      app:get("/text", function() error("no <place>", 0) end)
      app:get("/table", function() error({ code = "own" }) end)
      app:get("/far", function() error("lua/gone.lua:7: elsewhere", 0) end)
    ]])
    contains(get("/text", HTML), "no &lt;place&gt;")
    contains(get("/table", HTML), "own")
    local res = get("/far", HTML)
    contains(res, "lua/gone.lua:7: elsewhere")
    lacks(res, "<h2>lua/gone.lua")
  end)

  it("shows no file beyond the project", function()
    serve([[app:get("/", function(ctx) error(ctx.query.at, 0) end)]])
    local asked = {}
    local read = test.read
    test.read = function(path)
      asked[#asked + 1] = path
      return read(path)
    end
    app:close()
    app = test.app("lua/app.lua", { root = "/project" })
    asked = {}
    for _, at in ipairs({ "/etc/secret.lua", "../secret.lua", "lua/../../secret.lua" }) do
      contains(get("/?at=" .. at .. ":1:%20x", HTML), "secret.lua:1: x")
    end
    assert.is_nil(table.concat(asked, "\n"):find("secret", 1, true))
    for _, at in ipairs({ "lua/app.lua", "/project/lua/app.lua" }) do
      contains(get("/?at=" .. at .. ":1:%20x", HTML), "<mark>    1  local moongate")
    end
  end)

  it("is a page of its own: nothing of it comes from elsewhere, or is held back", function()
    serve([[
      app:use(moongate.middleware.secure_headers())
      app:get("/boom", function(ctx)
        ctx:header("Content-Security-Policy", "default-src 'none'")
        error("broken")
      end)
    ]])
    local res = get("/boom", HTML)
    assert.is_nil(res.headers["content-security-policy"])
    lacks(res, "http://")
    lacks(res, "https://")
    lacks(res, "src=")
    contains(res, "prefers-color-scheme")
    contains(res, "<html lang=en>")
    contains(res, "<title>500 GET /boom</title>")
  end)

  it("asks whether the scripts were loaded again", function()
    serve("app:get('/boom', function() error('broken') end)")
    local res = get("/boom", HTML)
    contains(res, 'fetch("/.moongate/dev"')
    contains(res, "now.generation!==7")
  end)

  it("is left to app:on_error, if that answers", function()
    serve([[
      app:on_error(function(ctx) return "own page" end)
      app:get("/boom", function() error("broken") end)
    ]])
    local res = get("/boom", HTML)
    assert.same({ 500, "own page" }, { res.status, res.body })
  end)

  it("is told apart from what the client did wrong", function()
    serve([[app:get("/", function(ctx) ctx:fail(404, "no such thing") end)]])
    assert.equal("application/problem+json", get("/", HTML).headers["content-type"])
  end)
end)

describe("the place that pages ask", function()
  it("tells the generation, past the app's middleware", function()
    serve([[
      app:use(function(ctx) ctx:fail(401, "who are you?") end)
      app:get("/", function() return "never" end)
      app:get("/*path", function() return "never" end)
    ]])
    local res = get("/.moongate/dev")
    assert.same({ 200, "no-store" }, { res.status, res.headers["cache-control"] })
    assert.same({ generation = 7, fault = false }, res:json())
    assert.equal(401, get("/").status)
  end)

  it("is not there but in development", function()
    app = test.app(function() end)
    assert.equal(404, get("/.moongate/dev").status)
  end)
end)

describe("a request in development", function()
  it("is logged with what it awaited, but not what the pages ask", function()
    serve([[
      app:get("/slow/:id", function(ctx)
        ctx:sleep(0.5):await()
        return "done"
      end)
    ]])
    get("/slow/1?a=b")
    get("/.moongate/dev")
    get("/none")
    assert.equal(2, #app.logs)
    assert.matches("^GET /slow/1%?a=b 200, 4 bytes in 500.0 ms\nsleep +500.0 ms  lua/app.lua:4$",
      app.logs[1].message)
    assert.matches("^GET /none 404, %d+ bytes in ", app.logs[2].message)
  end)

  it("is listed with the routes", function()
    serve([[
      app:use(moongate.middleware.request_id())
      app:get("/slow/:id", "slow", function(ctx) ctx:sleep(0.5):await() return "done" end)
      app:get("/a<b", function() return "x" end)
    ]])
    get("/slow/1")
    get("/slow/2")
    local res = get("/.moongate/", HTML)
    assert.equal(200, res.status)
    contains(res, "<td>GET</td><td>/slow/:id</td><td>slow</td><td>lua/app.lua:4</td>"
      .. "<td>moongate/middleware/request_id.lua:")
    contains(res, "/a&lt;b")
    lacks(res, "/.moongate/reload.js</td>")
    contains(res, "<td>GET /slow/1</td><td>200</td><td>500.0 ms</td><td>/slow/:id</td><td>sleep")
    assert.is_true(res.body:find("GET /slow/2", 1, true) < res.body:find("GET /slow/1", 1, true))
  end)

  it("gets a script that loads its page again, if it is a browser's and HTML", function()
    serve([[
      app:get("/page", function(ctx) ctx:html("<h1>Moon</h1>") end)
      app:get("/data", function() return { a = 1 } end)
    ]])
    assert.equal('<h1>Moon</h1><script src="/.moongate/reload.js?g=7"></script>\n',
      get("/page", HTML).body)
    assert.equal("<h1>Moon</h1>", get("/page").body)
    assert.equal('{"a":1}', get("/data", HTML).body)
    local script = get("/.moongate/reload.js")
    assert.equal("text/javascript", script.headers["content-type"])
    contains(script, "now.generation!==generation")
  end)
end)

describe("scripts that could not be loaded in development", function()
  local FAULT = "lua/app.lua:3: '=' expected near '<b>'"

  it("answer every request with the fault and its source", function()
    serve("x = = '<b>'", FAULT)
    for _, path in ipairs({ "/", "/anything/else" }) do
      local res = get(path, HTML)
      assert.equal(500, res.status)
      contains(res, "lua/app.lua:3: &#39;=&#39; expected near &#39;&lt;b&gt;&#39;")
      contains(res, "<mark>    3  x = = &#39;&lt;b&gt;&#39;</mark>")
      lacks(res, "<b>")
      lacks(res, "Traceback")
    end
    assert.equal(500, app:post("/", { body = "x", headers = HTML }).status)
  end)

  it("answer with plain text who does not read HTML", function()
    serve("", FAULT)
    local res = get("/")
    assert.same({ 500, "text/plain; charset=utf-8", "no-store" },
      { res.status, res.headers["content-type"], res.headers["cache-control"] })
    contains(res, FAULT .. "\n\nlua/app.lua:3\n")
  end)

  it("say so where pages ask", function()
    serve("", FAULT)
    assert.same({ generation = 7, fault = true }, get("/.moongate/dev"):json())
  end)

  it("may fail without a place", function()
    serve("", "the script must return its app")
    contains(get("/", HTML), "the script must return its app")
  end)
end)
