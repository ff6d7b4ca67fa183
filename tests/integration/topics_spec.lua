--- What is published reaches subscribers of every worker and generation; event streams of topics
--- over reloads, deaths of workers, and a stop.
local services = require("support.service")
local servers = require("support.server")
local process = require("support.process")
local wire = require("support.wire")

local LINES = [[
app:get("/feed/:topic", function(ctx)
  ctx:header("X-Worker", moongate.info().worker)
  return ctx:events({ topics = { ctx.params.topic }, retry = 3 })
end)
app:get("/count/:topic", function(ctx)
  return tostring(moongate.topics.count(ctx.params.topic))
end)
app:post("/publish/:topic", function(ctx)
  moongate.publish(ctx.params.topic, ctx:body():await())
  return 204
end)
app:post("/many/:topic", function(ctx)
  local text = ("x"):rep(tonumber(ctx.query.bytes))
  for i = 1, tonumber(ctx.query.n) do
    moongate.publish(ctx.params.topic, i .. ":" .. text)
  end
  return 204
end)
app:get("/ticks", function(ctx)
  return ctx:events(function(out)
    out:send("begun")
    ctx.retiring:await()
    out:send({ event = "bye", data = { id = ctx.headers["last-event-id"] } })
  end)
end)]]

local service

-- Events one by one, out of a chunked answer.
local Reader = {}
Reader.__index = Reader

local function open(conn, target, ...)
  conn:send(wire.get(target, ...))
  local head = {}
  repeat
    head[#head + 1] = conn:take_line()
  until head[#head] == ""
  head = table.concat(head, "\n")
  assert(head:find("^HTTP/1.1 200"), head)
  return setmetatable({ conn = conn, head = head, text = "" }, Reader)
end

-- The next piece of the answer, nil behind the last.
function Reader:piece()
  local n = tonumber(self.conn:take_line(), 16)
  local piece = self.conn:take(n)
  assert(self.conn:take(2) == "\r\n")
  return n > 0 and piece or nil
end

-- The data of the next event.
function Reader:next()
  while true do
    local event, rest = self.text:match("^(.-\n)\n(.*)$")
    if event then
      self.text = rest
      local data = event:match("data: ([^\n]*)\n")
      if data then
        return data, event
      end
    else
      self.text = self.text .. assert(self:piece(), "the stream has ended")
    end
  end
end

local function feed(worker, topic)
  return open(service:connect_to(worker), "/feed/" .. topic)
end

local function publish(worker, topic, text)
  local conn = service:connect_to(worker)
  assert.equal(204, conn:request(wire.post("/publish/" .. topic, text)).status)
  conn:close()
end

local function wait_for_count(topic, n)
  process.wait_until(n .. " subscribe to " .. topic, function()
    return service:body("/count/" .. topic) == tostring(n)
  end)
end

describe("topics", function()
  setup(function()
    local port = servers.free_port()
    service = services.start({
      listen = { { address = "127.0.0.1:" .. port, http2 = true } },
      workers = 2, timeouts = { drain = 3 },
    }, "one", LINES, { wait_for = port })
    service.port = port
  end)

  teardown(function()
    service:stop()
  end)

  it("reach every worker, in the publisher's order", function()
    local feeds = { feed(1, "room"), feed(2, "room"), feed(2, "room") }
    assert.equal("3", service:body("/count/room"))
    assert.truthy(feeds[1].head:find("X-Worker: 1", 1, true))
    assert.truthy(feeds[2].head:find("X-Worker: 2", 1, true))
    local conn = service:connect_to(1)
    assert.equal(204, conn:request(wire.post("/many/room?n=300&bytes=200", "")).status)
    conn:close()
    publish(2, "room", "last")
    for _, stream in ipairs(feeds) do
      for i = 1, 300 do
        assert.equal(tostring(i), stream:next():match("^(%d+):"))
      end
      assert.equal("last", stream:next())
      stream.conn:close()
    end
    wait_for_count("room", 0)
  end)

  it("are read by curl, over both wires", function()
    for _, how in ipairs({ "--http1.1", "--http2-prior-knowledge" }) do
      local out = os.tmpname()
      local argv = { "curl", "-sN", how, service:url("/feed/curl") }
      local curl = process.start(argv, out, "/dev/null")
      wait_for_count("curl", 1)
      publish(1, "curl", "one\ntwo")
      process.wait_until("curl has read it", function()
        return process.read_file(out) == "retry: 3000\n\ndata: one\ndata: two\n\n"
      end)
      curl:destroy()
      wait_for_count("curl", 0) -- and it has been noticed that it left
      os.remove(out)
    end
  end)

  it("do not notice a reload, and hold no scripts", function()
    local one, two = feed(1, "room"), feed(2, "room")
    service:must_reload()
    process.wait_until("the old scripts are gone", function()
      local workers = service:status().workers
      return #workers[1].generations == 1 and #workers[2].generations == 1
    end)
    local late = feed(1, "room")
    publish(1, "room", "from new scripts")
    assert.equal("from new scripts", one:next())
    assert.equal("from new scripts", two:next())
    assert.equal("from new scripts", late:next())
    assert.equal("3", service:body("/count/room"))
    process.wait_until("status counts them", function()
      local workers = service:status().workers
      return workers[1].event_streams == 2 and workers[2].event_streams == 1
        and workers[1].topics == 1
    end)
    assert.truthy(service:command("status").out:find("2 event streams", 1, true))
    for _, stream in ipairs({ one, two, late }) do
      stream.conn:close()
    end
    wait_for_count("room", 0)
  end)

  it("let a function's stream end well at a reload", function()
    local stream = open(service:connect_to(1), "/ticks", "Last-Event-ID: 41")
    assert.equal("begun", stream:next())
    service:must_reload()
    local data, event = stream:next()
    assert.equal('{"id":"41"}', data)
    assert.truthy(event:find("event: bye\n", 1, true))
    assert.is_nil(stream:piece())
    stream.conn:close()
  end)

  it("are not held up by a worker that is stopped, which counts what it lost", function()
    local one, two = feed(1, "room"), feed(2, "room")
    local conn = service:connect_to(1)
    local stopped = service:pids()[2]
    process.signal(stopped, "STOP")
    finally(function() process.signal(stopped, "CONT") end)
    for _ = 1, 3 do
      assert.equal(204, conn:request(wire.post("/many/room?n=100&bytes=10000", "")).status)
      for i = 1, 100 do
        assert.equal(tostring(i), one:next():match("^(%d+):"))
      end
    end
    conn:close()
    process.signal(stopped, "CONT")
    service:wait_for_log("worker 2: %d+ messages that worker 1 published are lost")
    local lost = tonumber(service:stderr():match("worker 2: (%d+) messages that worker 1"))
    for i = lost % 100 + 1, 100 do
      assert.equal(tostring(i), two:next():match("^(%d+):"))
    end
    assert.is_true(lost >= 190 and lost < 205, lost)
    publish(1, "room", "goes on")
    if lost < 200 then
      for _ = 1, 100 do two:next() end
    end
    assert.equal("goes on", two:next())
    assert.equal("goes on", one:next())
    one.conn:close()
    two.conn:close()
    wait_for_count("room", 0)
  end)

  it("lose with a worker its own subscribers alone", function()
    local one, two = feed(1, "room"), feed(2, "room")
    local killed = service:pids()[2]
    process.signal(killed, "KILL")
    two.conn:take_rest()
    wait_for_count("room", 1)
    process.wait_until("another one serves in its place", function()
      local pid = service:pids()[2]
      return pid and pid ~= killed
    end)
    local again = feed(2, "room")
    publish(2, "room", "to all")
    publish(1, "room", "and back")
    for _, stream in ipairs({ one, again }) do
      assert.equal("to all", stream:next())
      assert.equal("and back", stream:next())
      stream.conn:close()
    end
    wait_for_count("room", 0)
  end)

  it("end their streams at a stop", function()
    local one, two = feed(1, "room"), feed(2, "room")
    service.process:signal("TERM")
    for _, stream in ipairs({ one, two }) do
      assert.equal("retry: 3000\n\n", stream:piece())
      assert.is_nil(stream:piece())
    end
    assert.equal(0, service.process:wait())
  end)
end)
