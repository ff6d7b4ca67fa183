--- The proxy in front of servers that others wrote, and of another Moongate.
local http = require("support.http")
local nginx = require("support.nginx")
local proxy = require("support.proxy")
local upstreams = require("support.upstream")
local wire = require("support.wire")

local upstream, origin

setup(function()
  upstream = upstreams.start()
  origin = upstream:listen({ kind = "http" })
end)
teardown(function()
  upstream:stop()
end)

local function echo_of(res)
  assert.equal(200, res.status)
  return http.json(res)
end

for how, prefix in pairs(proxy.PREFIXES) do
  describe("node behind the proxy, " .. how .. ",", function()
    local gateway

    setup(function()
      gateway = proxy.start({ origin }, { limits = { body = "64M" } })
    end)
    teardown(function()
      gateway:stop()
    end)

    it("is asked what the client asked", function()
      local told = echo_of(gateway:request(wire.post(prefix .. "/echo?a=1", "hello", "X-A: b")))
      assert.equal("/echo?a=1", told.url)
      assert.equal("hello", told.body)
      assert.equal("b", told.headers["x-a"])
    end)

    it("is answered for whole, however it answers", function()
      local conn = gateway:connect()
      assert.equal(100000, #conn:request(wire.get(prefix .. "/bytes?n=100000")).body)
      assert.equal(5000, #conn:request(wire.get(prefix .. "/chunked?bytes=5000&piece=77")).body)
      local res = conn:request(wire.get(prefix .. "/trailers"))
      assert.equal("with trailers", res.body)
      assert.equal("abc", res.trailers["x-checksum"])
      assert.equal(204, conn:request(wire.get(prefix .. "/empty")).status)
      assert.equal("until the end", conn:request(wire.get(prefix .. "/close-delimited")).body)
      conn:close()
    end)

    it("keeps its coding: nothing is unpacked by the way", function()
      local res = gateway:get(prefix .. "/coded?how=gzip")
      assert.equal("gzip", res.headers["content-encoding"])
      assert.equal("\31\139", res.body:sub(1, 2))
    end)

    it("takes large uploads", function()
      local told = echo_of(gateway:request(wire.post(prefix .. "/echo", ("u"):rep(5000000))))
      assert.equal(5000000, told.body_bytes)
    end)
  end)
end

describe("another Moongate behind the proxy", function()
  it("adds itself to the way, and to who asked", function()
    proxy.with({ origin }, { trusted_proxies = { "127.0.0.0/8" } }, function(inner)
      proxy.with({ proxy.url(inner) }, nil, function(outer)
        local told = echo_of(outer:get("/echo"))
        local _, hops = told.headers.via:gsub("1%.1 ", "")
        assert.equal(2, hops)
        assert.equal("127.0.0.1, 127.0.0.1", told.headers["x-forwarded-for"])
        local conn = outer:connect()
        for i = 1, 20 do
          assert.equal(i * 1000, #conn:request(wire.get("/chunked?bytes=" .. i * 1000)).body)
        end
        conn:close()
      end)
    end)
  end)
end)

describe("nginx behind the proxy", function()
  it("is asked again where it has closed", function()
    local program, why = nginx.find()
    if not program then
      pending(why)
      return
    end
    local server = nginx.start(program, upstream, origin:url(""),
      { ["a.txt"] = ("a"):rep(3000) })
    proxy.with({ server:url("") }, nil, function(gateway)
      local conn = gateway:connect()
      for _ = 1, 30 do -- a connection serves seven requests there
        local res = conn:request(wire.get("/hasty/a.txt"))
        assert.equal(200, res.status)
        assert.equal(3000, #res.body)
      end
      assert.equal(206, conn:request(wire.get("/a.txt", "Range: bytes=0-9")).status)
      conn:close()
      assert.equal(502, gateway:get("/silence").status)
    end)
    server:stop()
  end)
end)
