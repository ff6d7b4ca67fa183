--- The HTTP client: addresses that are never called, whatever leads there.
local callers = require("support.caller")
local process = require("support.process")
local servers = require("support.server")
local upstreams = require("support.upstream")

local server, upstream

setup(function()
  upstream = upstreams.start()
  server = callers.start(upstream)
end)
teardown(function()
  callers.stop(server, upstream)
end)

local function listen(host)
  return upstream:listen({ kind = "http", host = host })
end

local function refused(call, text)
  local told = server:call(call)
  assert.is_false(told.ok)
  assert.equal("denied", told.code)
  assert.truthy(told.message:find(text, 1, true), told.message)
end

describe("deny", function()
  it("is for addresses, by network or name", function()
    local origin = listen()
    for _, deny in ipairs({ "private", "loopback", "127.0.0.0/8", "127.0.0.1", "all" }) do
      refused({ url = origin:url("/echo"), deny = { "10.0.0.0/8", deny } },
        ('127.0.0.1 is denied by "%s" (option deny)'):format(deny))
    end
    assert.equal(0, origin:seen().connections)
    server:must_call({ url = origin:url("/echo"), deny = { "10.0.0.0/8", "link_local" } })
  end)

  it("is judged after a name was looked up", function()
    local origin = listen()
    upstream:names({ ["inside.test"] = { A = { "127.0.0.1" } } })
    refused({ url = ("http://inside.test:%d/echo"):format(origin.port), deny = "private" },
      "127.0.0.1 is denied")
    refused({ url = ("http://localhost:%d/echo"):format(origin.port), deny = "private" }, "denied")
    assert.equal(0, origin:seen().connections)
  end)

  it("leaves the other addresses of a name", function()
    local origin = listen()
    upstream:names({ ["both.test"] = { A = { "127.0.0.2", "127.0.0.1" } } })
    server:must_call({ url = ("http://both.test:%d/echo"):format(origin.port), deny = "127.0.0.2" })
  end)

  it("holds for connections that others have opened", function()
    local origin = listen()
    server:must_call(origin:url("/echo"))
    refused({ url = origin:url("/echo"), deny = "loopback" }, "denied")
    server:must_call(origin:url("/echo"))
  end)

  it("holds for redirects", function()
    local inside, outside = listen(), listen("127.0.0.2")
    refused({
      url = outside:url("/redirect?status=302&to=" .. inside:url("/echo")), deny = "127.0.0.1",
    }, "127.0.0.1 is denied")
    assert.equal(0, inside:seen().connections)
  end)

  it("holds for IPv4 addresses inside of IPv6 ones", function()
    local origin = listen()
    for _, host in ipairs({ "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::1]" }) do
      refused({ url = ("http://%s:%d/"):format(host, origin.port), deny = "127.0.0.0/8" }, "denied")
    end
  end)

  it("holds for Unix sockets and streams", function()
    local origin = listen()
    refused({ url = "http://a/", unix = "/run/nobody.sock", deny = "private" },
      'a Unix socket is denied by "private"')
    refused({ url = origin:url("/echo"), stream = true, deny = "private" }, "denied")
  end)

  it("with allow leaves exceptions; allow alone denies all others", function()
    local origin = listen()
    server:must_call({ url = origin:url("/echo"), deny = "private", allow = { "127.0.0.1" } })
    server:must_call({ url = origin:url("/echo"), allow = { "127.0.0.0/8" } })
    refused({ url = origin:url("/echo"), allow = "192.0.2.0/24" },
      "127.0.0.1 is not among those allowed (option allow)")
  end)

  it("is checked at the caller's line", function()
    local told = server:call({ url = "http://a/", deny = "privat" })
    local pattern = '^lua/routes/calls.lua:%d+: http_request: deny, allow: "privat" is no network'
    assert.truthy(told.raised:find(pattern), told.raised)
  end)
end)

describe("http.deny", function()
  it("is for all calls, and no call takes it back", function()
    local origin = listen()
    local rules = { deny = { "private" }, allow = { "127.0.0.2" } }
    callers.with(upstream, { http = rules }, function(careful)
      local told = careful:call({ url = origin:url("/echo"), allow = "127.0.0.1" })
      assert.equal("denied", told.code)
      assert.truthy(told.message:find('127.0.0.1 is denied by "private" (http.deny)', 1, true))
    end)
  end)

  it("that is no network is refused at the start", function()
    local folder = servers.project(servers.config_text({ listen = { "127.0.0.1:0" },
      app = "lua/client_app.lua", http = { deny = { "lan" } } }))
    local said = process.run({ servers.BINARY, "check", folder .. "/conf/moongate.lua" })
    process.remove_folder(folder)
    assert.equal(1, said.status)
    assert.truthy(said.err:find("http.deny, http.allow: \"lan\" is no network", 1, true))
  end)
end)
