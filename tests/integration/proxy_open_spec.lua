--- ctx:proxy with the URL of a server that no upstream names.
local process = require("support.process")
local proxy = require("support.proxy")
local upstreams = require("support.upstream")
local wire = require("support.wire")

local OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
local LINES = [[
app:any("/open/*path", function(ctx)
  ctx:proxy(ctx.headers["x-url"], { path = "/" .. ctx.params.path })
end)
]]

local upstream, listener

setup(function()
  upstream = upstreams.start()
  listener = upstream:listen({ kind = "raw" })
  listener:script("/x", OK)
end)
teardown(function()
  upstream:stop()
end)
before_each(function()
  listener:forget()
end)

local function with(options, fn)
  options.http = options.http or {}
  options.http.nameservers = upstream.nameservers
  proxy.with({ listener }, options, fn, LINES)
end

local function ask(gateway, url)
  local conn = gateway:connect()
  local res = conn:request(wire.get("/open/x", "X-Url: " .. url))
  conn:close()
  return res
end

local function url_of(host)
  return ("http://%s:%d"):format(host or "127.0.0.1", listener.port)
end

describe("ctx:proxy of a URL", function()
  it("is off unless the configuration says proxy.open", function()
    with({}, function(gateway)
      assert.equal(500, ask(gateway, url_of()).status)
      gateway:wait_for_log("app.lua:%d+: proxy: \"http://127.0.0.1:%d+\" is a server that no "
        .. "upstream names.*proxy = { open = true }")
    end)
    assert.equal(0, listener:seen().connections)
  end)

  it("asks nobody who is private, however that is written or what a name means by now", function()
    upstream:names({
      ["inside.test"] = { A = { "127.0.0.1" } },
      ["linked.test"] = { CNAME = "inside.test" },
      ["mapped.test"] = { AAAA = { "::ffff:127.0.0.1" } },
    })
    with({ proxy = { open = true } }, function(gateway)
      for _, host in ipairs({ "127.0.0.1", "127.1.2.3", "0.0.0.0", "localhost", "10.0.0.1",
        "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "[::1]", "[::]", "[fd00::1]",
        "[fe80::1]", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "224.0.0.1",
        "inside.test", "linked.test", "mapped.test" }) do
        local res = ask(gateway, url_of(host))
        assert.equal(502, res.status, host)
        assert.is_nil(res.body:find("denied", 1, true))
      end
      gateway:wait_for_log("127.0.0.1 is denied by \"private\" %(proxy.open; http.allow says")
      for _, url in ipairs({ "http://2130706433/", "http://127.1/", "http://0x7f.1/",
        "unix:/run/x.sock", "file:///etc/passwd", "http://a@127.0.0.1/" }) do
        assert.equal(500, ask(gateway, url).status, url)
      end
    end)
    assert.equal(0, listener:seen().connections)
  end)

  it("asks whom http.allow names, as long as a name means that", function()
    local other = upstream:listen({ kind = "raw", host = "127.0.0.2", port = listener.port })
    other:script("/x", OK)
    upstream:names({ ["moves.test"] = { A = { "127.0.0.2" }, ttl = 0 } })
    with({ proxy = { open = true }, http = { deny = { "10.0.0.0/8" }, allow = { "127.0.0.2" } } },
      function(gateway)
        for _ = 1, 3 do
          assert.equal("ok", ask(gateway, url_of("moves.test")).body)
        end
        local seen = other:seen()
        assert.equal(1, seen.connections)
        local fields = proxy.fields_of(seen.requests[1].head)
        assert.equal("moves.test:" .. listener.port, fields.host)
        assert.equal("127.0.0.1", fields["x-forwarded-for"])
        upstream:names({ ["moves.test"] = { A = { "127.0.0.1" }, ttl = 0 } })
        other:drop_connections()
        other:wait_until_left()
        assert.equal(502, ask(gateway, url_of("moves.test")).status)
        process.wait_until("the requests are logged", function()
          return gateway:access_log():find("GET /open/x", 1, true)
        end)
      end)
    other:close()
    assert.equal(0, listener:seen().connections)
  end)
end)
