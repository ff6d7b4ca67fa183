--- The HTTP client: from a server's name to the address that answers.
local callers = require("support.caller")
local process = require("support.process")
local servers = require("support.server")
local upstreams = require("support.upstream")
local black_holes = require("support.black_hole")

local server, upstream

setup(function()
  upstream = upstreams.start()
  server = callers.start(upstream)
end)
teardown(function()
  callers.stop(server, upstream)
end)

local function listen(host, port)
  return upstream:listen({ kind = "http", host = host, port = port })
end

local function url_of(name, port, target)
  return ("http://%s:%d%s"):format(name, port, target or "/echo")
end

-- Calls on a connection of their own each: only then is a name looked up.
local function call_afresh(origin, url)
  origin:drop_connections()
  origin:wait_until_left()
  return server:must_call(url)
end

local function calls_to(name, port)
  return server:call({ url = url_of(name, port), connect_timeout = 5 })
end

describe("a name", function()
  it("is looked up, and sent as the Host field", function()
    local origin = listen()
    upstream:names({ ["one.test"] = { A = { "127.0.0.1" } } })
    local got = server:call_for_json(url_of("one.test", origin.port))
    assert.equal("one.test:" .. origin.port, got.headers.host)
  end)

  it("may have an IPv6 address alone", function()
    local origin = listen("::1")
    upstream:names({ ["six.test"] = { AAAA = { "::1" } } })
    assert.is_true(calls_to("six.test", origin.port).ok)
  end)

  it("may be another one's alias", function()
    local origin = listen()
    upstream:names({ ["alias.test"] = { CNAME = "real.test" },
      ["real.test"] = { A = { "127.0.0.1" } } })
    assert.is_true(calls_to("alias.test", origin.port).ok)
  end)

  it("is the same in capitals", function()
    local origin = listen()
    upstream:names({ ["capital.test"] = { A = { "127.0.0.1" } } })
    assert.is_true(calls_to("capital.test", origin.port).ok)
    assert.is_true(calls_to("CAPITAL.Test", origin.port).ok)
    assert.equal(1, origin:seen().connections)
  end)

  it("that the hosts file knows is not asked for", function()
    local origin = listen()
    upstream:names({})
    assert.is_true(calls_to("localhost", origin.port).ok)
    assert.same({}, upstream:questions())
  end)

  it("that is an address is not asked for", function()
    upstream:names({})
    server:must_call(listen():url("/echo"))
    server:must_call(listen("::1"):url("/echo"))
    assert.same({}, upstream:questions())
  end)

  it("is asked for once by many at the same time", function()
    local origin = listen()
    upstream:names({ ["busy.test"] = { A = { "127.0.0.1" }, wait_ms = 100 } })
    local call = { url = url_of("busy.test", origin.port, "/slow?head_ms=20") }
    assert.equal(30, server:ask("/calls", { n = 30, calls = { call } }).resolved)
    assert.equal(1, upstream:questions()["busy.test A"])
  end)
end)

describe("a name's time to live", function()
  it("is kept: within it nobody asks again", function()
    local origin = listen()
    upstream:names({ ["kept.test"] = { A = { "127.0.0.1" }, ttl = 60 } })
    for _ = 1, 3 do
      call_afresh(origin, url_of("kept.test", origin.port))
    end
    assert.equal(1, upstream:questions()["kept.test A"])
  end)

  it("is over: the server has moved", function()
    local old = listen("127.0.0.1")
    local new = listen("127.0.0.2", old.port)
    upstream:names({ ["moving.test"] = { A = { "127.0.0.1" }, ttl = 1 } })
    call_afresh(old, url_of("moving.test", old.port))
    upstream:names({ ["moving.test"] = { A = { "127.0.0.2" }, ttl = 1 } })
    process.wait_until("calls reach the new server", function()
      call_afresh(old, url_of("moving.test", old.port))
      return #new:seen().requests > 0
    end)
  end)

  it("of none means to ask each time", function()
    local old = listen("127.0.0.1")
    local new = listen("127.0.0.2", old.port)
    upstream:names({ ["fresh.test"] = { A = { "127.0.0.1" }, ttl = 0 } })
    call_afresh(old, url_of("fresh.test", old.port))
    upstream:names({ ["fresh.test"] = { A = { "127.0.0.2" }, ttl = 0 } })
    call_afresh(old, url_of("fresh.test", old.port))
    assert.equal(1, #new:seen().requests)
  end)
end)

describe("a name that leads nowhere", function()
  it("because there is none fails with code dns, and is remembered for a while", function()
    upstream:names({})
    for _ = 1, 3 do
      server:must_fail("http://nobody.test/", "dns", "nobody%.test")
    end
    assert.equal(1, upstream:questions()["nobody.test A"])
  end)

  it("because it has no address fails with code dns", function()
    upstream:names({ ["empty.test"] = { A = {} } })
    server:must_fail("http://empty.test/", "dns", "empty%.test")
  end)

  it("because the nameserver fails is code dns", function()
    upstream:names({ ["broken.test"] = { rcode = 2 } })
    server:must_fail("http://broken.test/", "dns", "broken%.test")
  end)

  it("because nobody answers ends with the connect timeout", function()
    upstream:names({ ["silent.test"] = { silent = true } })
    local told = server:call({ url = "http://silent.test/", connect_timeout = 0.3 })
    assert.is_false(told.ok)
    assert.truthy(told.code == "timeout" or told.code == "dns", told.code)
    assert.truthy(told.message:find("silent.test", 1, true))
  end)

  it("because it is no name fails, and nobody is asked", function()
    upstream:names({})
    local long = ("x"):rep(64) .. ".test"
    for _, name in ipairs({
      long, ("abcdefg."):rep(40) .. "test", "a..test", "127.0.0.1%00.test", "a%2Etest",
    }) do
      local told = server:call("http://" .. name .. "/")
      assert.is_false(told.ok)
      assert.truthy(told.raised or told.code == "dns", told.code)
    end
    assert.same({}, upstream:questions())
  end)

  it("can be cancelled while nobody answers", function()
    upstream:names({ ["mute.test"] = { silent = true } })
    local told = server:ask("/cancelled_call", { call = { url = "http://mute.test/" },
      after = 0.05 })
    callers.assert_failed(told, "cancelled")
  end)
end)

-- Of a name with several addresses, the one that works is found.
describe("of several addresses", function()
  local function both(name, four, six)
    upstream:names({ [name] = { A = four, AAAA = six } })
  end

  it("one that refuses is passed over at once", function()
    local origin = listen("127.0.0.1")
    both("refuses6.test", { "127.0.0.1" }, { "::1" })
    assert.is_true(calls_to("refuses6.test", origin.port).ok)
    both("refuses4.test", { "127.0.0.9", "127.0.0.1" })
    assert.is_true(calls_to("refuses4.test", origin.port).ok)
    origin = listen("::1")
    both("only6.test", { "127.0.0.9" }, { "::1" })
    assert.is_true(calls_to("only6.test", origin.port).ok)
  end)

  it("one that is dead does not hold up the others", function()
    local origin = listen("127.0.0.1")
    local hole = black_holes.open("::1", origin.port)
    both("dead6.test", { "127.0.0.1" }, { "::1" })
    local told = server:call({ url = url_of("dead6.test", origin.port), connect_timeout = 3 })
    hole:close()
    assert.is_true(told.ok, told.message)
  end)

  it("both families serve in either order", function()
    local four = listen("127.0.0.1")
    local six = listen("::1", four.port)
    both("both.test", { "127.0.0.1" }, { "::1" })
    assert.is_true(calls_to("both.test", four.port).ok)
    assert.equal(1, #four:seen().requests + #six:seen().requests)
  end)

  it("of which all refuse the call fails with code connect", function()
    both("dead.test", { "127.0.0.9", "127.0.0.8" }, { "::1" })
    local url = url_of("dead.test", servers.free_port())
    server:must_fail(url, "connect", "dead%.test")
  end)

  it("one family may stay unanswered by the nameserver", function()
    local origin = listen("127.0.0.1")
    upstream:names({ ["half.test"] = { A = { "127.0.0.1" }, silent = "AAAA" } })
    assert.is_true(calls_to("half.test", origin.port).ok) -- RFC 8305 section 3
  end)
end)

describe("http.nameservers", function()
  it("may name several, of which the first is dead", function()
    local dead = "127.0.0.1:" .. servers.free_port()
    local origin = listen()
    upstream:names({ ["second.test"] = { A = { "127.0.0.1" } } })
    local names = dead .. "," .. upstream.nameservers
    callers.with(upstream, { http = { nameservers = names } }, function(other)
      local url = url_of("second.test", origin.port)
      other:must_call({ url = url, connect_timeout = 12 })
    end)
  end)

  it("that are no addresses are refused by check", function()
    local text = servers.config_text({ listen = { "127.0.0.1:0" }, app = "lua/client_app.lua",
      http = { nameservers = "not an address" } })
    local folder = servers.project(text)
    local said = process.run({ servers.BINARY, "check", folder .. "/conf/moongate.lua" })
    process.remove_folder(folder)
    assert.equal(1, said.status)
    assert.truthy((said.err .. said.out):find("nameservers"))
  end)
end)
