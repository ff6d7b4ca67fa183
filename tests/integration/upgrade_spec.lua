--- Connections that handlers take over: Upgrade and CONNECT, up to the drain and over reloads.
local servers = require("support.server")
local services = require("support.service")
local process = require("support.process")
local wire = require("support.wire")

local UPGRADE = "GET /echo HTTP/1.1\r\nHost: h\r\nUpgrade: lines\r\nConnection: Upgrade\r\n\r\n"

-- The protocol of these tests: each line comes back behind the app's word; "half" has the server
-- end its side, "flood N" sends N bytes, "quit" ends the stream.
local LINES = [[
local function serve(stream, word)
  while true do
    local line = stream:read_line():await()
    if not line then
      stream:write("bye\n")
      return
    elseif line == "quit" then
      return
    elseif line == "half" then
      stream:shutdown()
    elseif line:find("^flood") then
      local piece = ("x"):rep(65536)
      for _ = 1, tonumber(line:match("%%d+")) / #piece do
        stream:write(piece)
      end
    else
      stream:write(word .. " " .. line .. "\n")
    end
  end
end
app:get("/echo", function(ctx)
  ctx:upgrade("lines", function(stream)
    serve(stream, %q)
  end)
end)
app:connect(function(ctx)
  local host = ctx.host
  if host ~= "echo.internal:7" then
    ctx:fail(403, "only echo.internal:7 can be reached")
  end
  ctx:tunnel(function(stream)
    serve(stream, host)
  end)
end)
app:get("/text", function() return "hello\n" end)
]]

local function app_of(word)
  return LINES:format(word)
end

local function read_head(conn)
  local status = conn:take_line()
  local fields = {}
  for line in function() return conn:take_line() end do
    if line == "" then
      return status, fields
    end
    local name, value = line:match("^([^:]+): (.*)$")
    fields[name:lower()] = value
  end
end

local function open(server, behind, request)
  local conn = server:connect()
  conn:send((request or UPGRADE) .. (behind or ""))
  local status, fields = read_head(conn)
  return conn, status, fields
end

local function ask(conn, line)
  conn:send(line .. "\n")
  return conn:take_text_line()
end

describe("a connection that was taken over", function()
  local server, before

  setup(function()
    server = servers.start({
      log = { level = "info", file = "stderr", access = "access.log" },
    }, { app = services.app("one", app_of("one")) })
    server:get("/text")
    before = server:footprint().descriptors
  end)
  teardown(function()
    server:stop()
  end)
  after_each(function()
    server:wait_for_descriptors(before)
    assert.equal("hello\n", server:get("/text").body)
  end)

  it("speaks the other protocol, from what was pipelined behind the head on", function()
    local conn, status, fields = open(server, "first\nsecond\r\nthi")
    assert.equal("HTTP/1.1 101 Switching Protocols", status)
    assert.equal("lines", fields.upgrade)
    assert.equal("upgrade", fields.connection)
    assert.is_nil(fields["content-length"])
    assert.is_nil(fields["transfer-encoding"])
    assert.equal("one first", conn:take_text_line())
    assert.equal("one second", conn:take_text_line())
    assert.equal("one third", ask(conn, "rd"))
    assert.equal("one GET / HTTP/1.1", ask(conn, "GET / HTTP/1.1"))
    conn:send("quit\n")
    assert.equal("", conn:take_rest())
    process.wait_until("the access log has it", function()
      return server:access_log():find('"GET /echo HTTP/1.1" 101 0 ', 1, true)
    end)
  end)

  it("begins behind the answers to what was pipelined before it", function()
    local conn = server:connect()
    conn:send(wire.get("/text") .. UPGRADE .. "first\n")
    assert.equal("hello\n", conn:read().body)
    assert.equal("HTTP/1.1 101 Switching Protocols", (read_head(conn)))
    assert.equal("one first", conn:take_text_line())
    conn:close()
  end)

  it("arrives whole however it is split", function()
    local bytes = UPGRADE .. "a line\n"
    for at = #UPGRADE - 3, #bytes - 1 do
      local conn = server:connect()
      conn:send_split(bytes, at)
      assert.equal("HTTP/1.1 101 Switching Protocols", (read_head(conn)))
      assert.equal("one a line", conn:take_text_line())
      conn:close()
    end
  end)

  it("ends each direction by itself", function()
    local conn = open(server)
    conn:send("last\n")
    conn.sock:shutdown("send")
    assert.equal("one last\nbye\n", conn:take_rest())
    conn:close()
    conn = open(server)
    conn:send("half\n")
    assert.equal("", conn:take_rest())
    conn:send("quit\n")
    conn:close()
  end)

  it("is written to no faster than the client reads", function()
    local memory = server:footprint().rss_kb or process.rss_kb(server.pid)
    local conn = server:connect({ receive_buffer = 4096 })
    conn:send(UPGRADE .. "flood 67108864\n")
    read_head(conn)
    assert.equal("hello\n", server:get("/text").body)
    assert.is_true(process.rss_kb(server.pid) - memory < 16384)
    local left = 67108864
    while left > 0 do
      left = left - #conn:take(math.min(left, 1048576))
    end
    assert.equal("one done", ask(conn, "done"))
    conn:close()
  end)

  it("ends with the client, by a close and by a reset", function()
    local conn = open(server, "hi\n")
    assert.equal("one hi", conn:take_text_line())
    conn:close()
    server:wait_for_descriptors(before)
    conn = open(server, "hi\n")
    conn:reset()
  end)

  it("by CONNECT is a tunnel, to where the route allows", function()
    local head = "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n"
    local conn, status, fields = open(server, "hi\n",
      head:format("echo.internal:7", "echo.internal:7"))
    assert.equal("HTTP/1.1 200 OK", status)
    assert.is_nil(fields["content-length"])
    assert.equal("echo.internal:7 hi", conn:take_text_line())
    conn:close()
    conn = server:connect()
    conn:send(head:format("other:7", "other:7"))
    assert.equal(403, conn:read("CONNECT").status)
    conn:close()
  end)

  it("is not had by who did not ask", function()
    local res = server:get("/echo")
    assert.equal(426, res.status)
    assert.equal("lines", res.headers.upgrade)
    local conn = server:connect()
    conn:send("GET /echo HTTP/1.0\r\nUpgrade: lines\r\nConnection: Upgrade\r\n\r\n")
    assert.equal(426, conn:read().status)
    conn:close()
  end)
end)

describe("streams and the service", function()
  local service

  after_each(function()
    service:stop()
  end)

  it("keep their scripts over a reload, which waits for nothing", function()
    service = services.start({ workers = 1 }, "one", app_of("one"))
    local old = open(service, "a\n")
    assert.equal("one a", old:take_text_line())
    service:write_app("two", app_of("two"))
    service:must_reload()
    assert.equal("one b", ask(old, "b"))
    local new = open(service, "c\n")
    assert.equal("two c", new:take_text_line())
    process.wait_until("each generation counts its stream", function()
      local now, former = unpack(service:status().workers[1].generations)
      return former and now.streams == 1 and former.streams == 1
    end)
    old:send("quit\n")
    assert.equal("", old:take_rest())
    process.wait_until("the old generation is over", function()
      return #service:status().workers[1].generations == 1
    end)
    assert.equal("two d", ask(new, "d"))
    new:close()
  end)

  it("end with a generation that is one too many", function()
    service = services.start({ workers = 1, limits = { generations = 1 } }, "one", app_of("one"))
    local conn = open(service, "a\n")
    assert.equal("one a", conn:take_text_line())
    service:must_reload()
    local younger = open(service, "a\n")
    assert.equal("one a", younger:take_text_line())
    service:must_reload()
    assert.equal("", conn:take_rest())
    assert.equal("one b", ask(younger, "b"))
    younger:close()
    conn:close()
  end)

  it("go on while a stop drains, and end with it", function()
    service = services.start({ workers = 1, timeouts = { drain = 1 } }, "one", app_of("one"))
    local conn = open(service, "a\n")
    assert.equal("one a", conn:take_text_line())
    service.process:signal("TERM")
    process.wait_until("nobody listens", function()
      return not pcall(function()
        service:connect():close()
      end)
    end)
    assert.equal("one b", ask(conn, "b"))
    assert.equal("", conn:take_rest())
    assert.equal(0, service.process:wait())
    conn:close()
  end)
end)
