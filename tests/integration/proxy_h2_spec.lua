--- HTTP/2 towards servers: those that others wrote, and one that misbehaves frame by frame.
local http = require("support.http")
local json = require("dkjson")
local process = require("support.process")
local proxy = require("support.proxy")
local servers = require("support.server")
local upstreams = require("support.upstream")
local wire = require("support.wire")

local upstream, origin, secure, gateway, hostile, folder

local LINES = [[
app:get("/call/:how", function(ctx)
  local how = ctx.params.how
  local res = ctx:http_request({ url = ctx.query.url, insecure = true,
    http2 = how == "true" or (how ~= "false" and how) }):await()
  return res.version .. " " .. #res.body
end)
app:get("/calls/:n", function(ctx)
  local all = {}
  for i = 1, tonumber(ctx.params.n) do
    all[i] = ctx:http_request({ url = ctx.query.url, http2 = true })
  end
  for _, res in ipairs(moongate.Future.all(all):await()) do
    assert(res.status == 200, res.status)
  end
  return "all"
end)
app:proxy("/secure/*path", "secure", { strip = "/secure" })
app:proxy("/old/*path", "old", { strip = "/old" })
app:proxy("/bad/*path", "bad", { strip = "/bad" })
app:proxy("/again/*path", "again", { strip = "/again" })
]]

local function start_hostile()
  local started = process.start({ "/usr/bin/python3", "tests/integration/support/h2_server.py" },
    folder .. "/out", folder .. "/err")
  local port = process.wait_until("the server of HTTP/2 listens", function()
    assert(not started:poll(), process.read_file(started.err))
    return process.read_file(started.out):match("^(%d+)\n")
  end)
  return started, ("http://127.0.0.1:%s"):format(port)
end

setup(function()
  folder = process.temp_folder()
  upstream = upstreams.start()
  origin = upstream:listen({ kind = "h2" })
  secure = upstream:listen({ kind = "h2s" })
  local url
  hostile, url = start_hostile()
  local tls = { ca = upstream:pem("ca") }
  gateway = proxy.start({ ("http://127.0.0.1:%d"):format(origin.port), http2 = true }, {
    limits = { body = "64M", header_fields = 100, header_bytes = 8192 },
    upstreams = {
      secure = { secure:url(""), tls = tls },
      old = { secure:url(""), tls = tls, http2 = false },
      bad = { url, http2 = true, ping = 0.2, connections = 4 },
      again = { url, (url:gsub("127.0.0.1", "127.0.0.2")), http2 = true,
        retries = { count = 1, on = { "unavailable" } } },
    },
  }, LINES)
end)
teardown(function()
  gateway:stop()
  hostile:destroy()
  upstream:stop()
  process.remove_folder(folder)
end)

local function echo_of(res)
  assert.equal(200, res.status)
  return http.json(res)
end

for how, prefix in pairs(proxy.PREFIXES) do
  describe("a server that speaks HTTP/2, " .. how .. ",", function()
    it("is asked what the client asked", function()
      local told = echo_of(gateway:request(wire.post(prefix .. "/echo?a=1", "hello", "X-A: b")))
      assert.equal("/echo?a=1", told.url)
      assert.equal("hello", told.body)
      assert.equal("b", told.headers["x-a"])
      assert.equal("moongate.test", told.headers[":authority"])
      assert.equal("http", told.headers[":scheme"])
      assert.is_nil(told.headers.connection)
    end)

    it("is answered for whole, however it answers", function()
      local conn = gateway:connect()
      local res = conn:request(wire.get(prefix .. "/bytes?n=1000000"))
      assert.equal(1000000, #res.body)
      assert.equal("2.0 moongate", res.headers.via)
      assert.equal(5000, #conn:request(wire.get(prefix .. "/chunked?bytes=5000&piece=77")).body)
      res = conn:request(wire.get(prefix .. "/trailers"))
      assert.equal("with trailers", res.body)
      assert.equal("abc", res.trailers["x-checksum"])
      assert.equal(204, conn:request(wire.get(prefix .. "/empty")).status)
      assert.equal(304, conn:request(wire.get(prefix .. "/empty?status=304")).status)
      conn:send("HEAD " .. prefix .. "/bytes?n=77 HTTP/1.1\r\nHost: a\r\n\r\n")
      res = conn:read("HEAD")
      assert.equal("77", res.headers["content-length"])
      conn:close()
    end)

    it("takes large uploads, with a length and without", function()
      local told = echo_of(gateway:request(wire.post(prefix .. "/echo", ("u"):rep(5000000))))
      assert.equal(5000000, told.body_bytes)
      local conn = gateway:connect()
      conn:send(wire.head_of("POST", prefix .. "/echo", "Transfer-Encoding: chunked")
        .. "\r\n3\r\nabc\r\n0\r\nX-Sum: s\r\n\r\n")
      told = echo_of(conn:read())
      assert.equal("abc", told.body)
      assert.equal("s", told.trailers["x-sum"])
      conn:close()
    end)

    it("keeps nobody waiting for one whose client takes nothing", function()
      local slow = gateway:connect()
      slow:send(wire.get(prefix .. "/endless"))
      slow:take(100)
      for _ = 1, 3 do
        assert.equal(300000, #gateway:get(prefix .. "/bytes?n=300000").body)
      end
      slow:close()
      origin:wait_until("the server is told that it left", function(now)
        for _, request in ipairs(now.requests) do
          if request.url == "/endless" and request.state == "open" then
            return false
          end
        end
        return true
      end)
    end)
  end)
end

describe("HTTP/2 towards servers", function()
  it("needs one connection for many requests", function()
    origin:forget()
    assert.equal("all", gateway:get("/calls/40?url=" .. origin:url("/bytes?n=10")).body)
    assert.is_true(origin:seen().connections <= 1)
  end)

  it("is chosen in the handshake, unless it is not wanted", function()
    assert.equal("h2", echo_of(gateway:get("/secure/echo")).tls.alpn)
    local old = echo_of(gateway:get("/old/echo"))
    assert.equal("http/1.1", old.tls.alpn)
    for how, version in pairs({ auto = "2.0", ["true"] = "2.0", ["false"] = "1.1" }) do
      local url = secure:url("/bytes?n=7")
      assert.equal(version .. " 7", gateway:get(("/call/%s?url=%s"):format(how, url)).body)
    end
  end)

  it("is what a client's leaving ends by a reset of its stream", function()
    local conn = gateway:connect()
    conn:send(wire.get("/never"))
    origin:wait_until("it is asked", function(seen)
      return seen.requests[#seen.requests].url == "/never"
    end)
    local before = origin:seen().connections
    conn:close()
    origin:wait_for_state("aborted")
    assert.equal(200, gateway:get("/bytes?n=1").status)
    assert.equal(before, origin:seen().connections)
  end)
end)

-- --- the one that misbehaves ---

local function bad(path, body)
  return gateway:request(body and wire.post("/bad" .. path, body) or wire.get("/bad" .. path))
end

local function seen()
  return (json.decode(bad("/seen").body))
end

describe("a server that", function()
  it("refuses a request is asked again, with a POST too", function()
    assert.equal("5 bytes", bad("/refused", "hello").body)
  end)

  it("leaves without a look at a request gets it on another connection", function()
    local before = bad("/fine").body:match("%d+")
    assert.equal("4 bytes", bad("/leaving", "post").body)
    assert.not_equal(before, bad("/fine").body:match("%d+"))
  end)

  it("leaves after the last request has answered that", function()
    assert.equal("accepted", bad("/last", "x").body)
    assert.equal(200, bad("/fine").status)
  end)

  it("answers before the upload has ended is heard", function()
    local conn = gateway:connect()
    conn:send("POST /bad/early HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nbegin")
    local res = conn:read()
    assert.equal(413, res.status)
    assert.equal("too large", res.body)
    conn:close()
  end)

  it("sends what is no answer is a 502, and nothing of it reaches the client", function()
    for _, path in ipairs({ "/upper", "/newline", "/chunked", "/lengths", "/many", "/push",
      "/flood" }) do
      local res = bad(path)
      assert.equal(502, res.status, path)
      assert.is_nil(res.headers["set-cookie"])
    end
    assert.equal(200, bad("/fine").status)
  end)

  it("breaks off within its answer breaks that off", function()
    for _, path in ipairs({ "/short", "/broken" }) do
      local conn = gateway:connect()
      conn:send(wire.get("/bad" .. path))
      local rest = conn:take_rest()
      assert.matches("^HTTP/1.1 200", rest)
      assert.is_nil(rest:find("0\r\n\r\n$"))
      conn:close()
    end
  end)

  it("says more before its answer is passed on", function()
    local conn = gateway:connect()
    conn:send(wire.get("/bad/interim"))
    assert.equal("HTTP/1.1 103 Early Hints", conn:take_line())
    conn:close()
  end)

  it("says no more than a status of gRPC that is named is left for another", function()
    local function call(path)
      return gateway:request(wire.post(path, "hello", "Content-Type: application/grpc"))
    end
    assert.equal("5 bytes", call("/again/unavailable").body)
    local before = seen().unavailable
    assert.equal("14", call("/bad/unavailable").headers["grpc-status"])
    assert.equal(before + 1, seen().unavailable)
    assert.equal("14", call("/again/pushback").headers["grpc-status"])
    assert.equal(1, seen().pushback) -- it says itself when it wants to be asked
  end)

  it("is silent for longer than a call of gRPC may take is told so, and the client", function()
    local before = seen()["reset 8"] or 0
    local res = gateway:request(wire.post("/bad/nothing", "", "Content-Type: application/grpc",
      "grpc-timeout: 100m"))
    assert.equal(200, res.status)
    assert.equal("application/grpc", res.headers["content-type"])
    assert.equal("4", res.headers["grpc-status"])
    assert.equal("the upstream server did not answer in time", res.headers["grpc-message"])
    assert.equal(before + 1, seen()["reset 8"]) -- CANCEL
  end)

  it("is silent and does not answer a PING is given up", function()
    local res = bad("/deaf")
    assert.equal(502, res.status)
    assert.is_true(seen().pings >= 1)
  end)
end)

describe("nghttpd", function()
  it("is understood, with trailers and an upload that it echoes", function()
    local port = servers.free_port()
    local program = process.run({ "sh", "-c", "PATH=$PATH:/usr/sbin command -v nghttpd" })
    if program.status ~= 0 then
      pending("nghttpd is not installed (nghttp2-server)")
      return
    end
    process.write_file(folder .. "/a.txt", ("a"):rep(3000))
    local server = process.start({ program.out:match("[^\n]+"), "--no-tls", "-a", "127.0.0.1",
      "-d", folder, "--trailer=x-sum: abc", tostring(port) }, folder .. "/out2", folder .. "/err2")
    process.wait_until("nghttpd accepts", function()
      return pcall(function()
        wire.connect("127.0.0.1", port):close()
      end)
    end)
    local url = ("http://127.0.0.1:%d/a.txt"):format(port)
    assert.equal("2.0 3000", gateway:get("/call/true?url=" .. url).body)
    assert.equal("all", gateway:get("/calls/150?url=" .. url).body) -- more than it takes at a time
    server:destroy()
  end)
end)
