--- What authors of scripts get wrong, and the whole message that they are told.
local moongate = require("moongate")
local test = require("moongate.test")
local helpers = dofile("spec/fixture/helpers.lua")

local FILE = "spec/moongate/mistakes_spec.lua"
local app

local function serve(declare)
  app = test.app(declare)
  return app
end

-- What `fn` raises is at its own first line.
local function tells(fn, message)
  local line = debug.getinfo(fn, "S").linedefined
  assert.equal(("%s:%d: %s"):format(FILE, line, message), helpers.error_of(fn))
end

-- The first line of what is logged of a request, whose place is `line`.
local function logs(line, message, path)
  assert.equal(500, app:get(path or "/").status)
  assert.equal(("the handler of GET / failed: %s:%d: %s (error)"):format(FILE, line, message),
    (app.logs[1].message:match("^[^\n]*")))
end

describe("an unknown name is told with the nearest one:", function()
  local NAMES = {
    { function() local _ = moongate.slep end, "moongate has no 'slep' (did you mean 'sleep'?)" },
    { function() local _ = moongate.qqqq end, "moongate has no 'qqqq'" },
    { function() local _ = moongate.middleware.corse end,
      "moongate.middleware has no 'corse' (did you mean 'cors'?)" },
    { function() local _ = moongate.log.warning end,
      "moongate.log has no 'warning' (did you mean 'warn'?)" },
    { function() local _ = moongate.json.decod end,
      "moongate.json has no 'decod' (did you mean 'decode'?)" },
    { function() local _ = moongate.files.raed end,
      "moongate.files has no 'raed' (did you mean 'read'?)" },
    { function() local _ = moongate.http.pots end,
      "moongate.http has no 'pots' (did you mean 'post'?)" },
    { function() local _ = moongate.Future.al end,
      "moongate.Future has no 'al' (did you mean 'all'?)" },
    { function() moongate.cache():gett("x") end, "a cache has no 'gett' (did you mean 'get'?)" },
    { function() moongate.database():qery("x") end,
      "a database has no 'qery' (did you mean 'query'?)" },
    { function() moongate.app():gett("/", print) end,
      "the app has no 'gett' (did you mean 'get'?)" },
    { function() local _ = test.ap end, "moongate.test has no 'ap' (did you mean 'app'?)" },
    { function() test.app(function() end):gett("/") end,
      "the app of a spec has no 'gett' (did you mean 'get'?)" },
  }
  for _, row in ipairs(NAMES) do
    it(row[2], function()
      tells(row[1], row[2])
    end)
  end

  it("and what was added is known", function()
    rawset(moongate, "slepp", true)
    local ok = pcall(function()
      return moongate.slepp
    end)
    rawset(moongate, "slepp", nil)
    assert.is_true(ok)
  end)
end)

describe("a misspelt option is told with the nearest one:", function()
  local function served(handler)
    serve(function(a)
      a:get("/", handler)
    end)
    return debug.getinfo(handler, "S").linedefined
  end

  it("send_file", function()
    logs(served(function(ctx) ctx:send_file("public/x", { typ = "a" }) end),
      'send_file: "typ" is unknown, allowed are cache, download, root, type '
      .. "(did you mean 'type'?)")
  end)

  it("cookie", function()
    logs(served(function(ctx) ctx:cookie("a", "b", { maxage = 1 }) end),
      'cookie: "maxage" is unknown, allowed are domain, expires, http_only, max_age, on_error, '
      .. "partitioned, path, same_site, secure (did you mean 'max_age'?)")
  end)

  it("json.encode and json.decode", function()
    tells(function() moongate.json.encode({}, { prety = true }) end, 'json.encode: "prety" is '
      .. "unknown, allowed are pretty, strict (did you mean 'pretty'?)")
    tells(function() moongate.json.decode("1", { depth = 1 }) end, 'json.decode: "depth" is '
      .. "unknown, allowed are max_depth, max_values")
  end)

  it("a route", function()
    tells(function() moongate.app():get("/", { timeot = 1 }, print) end, 'options of /: "timeot" '
      .. "is unknown, allowed are body, middleware, name, stream_max, timeout (did you mean "
      .. "'timeout'?)")
  end)
end)

describe("a dot in the place of a colon is told:", function()
  local CALLS = {
    json = function(ctx) ctx.json({}) end,
    text = function(ctx) ctx.text("x") end,
    header = function(ctx) ctx.header("X-A", "b") end,
    status = function(ctx) ctx.status(404) end,
    fail = function(ctx) ctx.fail(404, "x") end,
    sleep = function(ctx) ctx.sleep(1) end,
    spawn = function(ctx) ctx.spawn(print) end,
    read_file = function(ctx) ctx.read_file("x") end,
    body = function(ctx) ctx.body() end,
    redirect = function(ctx) ctx.redirect("/x") end,
    query_all = function(ctx) ctx.query_all("x") end,
    on_close = function(ctx) ctx.on_close(print) end,
  }
  for name, call in pairs(CALLS) do
    it(name, function()
      serve(function(a)
        a:get("/", call)
      end)
      logs(debug.getinfo(call, "S").linedefined,
        ("call it with a colon: ctx:%s(...), not ctx.%s(...)"):format(name, name))
    end)
  end
end)

describe("what a handler returns by mistake is told at its line:", function()
  local function at(handler)
    serve(function(a)
      a:get("/", handler)
    end)
    return debug.getinfo(handler, "S").linedefined
  end

  it("a status behind its text", function()
    logs(at(function() return "x", 201 end), "the handler returned a string, 201: the status comes "
      .. 'first, as in return 201, "text"')
  end)

  it("a third value", function()
    logs(at(function() return 201, "x", { a = "b" } end), "the handler returned 201, a string, a "
      .. "table: a third value has no place: fields are set by ctx:header(name, value)")
  end)

  it("nothing at all", function()
    logs(at(function() end), "the handler of GET / ended without an answer: return one, or call "
      .. "ctx:text, ctx:json, ...")
  end)

  it("nothing in a middleware that does not call next() either", function()
    local line = helpers.here() + 2
    serve(function(a)
      a:use(function() end)
      a:get("/", function() return "x" end)
    end)
    logs(line, "this middleware neither called next() nor answered: return next(), or an answer")
  end)
end)

describe("what a handler ends with has its line, though it left no frame:", function()
  local function ends_with(handler, message)
    serve(function(a)
      a:get("/", handler)
    end)
    logs(debug.getinfo(handler, "S").linedefined, message)
  end

  it("a method called without a colon", function()
    ends_with(function(ctx) return ctx.json({ a = 1 }) end,
      "call it with a colon: ctx:json(...), not ctx.json(...)")
  end)

  it("a tool with a wrong argument", function()
    ends_with(function() return moongate.sha256({}) end,
      "bad argument #1 to 'sha256' (string expected, got table)")
  end)

  it("one of Lua's own functions with a wrong argument", function()
    ends_with(function() return ("x"):rep({}) end,
      "bad argument #2 to 'rep' (number expected, got table)")
  end)

  it("a misspelt option", function()
    ends_with(function() return moongate.json.encode({}, { prety = true }) end,
      'json.encode: "prety" is unknown, allowed are pretty, strict (did you mean \'pretty\'?)')
  end)

  it("a route that there is not", function()
    local a = moongate.app()
    ends_with(function() return a:url("usr") end,
      'url: route: "usr" is unknown, allowed are none')
  end)

  it("what cannot be JSON", function()
    ends_with(function() return { users = { print } } end,
      "the answer: $.users[1]: a function cannot be JSON")
  end)
end)

describe("wrong use of what is at hand is told:", function()
  it("a maker of middleware in the place of one", function()
    tells(function() moongate.app():use(moongate.middleware.cors) end,
      "use: moongate.middleware.cors makes a middleware: call it, as moongate.middleware.cors()")
    tells(function() moongate.app():group("/a", { moongate.middleware.cors }, print) end,
      "group: middleware[1]: moongate.middleware.cors makes a middleware: call it, as "
      .. "moongate.middleware.cors()")
  end)

  it("await with a dot", function()
    tells(function() moongate.future().await() end, "call it with a colon: future:await()")
  end)

  it("a level that the log has not", function()
    serve(function(a)
      a:get("/", function(ctx) ctx.log.wran("x") end)
    end)
    logs(helpers.here() - 2, "ctx.log has no 'wran' (did you mean 'warn'?)")
  end)

  it("a name that is wanted", function()
    serve(function(a)
      a:get("/", function(ctx) ctx:query_all() end)
    end)
    logs(helpers.here() - 2, "query_all: a string is wanted, not nil")
  end)

  it("an undefined global that nothing is near to, without a guess", function()
    assert.equal("", require("moongate.core.suggest").for_name("undefinedname", { _G = true }))
  end)
end)

describe("a pattern of another framework is told:", function()
  local PATTERNS = {
    ["/users/{id}"] = 'a parameter is written "/:id", and what remains of the path "/*id"',
    ["/users/<id>"] = 'a parameter is written "/:id", a whole number "/:id<int>"',
    ["/users/<int:id>"] = 'a parameter is written "/:id", a whole number "/:id<int>"',
    ["/users/:id?"] = 'a segment that may be missing is a route of its own: one with "/:id", and '
      .. "one without",
    ["/users/:id(%d+)"] = 'what a parameter may be is a kind: "/:id<int>", and uint, uuid, hex, '
      .. "alpha, slug",
    ["/users?id=:id"] = "a query is no part of it: look at ctx.query.id",
    ["/users/*"] = 'what remains of the path has a name: "/*rest"',
  }
  for pattern, message in pairs(PATTERNS) do
    it(pattern, function()
      tells(function() moongate.app():get(pattern, print) end,
        ('pattern "%s": %s'):format(pattern, message))
    end)
  end
end)

describe("what the answer is thought to be is told:", function()
  local MEANT = {
    ["a status that is assigned"] = { function(ctx) ctx.status = 404 end,
      "ctx.status cannot be set: call ctx:status(...)" },
    ["a body that is assigned"] = { function(ctx) ctx.body = "x" end,
      "ctx.body cannot be set: return it, or ctx:text(...), ctx:json(...)" },
    ["fields that are assigned"] = { function(ctx) ctx.headers = {} end,
      "ctx.headers cannot be set: it is the request's; ctx:header(name, value) sets a field of the "
      .. "answer" },
    ["one of the request's"] = { function(ctx) ctx.path = "/x" end,
      "ctx.path cannot be set: it is the request's" },
    ["anything else"] = { function(ctx) ctx.user = "Ada" end,
      "ctx.user cannot be set: keep it in ctx.state.user" },
    ["a field among the request's"] = { function(ctx) ctx.headers["X-A"] = "b" end,
      "ctx.headers are what the client sent: ctx:header(name, value) sets a field of the answer" },
    ["a field in ctx.answer"] = { function(ctx) ctx:text("x") ctx.answer.headers["X-A"] = "b" end,
      "ctx.answer.headers cannot be set: ctx:header(name, value)" },
    ["fields in one table"] = { function(ctx) ctx:header({ ["X-A"] = "b" }) end,
      'header: a name is wanted, as in ctx:header("X-Moons", 7), not table' },
    ["a method that is read"] = { function(ctx) local _ = "got " .. ctx.body end,
      "attempt to concatenate field 'body' (a function value): ctx:body(...) is called, with a "
      .. "colon" },
    ["a field that is called"] = { function(ctx) local _ = ctx:query("q") end,
      "attempt to call method 'query' (a table value): ctx.query is read, not called" },
    ["a null that is compared"] = { function() local row = { n = moongate.json.null }
      return row.n < 1 end, "attempt to compare userdata with number: it is null, as of a column "
      .. "that is NULL: compare with moongate.json.null first", 1 },
    ["a null that is shown"] = { function() local row = { n = moongate.json.null }
      local _ = "n is " .. row.n end, "attempt to concatenate field 'n' (a userdata value): it is "
      .. "null, as of a column that is NULL: compare with moongate.json.null first", 1 },
    ["a log that is called with a colon"] = { function(ctx) ctx.log:info("x") end,
      "call it with a dot: log.info(message, fields)" },
    ["a lost line of app:url"] = { function() return moongate.app():get("/u/:id", "u", print)
      :url("u", {}) end, "url: the parameter id of /u/:id is missing: a string or a number is "
      .. "wanted, not a nil", 1 },
  }
  for name, row in pairs(MEANT) do
    it(name, function()
      serve(function(a)
        a:get("/", row[1])
      end)
      logs(debug.getinfo(row[1], "S").linedefined + (row[3] or 0), row[2])
    end)
  end
end)

describe("a global that examples take for granted is told:", function()
  for name, hint in pairs({
    moongate = 'local moongate = require("moongate")',
    ctx = "a handler is given it: function(ctx) ... end",
  }) do
    it(name, function()
      local env = require("moongate.core.scripts.env").new("", function()
        return "return " .. name .. ".x"
      end)
      assert.equal(("lua/app.lua:1: undefined global '%s': %s"):format(name, hint),
        helpers.error_of(function() env.run("lua/app.lua") end))
    end)
  end
end)

describe("what a script asks a template for is told at its line:", function()
  it("a text that is none", function()
    tells(function() moongate.template.compile("<% if x then %> a") end,
      "template:1: 'end' expected near '<eof>'")
  end)

  it("a file that is not there", function()
    require("moongate.core.scripts.env").new("", function() end) -- from where there is none
    tells(function() moongate.template.file("views/none.etlua") end,
      "template.file: views/none.etlua: the file cannot be read")
  end)
end)

describe("what would keep every request waiting is refused, with another way:", function()
  local FILES = " would stop every request of this worker: await ctx:read_file(path) or "
    .. "ctx:write_file(path, data), or read it while the app loads"
  local WAYS = {
    ['io.open("x")'] = "io.open" .. FILES,
    ['io.lines("x")'] = "io.lines would stop every request of this worker: for piece in "
      .. "ctx:file_chunks(path) do ... end",
    ["io.tmpfile()"] = "io.tmpfile" .. FILES,
    ['os.remove("x")'] = "os.remove would stop every request of this worker: await "
      .. "ctx:delete_file(path)",
    ['os.rename("x", "y")'] = "os.rename would stop every request of this worker: await "
      .. "ctx:rename_file(from, to)",
    ['os.execute("true")'] = "os.execute would stop every request of this worker: put the work "
      .. "behind an HTTP service and await ctx:http_request",
  }
  for call, message in pairs(WAYS) do
    it(call, function()
      local env = require("moongate.core.scripts.env").new("", function()
        return "return function(ctx)\n" .. call .. "\nreturn 'done' end"
      end)
      serve(function(a)
        a:get("/", env.run("lua/app.lua"))
      end)
      app:get("/")
      assert.equal("the handler of GET / failed: lua/app.lua:2: " .. message .. " (error)",
        (app.logs[1].message:match("^[^\n]*")))
    end)
  end
end)

