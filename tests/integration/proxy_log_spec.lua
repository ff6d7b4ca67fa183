--- The proxy: what the access log tells of a request that was relayed.
local json = require("dkjson")
local process = require("support.process")
local proxy = require("support.proxy")
local upstreams = require("support.upstream")

local upstream, raw, gateway

setup(function()
  upstream = upstreams.start()
  raw = upstream:listen({ kind = "raw" })
  raw:script("/hi", "HTTP/1.1 203 Fine\r\nContent-Length: 2\r\n\r\nhi")
  gateway = proxy.start({ raw }, {
    log = { level = "info", file = "stderr", access = "access.log", format = "json" },
  })
end)
teardown(function()
  gateway:stop()
  upstream:stop()
end)

-- The line of the request for `target`.
local function logged(target)
  return process.wait_until("it is logged", function()
    for line in gateway:access_log():gmatch("[^\n]+") do
      local told = assert(json.decode(line))
      if told.target == target then
        return told
      end
    end
  end)
end

describe("the access log", function()
  it("names the upstream and its server, how long that took, and the bytes", function()
    assert.equal(203, gateway:get("/hi").status)
    local told = logged("/hi")
    assert.equal("up", told.upstream)
    assert.equal("127.0.0.1:" .. raw.port, told.server)
    assert.equal(1, told.tries)
    assert.equal(203, told.upstream_status)
    assert.equal(2, told.bytes_received)
    assert.equal(0, told.bytes_sent)
    assert.is_true(told.total >= told.first_byte and told.first_byte > 0)
  end)
end)
