--- Abuse in quantity; afterwards the same process answers and holds no more than before.
local servers = require("support.server")
local wire = require("support.wire")

local GROWTH_KB = servers.BINARY:find("asan", 1, true) and 200000 or 16000
local SEED = 20240229

-- A generator of its own, so that a failure repeats whatever else draws random numbers.
local function generator(seed)
  local state = seed
  return function(n)
    state = (state * 48271) % 2147483647
    return state % n
  end
end

local VOCABULARY = {
  "GET ", "POST ", "/text", "/length", " HTTP/1.1", " HTTP/1.0", "\r\n", "\r\n", "\r\n\r\n",
  "\n", "\r", "Host: a", "Host:", "Content-Length: ", "5", "99999999999999999999",
  "Transfer-Encoding: chunked", "Connection: close", "Expect: 100-continue", ": ", ";", "\0", " ",
  "\t", "0\r\n\r\n", "5\r\nhello\r\n", "ffffffff\r\n", "%", "%00", "..", "http://", "\255",
  "Cookie: ",
}

local function garbage(random)
  local out = {}
  for i = 1, 1 + random(40) do
    local byte = random(4) == 0
    out[i] = byte and string.char(random(256)) or VOCABULARY[1 + random(#VOCABULARY)]
  end
  return table.concat(out)
end

-- Half of the rounds go on behind a sound beginning, to come further than the request line.
local function round_of_garbage(random)
  local bytes = garbage(random)
  if random(2) == 0 then
    bytes = wire.head_of("POST", "/length", "Transfer-Encoding: chunked") .. bytes
  end
  return bytes
end

describe("a process", function()
  local server, before

  local function warm_up()
    for _ = 1, 50 do
      local conn = server:connect()
      conn:send(wire.get("/text"):rep(20) .. wire.get("/big/512"))
      conn:send(wire.post("/length", ("x"):rep(100000)))
      for _ = 1, 22 do
        conn:read()
      end
      conn:close()
    end
  end

  setup(function()
    server = servers.start({ timeouts = { half_close = 0.05 } })
    local at_start = server:footprint().descriptors
    warm_up()
    server:wait_for_descriptors(at_start)
    before = server:footprint()
  end)
  teardown(function()
    server:stop()
  end)

  local function assert_sound()
    assert.equal("hello\n", server:get("/text").body)
    server:wait_for_descriptors(before.descriptors)
    local grown = server:footprint().rss_kb - before.rss_kb
    assert.is_true(grown < GROWTH_KB, grown .. " KB more than before")
    assert.is_nil(server:report())
  end

  it("survives 2,000 clients that connect and reset", function()
    for i = 1, 2000 do
      local conn = server:connect()
      if i % 2 == 0 then
        conn:send(wire.get("/text"))
      end
      conn:reset()
    end
    assert_sound()
  end)

  it("survives 500 rounds of garbage", function()
    local random = generator(SEED)
    for _ = 1, 500 do
      local conn = server:connect()
      conn:send(round_of_garbage(random))
      conn:finish_sending()
      conn:take_rest()
      conn:close()
    end
    assert_sound()
  end)

  it("survives 500 rounds of garbage that is cut off by a reset", function()
    local random = generator(SEED + 1)
    for _ = 1, 500 do
      local conn = server:connect()
      conn:send(round_of_garbage(random))
      conn:reset()
    end
    assert_sound()
  end)

  it("survives 300 handlers cancelled while they await", function()
    for i = 1, 300 do
      local conn = server:connect()
      conn:send(wire.get("/sleep/60000"))
      if i % 3 > 0 then
        server:get("/text")
      end
      conn:reset()
    end
    assert_sound()
  end)

  it("survives 1,000 connections at a time", function()
    local conns = {}
    for i = 1, 1000 do
      conns[i] = server:connect()
    end
    for i = 1, 1000 do
      conns[i]:send(wire.get("/echo/" .. i))
    end
    for i = 1, 1000 do
      assert.truthy(conns[i]:read().body:find('"/echo/' .. i .. '"', 1, true))
      conns[i]:close()
    end
    assert_sound()
  end)

  it("survives 200 script errors and as many timeouts of children", function()
    for _ = 1, 200 do
      assert.equal(500, server:get("/error/awaited").status)
      assert.equal("joined\n", server:get("/parallel").body)
    end
    assert_sound()
  end)
end)
