--- What HTTP/2 lets a peer do that HTTP/1.1 does not: many streams, windows, resets, floods.
local servers = require("support.server")
local process = require("support.process")
local json = require("dkjson")

local CANCEL, NO_ERROR, ENHANCE_YOUR_CALM = 8, 0, 11

local function start(options)
  local port = servers.free_port()
  options.listen = { { address = "127.0.0.1:" .. port, http2 = true } }
  local server = servers.start(options, { wait_for = port })
  server.port = port
  return server
end

-- What becomes of a scenario of support/h2_peer.py.
local function play(server, ...)
  local result = process.run({ "/usr/bin/python3", "tests/integration/support/h2_peer.py",
    tostring(server.port), ... }, 60)
  assert.equal(0, result.status, result.err)
  return json.decode(result.out)
end

describe("a peer of HTTP/2", function()
  local server

  setup(function()
    server = start({ timeouts = { send = 0.5 } })
  end)

  teardown(function()
    server:stop()
  end)

  it("cancels one request by a reset, and the handler learns at once", function()
    local seen = play(server, "cancel")
    assert.equal(200, seen.other.status)
    assert.same({}, seen.goaways)
  end)

  it("that gives no window is a slow reader", function()
    local seen = play(server, "no_window")
    assert.equal(CANCEL, seen.slow.reset)
    assert.equal(0, seen.slow.bytes)
    assert.equal(200, seen.other.status)
    assert.same({}, seen.goaways)
  end)

  it("may send 64 KiB that no handler reads, which holds up nothing else", function()
    local seen = play(server, "upload")
    assert.equal(65536, seen.sent)
    assert.equal(200, seen.last.status)
  end)

  it("is told to go on with its body", function()
    local seen = play(server, "interim")
    assert.same({ "100" }, seen.interim)
    assert.equal(200, seen.status)
  end)

  it("is refused a body that is too large, and goes on", function()
    local seen = play(server, "too_large")
    assert.equal(413, seen.refused.status)
    assert.equal(200, seen.other.status)
  end)

  for _, kind in ipairs({ "ping", "settings", "priority", "window", "unknown" }) do
    it("may not flood: " .. kind, function()
      local seen = play(server, "flood", kind, "20000")
      assert.equal("hello\n", seen.text)
      assert.equal(ENHANCE_YOUR_CALM, seen.goaways[1][2])
    end)
  end

  it("may reset 100,000 streams, and others are served", function()
    local before = server:footprint().descriptors
    local seen = play(server, "rapid_reset", "100000")
    assert.same({ ENHANCE_YOUR_CALM }, seen.codes)
    assert.equal("hello\n", seen.text)
    server:wait_for_descriptors(before)
  end)
end)

describe("a connection of HTTP/2", function()
  it("is told of a stop in two steps, and what is under way is answered", function()
    local server = start({ timeouts = { drain = 10 } })
    local seen = play(server, "stop", tostring(server.pid))
    assert.is_true(seen.stream.ended)
    assert.equal(#"first\nsecond\n", seen.stream.bytes)
    assert.equal(2, #seen.goaways)
    assert.same({ 2 ^ 31 - 1, NO_ERROR }, seen.goaways[1])
    assert.same({ 1, NO_ERROR }, seen.goaways[2])
    server.process:wait() -- a second signal would end it at once
    server:stop()
  end)

  it("is not touched by a reload in the middle of a stream", function()
    local server = start({})
    local seen = play(server, "reload", tostring(server.pid))
    assert.is_true(seen.stream.ended)
    assert.equal(#"first\nsecond\n", seen.stream.bytes)
    assert.equal(200, seen.other.status)
    assert.same({}, seen.goaways)
    server:wait_for_log("reloaded")
    server:stop()
  end)
end)
