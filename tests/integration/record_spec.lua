--- `moongate dev --record FILE`: what it writes is a spec that passes.
local servers = require("support.server")
local process = require("support.process")
local wire = require("support.wire")

local APP = [[
local moongate = require("moongate")
local app = moongate.app()

app:get("/upstream", function(ctx)
  return { hello = ctx.query.name, token = "made-by-the-server" }
end)
app:get("/call", function(ctx)
  local res = ctx:http_request("http://127.0.0.1:" .. ctx.query.port
    .. "/upstream?name=moon&api_key=key-of-the-app"):await()
  return { got = res:json(), n = ctx:increment_cache("n", 1):await() }
end)
app:get("/user/:id", function(ctx)
  local user = ctx:query_database("SELECT $1 AS id, 'Ada' AS name", ctx.params.id):await()[1]
  return user
end)
app:post("/login", function(ctx)
  local form = ctx:body_form():await()
  ctx:write_file("login.txt", form.user):await()
  return 201, { user = form.user, echo = form.password, sid = ctx.cookies.sid }
end)
app:get("/broken", function() error("broken") end)

return app
]]

local SECRETS = { "hunter2", "cookie-of-ada", "key-of-the-app", "made-by-the-server", "bearer-1" }

describe("moongate dev --record", function()
  local server, path

  setup(function()
    local arguments = { "--record" }
    server = servers.start({ cache = "memory:1M", database = "sqlite::memory:" }, {
      verb = "dev", app = APP, arguments = arguments,
      arrange = function(folder)
        path = folder .. "/recorded_spec.lua"
        arguments[2] = path
        return folder .. "/conf/moongate.lua"
      end,
    })
  end)
  teardown(function()
    server:stop()
  end)

  it("writes a spec that passes and holds no secrets", function()
    server:get("/call?port=" .. server.port)
    server:get("/call?port=" .. server.port)
    server:request(wire.get("/user/7", "Authorization: Bearer bearer-1"))
    server:request(wire.post("/login", "user=ada&password=hunter2", "Cookie: sid=cookie-of-ada",
      "Content-Type: application/x-www-form-urlencoded"))
    server:get("/broken")
    local text = process.wait_until("all are written", function()
      local written = process.read_file(path)
      return written and written:find("GET /broken is answered 500", 1, true) and written
    end)
    for _, secret in ipairs(SECRETS) do
      assert.is_nil(text:find(secret, 1, true), secret)
    end
    local result = process.run({ servers.BINARY, "test", path })
    assert.equal(0, result.status, result.out .. text)
    assert.matches("7 successes", result.out)
    assert.is_nil(server:stderr():find("reloaded: ", 1, true)) -- for what it wrote itself
  end)
end)
