--- An upstream's servers while the gateway runs: what scripts say of them, names whose addresses
--- change, reloads. Two workers must agree.
local json = require("dkjson")
local process = require("support.process")
local proxy = require("support.proxy")
local upstreams = require("support.upstream")
local wire = require("support.wire")

local LINES = [[
app:get("/servers", function() return moongate.upstream("up"):servers() end)
app:post("/servers", function(ctx)
  moongate.upstream("up"):set_servers(ctx:body_json():await().servers)
  return "set"
end)
app:post("/drain", function(ctx)
  moongate.upstream("up"):drain(ctx.query.url, ctx.query.on ~= "no")
  return "told"
end)
]]

local upstream, a, b, gateway

setup(function()
  upstream = upstreams.start()
end)
teardown(function()
  upstream:stop()
end)
before_each(function()
  a, b = upstream:listen({ kind = "http" }), upstream:listen({ kind = "http" })
end)
after_each(function()
  if gateway then
    gateway:stop()
    gateway = nil
  end
  a:close()
  b:close()
end)

local function start(up, options)
  options = options or {}
  options.workers = options.workers or 2
  gateway = proxy.start(up, options, LINES)
end

local function url_of(listener)
  return ("http://127.0.0.1:%d"):format(listener.port)
end

local function asked_of(conn, target)
  return json.decode(conn:request(wire.get(target)).body)
end

-- The URLs, or another field of the servers, as worker `n` has them.
local function servers_of(n, field)
  local conn = gateway:connect_to(n)
  local list = {}
  for i, server in ipairs(asked_of(conn, "/servers")) do
    list[i] = server[field or "url"]
  end
  conn:close()
  return list
end

local function both_say(expected, field)
  for n = 1, 2 do
    process.wait_until("worker " .. n .. " has been told", function()
      local said = servers_of(n, field)
      return json.encode(said) == json.encode(expected)
    end)
  end
end

local function set(servers)
  local body = json.encode({ servers = servers })
  return gateway:request(("POST /servers HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    .. "Content-Length: %d\r\n\r\n%s"):format(#body, body))
end

local function post(target)
  return gateway:request("POST " .. target
    .. " HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
end

local function ask(n)
  for _ = 1, n do
    assert.equal(200, gateway:request(wire.get("/echo")).status)
  end
end

local function requests_of(listener)
  return #listener:seen().requests
end

describe("what a script says of an upstream", function()
  it("holds in all workers", function()
    start({ a })
    assert.equal("set", set({ url_of(b) }).body)
    both_say({ url_of(b) })
    ask(6)
    assert.equal(0, requests_of(a))
    assert.equal(6, requests_of(b))
  end)

  it("holds over reloads, and for a worker that comes later", function()
    start({ a })
    set({ url_of(b) })
    both_say({ url_of(b) })
    gateway:must_reload()
    both_say({ url_of(b) })
    local before = gateway:pids()[1]
    process.run({ "kill", "-KILL", tostring(before) }, 5)
    process.wait_until("worker 1 is another one", function()
      local now = gateway:pids()[1]
      return now and now ~= before
    end)
    both_say({ url_of(b) })
  end)

  it("ends with no list: those of the configuration are back", function()
    start({ a })
    set({ url_of(b) })
    both_say({ url_of(b) })
    set(nil)
    both_say({ url_of(a) })
  end)

  it("is refused with the item and what is allowed, and nothing changes", function()
    start({ a })
    assert.equal(500, set({ url_of(b), { ulr = "http://x" } }).status)
    process.wait_until("the log says why", function()
      return gateway:stderr():find("servers[2].ulr: is no known key, allowed: url, weight, backup "
        .. "(did you mean \"url\"?)", 1, true)
    end)
    both_say({ url_of(a) })
  end)

  it("drains a server, until it says otherwise", function()
    start({ a, b })
    post("/drain?url=" .. url_of(a))
    both_say({ "draining", "up" }, "state")
    ask(6)
    assert.equal(0, requests_of(a))
    post("/drain?on=no&url=" .. url_of(a))
    both_say({ "up", "up" }, "state")
  end)
end)

describe("a reload", function()
  it("keeps the connections of servers that stay, and closes those of servers that go", function()
    start({ a, b, balance = "round_robin" }, { workers = 1 })
    ask(4)
    assert.equal(1, a:seen().connections)
    assert.equal(1, b:seen().connections)
    gateway:configure_and_reload({ upstreams = { up = proxy.upstream({ a }) } })
    b:wait_until_left()
    ask(4)
    assert.equal(1, a:seen().connections)
    assert.equal(6, requests_of(a))
  end)

  it("with other limits keeps the connections", function()
    start({ a }, { workers = 1 })
    ask(2)
    gateway:configure_and_reload({
      upstreams = { up = proxy.upstream({ a, connections = 5, health = { interval = 60 } }) } })
    ask(2)
    -- a health check by TCP is a connection too
    assert.is_true(a:seen().connections <= 2)
    assert.equal(1, a:seen().requests[4].connection)
  end)
end)

describe("a name", function()
  it("stands for all its addresses, and follows them at their TTL under traffic", function()
    local one = upstream:listen({ kind = "http", host = "127.0.0.1" })
    local two = upstream:listen({ kind = "http", host = "127.0.0.2", port = one.port })
    upstream:names({ ["shop.test"] = { A = { "127.0.0.1" }, ttl = 1 } })
    start({ ("http://shop.test:%d"):format(one.port), balance = "round_robin" },
      { workers = 1, http = { nameservers = upstream.nameservers } })
    ask(3)
    assert.equal(3, requests_of(one))
    upstream:names({ ["shop.test"] = { A = { "127.0.0.1", "127.0.0.2" }, ttl = 1 } })
    process.wait_until("the other address is asked too", function()
      ask(2)
      return requests_of(two) > 0
    end)
    upstream:names({ ["shop.test"] = { A = { "127.0.0.2" }, ttl = 1 } })
    process.wait_until("the old address is left", function()
      ask(2)
      return one:seen().open == 0
    end)
    one:close()
    two:close()
  end)

  it("keeps its last good addresses when the resolver fails", function()
    upstream:names({ ["kept.test"] = { A = { "127.0.0.1" }, ttl = 1 } })
    start({ ("http://kept.test:%d"):format(a.port) },
      { workers = 1, http = { nameservers = upstream.nameservers } })
    process.wait_until("its address is known", function()
      return asked_of(gateway:connect_to(1), "/servers")[1].address
        == ("127.0.0.1:%d"):format(a.port)
    end)
    upstream:names({ ["kept.test"] = { rcode = 2 } })
    process.wait_until("it is asked for again, and again", function()
      ask(1)
      return (upstream:questions()["kept.test A"] or 0) > 2
    end)
    ask(3)
  end)
end)

describe("moongate status", function()
  it("shows each server, how it is and why, and how often a connection served again", function()
    start({ a, b })
    ask(6)
    post("/drain?url=" .. url_of(b))
    both_say({ "up", "draining" }, "state")
    local up = gateway:status().upstreams[1]
    assert.equal("up", up.upstream)
    assert.equal("closed", up.circuit)
    local by_url, tries = {}, 0
    for _, server in ipairs(up.servers) do
      by_url[server.server] = server
      tries = tries + server.tries
    end
    assert.equal(6, tries)
    assert.equal("up", by_url[url_of(a)].state)
    assert.equal("draining", by_url[url_of(b)].state)
    assert.equal("a script said so", by_url[url_of(b)].why)
    assert.equal(0, by_url[url_of(a)].in_flight)
    assert.matches("upstream up: circuit closed, 0 in flight", gateway:command("status").out)
    assert.matches(url_of(b):gsub("%p", "%%%0") .. " +draining .*: a script said so",
      gateway:command("status").out)
  end)
end)
