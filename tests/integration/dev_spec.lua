--- `moongate dev` at a terminal. What saving does is in control_spec.lua.
local servers = require("support.server")
local process = require("support.process")
local wire = require("support.wire")
local json = require("dkjson")

-- Becomes the command, with a terminal as its stderr; what is written there goes to stdout.
local TERMINAL = [[
import os, pty, sys
ours, theirs = pty.openpty()
if os.fork() == 0:
    os.close(theirs)
    try:
        while True:
            os.write(1, os.read(ours, 65536))
    except OSError:
        os._exit(0)
os.close(ours)
os.dup2(theirs, 2)
os.close(theirs)
os.environ["TERM"] = "xterm"
os.environ.pop("NO_COLOR", None)
os.execvp(sys.argv[1], sys.argv[1:])
]]

local APP = [[
local app = require("moongate").app()
app:get("/slow", function(ctx)
  ctx:sleep(0.02):await()
  return "x"
end)
app:get("/boom", function() local x; return x.y end)
app:get("/page", function(ctx)
  ctx:html("<h1>Moon</h1>")
end)
app:static("/public", "public")
return app
]]

describe("moongate repl", function()
  it("is refused by a server of moongate run", function()
    local server = servers.start(nil, { app = APP })
    local result = process.run({ "sh", "-c", "echo 1 | '" .. servers.BINARY .. "' repl '"
      .. server.conf .. "'" })
    server:stop()
    assert.equal(1, result.status)
    assert.truthy(result.err:find("repl speaks to moongate dev alone", 1, true), result.err)
  end)
end)

describe("moongate dev at a terminal", function()
  local server

  setup(function()
    server = servers.start(nil, {
      verb = "dev", app = APP, command = { "python3", "-c", TERMINAL },
    })
    process.wait_until("scripts are watched", function()
      return server:stdout():find("loaded again when they are saved", 1, true)
    end)
  end)

  teardown(function()
    server:stop()
  end)

  local function said(pattern)
    return process.wait_until(pattern .. " is said", function()
      return server:stdout():gsub("\r", ""):match(pattern)
    end)
  end

  local function get(target, ...)
    return server:request(wire.get(target, ...))
  end

  it("logs requests for people, in colour, with what they awaited", function()
    assert.equal(200, get("/slow").status)
    said("\27%[2m%d%d:%d%d:%d%d%.%d%d%d\27%[0m\27%[36m info  \27%[0mGET /slow 200, 1 bytes in "
      .. "[%d.]+ ms\n    sleep +[%d.]+ ms  lua/app.lua:3\n")
  end)

  it("logs tracebacks over lines", function()
    assert.equal(500, get("/boom").status)
    said("\27%[31m error \27%[0m[^\n]*lua/app.lua:6: attempt to index [^\n]*\n"
      .. "    stack traceback:\n      lua/app.lua:6:")
  end)

  it("shows curl the fault with its place and source", function()
    local body = get("/boom").body
    assert.truthy(body:find("lua/app.lua:6: attempt to index", 1, true), body)
    assert.truthy(body:find(">     6  app:get(", 1, true), body)
  end)

  it("lists routes and the last requests, but not what its pages ask", function()
    get("/slow")
    json.decode(get("/.moongate/dev").body)
    local page = process.wait_until("the request is listed", function()
      local body = get("/.moongate/", "Accept: text/html").body
      return body:find("<td>GET /slow</td>", 1, true) and body
    end)
    assert.truthy(page:find("<td>/slow</td><td></td><td>lua/app.lua:2</td>", 1, true), page)
    assert.is_nil(server:stdout():find("/.moongate/", 1, true))
    assert.is_nil(server:access_log():find("/.moongate/", 1, true))
  end)

  local function typed(text)
    local file = server.folder .. "/typed"
    process.write_file(file, text)
    return process.run({ "sh", "-c", "'" .. servers.BINARY .. "' repl '" .. server.conf .. "' < '"
      .. file .. "'" })
  end

  it("evaluates what is piped to moongate repl, and awaits there", function()
    local result = typed("x = 20\nx * 2 +\n2\nmoongate.sleep(0.01):await()\nprint(type(require))\n")
    assert.same({ 0, "42\nfunction\n", "" }, { result.status, result.out, result.err })
  end)

  it("tells what fails at the prompt on stderr, with 1 as the status", function()
    local result = typed("error('no moon')\n1\nf(\n")
    assert.equal(1, result.status)
    assert.equal("1\n", result.out)
    assert.truthy(result.err:find("repl:1: no moon", 1, true), result.err)
    assert.truthy(result.err:find("the input ends within a statement", 1, true), result.err)
  end)

  it("has pages loaded again when a static file or a template was saved", function()
    local function generation()
      return json.decode(get("/.moongate/dev").body).generation
    end
    local page = get("/page", "Accept: text/html").body
    assert.truthy(page:find('src="/.moongate/reload.js?g=', 1, true), page)
    local before = generation()
    process.write_file(server.folder .. "/public/style.css", "body{}")
    process.wait_until("the style is noticed", function()
      return generation() > before
    end)
    process.write_file(server.folder .. "/public/data.bin", "data")
    process.write_file(server.folder .. "/lua/page.etlua", "<p>")
    process.wait_until("the template is noticed", function()
      return generation() > before + 1
    end)
  end)
end)
