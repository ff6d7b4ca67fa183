--- The sizes that a peer controls, at their defaults and as configured.
local servers = require("support.server")
local wire = require("support.wire")
local http = require("support.http")

local function fields(count)
  local list = {}
  for i = 1, count do
    list[i] = "X-" .. i .. ": 1"
  end
  return list
end

local function target(bytes)
  return "/echo/" .. ("a"):rep(bytes - 6)
end

local function chunked_post(path, body)
  return wire.head_of("POST", path, "Transfer-Encoding: chunked") .. "\r\n" .. body
end

describe("the default limits", function()
  local server

  setup(function()
    server = servers.start()
  end)
  teardown(function()
    server:stop()
  end)

  it("let a request line of nearly 8 KiB pass", function()
    http.assert_kept(server, wire.get(target(8100)), 200)
  end)

  it("answer 414 to a longer request line", function()
    http.assert_refused(server, wire.get(target(8300)), 414)
    http.assert_refused(server, wire.get(target(100000)), 414)
  end)

  it("answer 414 to a request line that never ends", function()
    http.assert_refused(server, "GET /" .. ("a"):rep(9000), 414)
    http.assert_refused(server, ("A"):rep(9000), { 400, 414 })
  end)

  it("let a header section of nearly 32 KiB pass", function()
    http.assert_kept(server, wire.get("/text", "X-Big: " .. ("a"):rep(32000)), 200)
  end)

  it("answer 431 to a larger header section", function()
    http.assert_refused(server, wire.get("/text", "X-Big: " .. ("a"):rep(33000)), 431)
    http.assert_refused(server, wire.get("/text", "X-Big: " .. ("a"):rep(300000)), 431)
  end)

  it("answer 431 to a field that never ends", function()
    http.assert_refused(server, "GET /text HTTP/1.1\r\nX-Big: " .. ("a"):rep(40000), 431)
    http.assert_refused(server, "GET /text HTTP/1.1\r\n" .. ("a"):rep(40000), { 400, 431 })
  end)

  it("let 100 fields pass and answer 431 to 101", function()
    http.assert_kept(server, wire.get("/text", unpack(fields(99))), 200)
    http.assert_refused(server, wire.get("/text", unpack(fields(100))), 431)
    http.assert_refused(server, wire.get("/text", unpack(fields(1500))), 431)
  end)

  it("let trailers of nearly 16 KiB pass and answer 431 to larger ones", function()
    local function with_trailer(bytes)
      return chunked_post("/length", "1\r\na\r\n0\r\nX-Big: " .. ("a"):rep(bytes) .. "\r\n\r\n")
    end
    http.assert_kept(server, with_trailer(16000), 200, "POST")
    http.assert_refused(server, with_trailer(17000), 431)
  end)

  it("let chunk extensions of nearly 16 KiB pass and answer 400 to larger ones", function()
    local function with_extension(bytes)
      return chunked_post("/length", "1;x=" .. ("a"):rep(bytes) .. "\r\na\r\n0\r\n\r\n")
    end
    http.assert_kept(server, with_extension(16000), 200, "POST")
    http.assert_refused(server, with_extension(17000), 400)
  end)

  it("count the extensions of all chunks together", function()
    local many = ("1;x=" .. ("a"):rep(1000) .. "\r\na\r\n"):rep(20)
    http.assert_refused(server, chunked_post("/length", many .. "0\r\n\r\n"), 400)
  end)

  it("answer 413 to a Content-Length beyond 16 MiB before the body is sent", function()
    local head = wire.head_of("POST", "/length", "Content-Length: 16777217")
    http.assert_refused(server, head .. "\r\n", 413)
  end)

  it("take a body of 16 MiB", function()
    local res = server:request(wire.post("/length", ("x"):rep(16777216)))
    assert.equal("16777216", res.body)
  end)

  it("let a client that is still uploading read the 413", function()
    local conn = server:connect()
    conn:send(wire.head_of("POST", "/length", "Content-Length: 20000000") .. "\r\n")
    conn:send(("x"):rep(4000000))
    assert.equal(413, conn:read("POST").status)
    conn:close()
  end)
end)

describe("the configured limits", function()
  local server

  setup(function()
    server = servers.start({
      limits = {
        request_line = 300, header_bytes = 1024, header_fields = 5, chunk_extensions = 50,
        trailers = 60, body = 1000, discard = 2000, pipeline = 4096, requests_per_connection = 3,
      },
    })
  end)
  teardown(function()
    server:stop()
  end)

  it("rule the request line", function()
    http.assert_kept(server, wire.get(target(250)), 200)
    http.assert_refused(server, wire.get(target(350)), 414)
    http.assert_refused(server, wire.get(target(350)), 414, "byte by byte")
  end)

  it("rule the header section", function()
    http.assert_kept(server, wire.get("/text", "X-Big: " .. ("a"):rep(800)), 200)
    local large = wire.get("/text", "X-Big: " .. ("a"):rep(1300))
    http.assert_refused(server, large, 431)
    http.assert_refused(server, large, 431, "byte by byte")
  end)

  it("rule the count of fields", function()
    http.assert_kept(server, wire.get("/text", unpack(fields(4))), 200)
    http.assert_refused(server, wire.get("/text", unpack(fields(5))), 431)
  end)

  it("rule chunk extensions and trailers", function()
    local long = ("a"):rep(80)
    http.assert_kept(server, chunked_post("/length", "0;a=b\r\nX-A: b\r\n\r\n"), 200, "POST")
    http.assert_refused(server, chunked_post("/length", "0;a=" .. long .. "\r\n\r\n"), 400)
    http.assert_refused(server, chunked_post("/length", "0\r\nX-A: " .. long .. "\r\n\r\n"), 431)
  end)

  it("rule the body, by its length and by its chunks", function()
    http.assert_kept(server, wire.post("/length", ("x"):rep(1000)), 200, "POST")
    http.assert_kept(server, wire.post_chunked("/length", ("x"):rep(1000)), 200, "POST")
    http.assert_refused(server, wire.post("/length", ("x"):rep(1001)), 413)
    http.assert_refused(server, wire.post_chunked("/length", ("x"):rep(600), ("x"):rep(600)), 413)
  end)

  it("refuse a chunk when it is announced, before it has come", function()
    local conn = server:connect()
    conn:send(chunked_post("/length", "1\r\na\r\n3e8\r\n"))
    local res = conn:read("POST")
    assert.equal(413, res.status)
    assert.equal("close", res.headers.connection)
    assert.is_true(conn:is_closed())
    conn:close()
    conn = server:connect()
    conn:send(chunked_post("/small", "65\r\n"))
    assert.equal(413, conn:read("POST").status)
    conn:close()
  end)

  it("leave the answer about a body to the app", function()
    for _, bytes in ipairs({
      wire.post("/length", ("x"):rep(1001)), wire.post("/small", ("x"):rep(101)),
      wire.post_chunked("/length", ("x"):rep(1001)), chunked_post("/length", "g\r\n"),
      chunked_post("/length", "0\r\nX-A: " .. ("a"):rep(80) .. "\r\n\r\n"),
    }) do
      local conn = server:connect()
      conn:send(bytes)
      local res = conn:read("POST")
      assert.truthy(res.headers["x-request-id"], "no middleware ran")
      assert.equal(res.headers["x-request-id"], http.problem(res).request_id)
      assert.is_true(conn:is_closed())
      conn:close()
    end
  end)

  it("are exact for a header section", function()
    local overhead = #"Host: moongate.test\r\nX-Big: \r\n"
    local function of(bytes)
      return wire.get("/text", "X-Big: " .. ("a"):rep(bytes - overhead))
    end
    http.assert_kept(server, of(1024), 200)
    http.assert_refused(server, of(1025), 431)
    http.assert_refused(server, of(1026), 431)
    http.assert_refused(server, of(1025), 431, "byte by byte")
  end)

  it("give way to a route's own limit, smaller or larger", function()
    http.assert_kept(server, wire.post("/small", ("x"):rep(100)), 200, "POST")
    http.assert_refused(server, wire.post("/small", ("x"):rep(101)), 413)
    http.assert_refused(server, wire.post_chunked("/small", ("x"):rep(101)), 413)
    local res = http.assert_kept(server, wire.post("/large", ("x"):rep(100000)), 200, "POST")
    assert.equal("100000", res.body)
  end)

  it("let a body that nobody read pass while it is short", function()
    local conn = server:connect()
    assert.equal(200, conn:request(wire.post("/unread", ("x"):rep(900))).status)
    assert.equal("hello\n", conn:request(wire.get("/text")).body)
    conn:close()
  end)

  it("hold pipelined bytes back without losing any", function()
    local big = servers.start({ limits = { pipeline = 4096 } })
    local conn = big:connect()
    conn:send(wire.get("/wait/held"))
    big:wait_for_body("/pending/held", "yes")
    for i = 1, 500 do
      conn:send(wire.get("/echo/" .. i, "X-Test: " .. ("a"):rep(100)))
    end
    assert.equal("released\n", big:get("/release/held").body)
    assert.equal("waited\n", conn:read().body)
    for i = 1, 500 do
      assert.equal("/echo/" .. i, http.json(conn:read()).path)
    end
    conn:close()
    big:stop()
  end)

  it("announce the last request of a connection, then close it", function()
    local conn = server:connect()
    for _ = 1, 2 do
      assert.is_nil(conn:request(wire.get("/text")).headers.connection)
    end
    assert.equal("close", conn:request(wire.get("/text")).headers.connection)
    assert.is_true(conn:is_closed())
    conn:close()
  end)

  it("serve nothing behind the last request of a connection", function()
    local conn = server:connect()
    conn:send(wire.get("/text"):rep(3) .. wire.get("/mark/beyond"))
    for _ = 1, 3 do
      assert.equal("hello\n", conn:read().body)
    end
    assert.is_true(conn:is_closed())
    assert.equal("0", server:get("/marks/beyond").body)
    conn:close()
  end)
end)

describe("an unread body beyond limits.discard", function()
  local server

  setup(function()
    server = servers.start({ limits = { discard = 2000 } })
  end)
  teardown(function()
    server:stop()
  end)

  it("closes the connection behind the answer", function()
    local conn = server:connect()
    conn:send(wire.head_of("POST", "/unread", "Content-Length: 100000") .. "\r\n")
    assert.equal("not read\n", conn:read("POST").body)
    conn:send(("x"):rep(100000) .. wire.get("/mark/beyond"))
    assert.is_true(conn:is_closed())
    conn:close()
    assert.equal("0", server:get("/marks/beyond").body)
  end)

  it("keeps the connection if it is shorter", function()
    http.assert_kept(server, wire.post("/unread", ("x"):rep(1500)), 200, "POST")
    http.assert_kept(server, wire.post_chunked("/unread", ("x"):rep(1500)), 200, "POST")
  end)

  it("is the same for a body that comes after the answer", function()
    local conn = server:connect()
    conn:send(wire.head_of("POST", "/unread", "Content-Length: 1500") .. "\r\n")
    assert.equal("not read\n", conn:read("POST").body)
    conn:send(("x"):rep(1500) .. wire.get("/text"))
    assert.equal("hello\n", conn:read().body)
    conn:close()
  end)
end)

describe("limits.input", function()
  it("refuses the body that holds the most, not the one that comes", function()
    local server = servers.start({ limits = { input = "1M", body = "4M" } })
    local held, coming = server:connect(), server:connect()
    held:send(wire.head_of("POST", "/length", "Content-Length: 4000000") .. "\r\n" ..
      ("x"):rep(900000))
    server:get("/text")
    coming:send(wire.head_of("POST", "/length", "Content-Length: 400000") .. "\r\n" ..
      ("y"):rep(399999))
    local res = held:read("POST")
    assert.equal(503, http.problem(res).status)
    assert.equal("1", res.headers["retry-after"])
    assert.truthy(res.headers["x-request-id"], "no middleware ran")
    assert.is_true(held:is_closed())
    coming:send("y")
    assert.equal("400000", coming:read("POST").body)
    held:close()
    coming:close()
    server:stop()
  end)
end)
