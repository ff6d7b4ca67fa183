--- Persistence, pipelining and the Connection field.
local servers = require("support.server")
local wire = require("support.wire")
local http = require("support.http")

local server

local function head(line, ...)
  return table.concat({ line, "Host: moongate.test", ... }, "\r\n") .. "\r\n\r\n"
end

setup(function()
  server = servers.start()
end)
teardown(function()
  server:stop()
end)

describe("a connection", function()
  local function assert_closes(bytes)
    local conn = server:connect()
    conn:send(bytes .. http.SECOND)
    local res = conn:read()
    assert.equal("hello\n", res.body)
    assert.equal("close", res.headers.connection)
    assert.is_true(conn:is_closed())
    conn:close()
  end

  for _, field in ipairs({
    "Connection: close", "Connection: Close", "Connection: CLOSE", "connection:close",
    "Connection: close\t", "Connection:\tclose \t", "Connection: x, close", "Connection: close, x",
    "Connection: ,,close,", "Connection: keep-alive, close", "Connection: close,keep-alive",
    "Connection: x\r\nConnection: close", "Connection: close\r\nConnection: keep-alive",
  }) do
    it("is closed behind the answer to " .. http.shown(field), function()
      assert_closes(head("GET /text HTTP/1.1", field))
    end)
  end

  for _, field in ipairs({
    "Connection: keep-alive", "Connection: x", "Connection: closed", "Connection: close-not",
    "Connection: \"close\"", "Connection:", "X-Connection: close", "Proxy-Connection: close",
  }) do
    it("goes on behind the answer to " .. http.shown(field), function()
      http.assert_kept(server, head("GET /text HTTP/1.1", field), 200)
    end)
  end

  it("of HTTP/1.0 is closed unless the client asks otherwise", function()
    assert_closes(head("GET /text HTTP/1.0"))
    assert_closes(head("GET /text HTTP/1.0", "Connection: close"))
    assert_closes(head("GET /text HTTP/1.0", "Connection: keep-alive, close"))
    assert_closes("GET /text HTTP/1.0\r\n\r\n")
  end)

  it("of HTTP/1.0 goes on with keep-alive, which is confirmed", function()
    local conn = server:connect()
    for _, token in ipairs({ "keep-alive", "Keep-Alive", "x, KEEP-ALIVE" }) do
      local res = conn:request(head("GET /text HTTP/1.0", "Connection: " .. token))
      assert.equal("hello\n", res.body)
      assert.equal("keep-alive", res.headers.connection:lower())
    end
    conn:close()
  end)

  it("may mix HTTP/1.0 and HTTP/1.1", function()
    local conn = server:connect()
    conn:request(head("GET /text HTTP/1.0", "Connection: keep-alive"))
    assert.is_nil(conn:request(wire.get("/text")).headers.connection)
    conn:close()
  end)

  it("is closed when the handler asks for it", function()
    local conn = server:connect()
    conn:send(wire.get("/close") .. http.SECOND)
    local res = conn:read()
    assert.equal("last\n", res.body)
    assert.is_true(conn:is_closed())
    conn:close()
  end)

  it("lets empty lines before a request line pass", function()
    local conn = server:connect()
    assert.equal("hello\n", conn:request("\r\n" .. wire.get("/text"), "GET").body)
    assert.equal("hello\n", conn:request("\r\n" .. wire.get("/text"), "GET").body)
    conn:close()
  end)

  it("lets the CRLF pass that old clients send behind a body", function()
    local conn = server:connect()
    conn:send(wire.post("/length", "12345") .. "\r\n" .. wire.get("/text"))
    assert.equal("5", conn:read("POST").body)
    assert.equal("hello\n", conn:read().body)
    conn:close()
  end)

  it("is the same whether bytes come whole, one by one or split anywhere", function()
    local bytes = wire.post("/echo?a=1", "body bytes", "X-Test: v") .. wire.get("/text")
    local conn = server:connect()
    conn:send_slowly(bytes)
    assert.equal("body bytes", http.json(conn:read("POST")).body)
    assert.equal("hello\n", conn:read().body)
    for at = 1, #bytes - 1 do
      conn:send_split(bytes, at)
      local seen = http.json(conn:read("POST"))
      assert.equal("body bytes", seen.body)
      assert.equal("v", seen.headers["x-test"])
      assert.equal("hello\n", conn:read().body)
    end
    conn:close()
  end)

  it("carries 10,000 requests, the last of them announced", function()
    local conn = server:connect()
    local batch = wire.get("/text"):rep(100)
    for round = 1, 100 do
      conn:send(batch)
      for i = 1, 100 do
        local res = conn:read()
        assert.equal("hello\n", res.body)
        local last = round == 100 and i == 100
        assert.equal(last and "close" or nil, res.headers.connection)
      end
    end
    assert.is_true(conn:is_closed())
    conn:close()
  end)

  it("counts its requests for the handler", function()
    local conn = server:connect()
    local first = http.json(conn:request(wire.get("/connection")))
    local second = http.json(conn:request(wire.get("/connection")))
    assert.equal(first.id, second.id)
    assert.equal(first.requests + 1, second.requests)
    conn:close()
  end)
end)

describe("pipelined requests", function()
  local function assert_in_order(depth)
    local conn = server:connect()
    local bytes = {}
    for i = 1, depth do
      bytes[i] = wire.get("/echo/" .. i)
    end
    conn:send(table.concat(bytes))
    for i = 1, depth do
      assert.equal("/echo/" .. i, http.json(conn:read()).path)
    end
    assert.is_true(conn:is_quiet())
    conn:close()
  end

  it("are answered in order, 16 deep", function()
    assert_in_order(16)
  end)

  it("are answered in order, 500 deep", function()
    assert_in_order(500)
  end)

  it("are answered in order with bodies between", function()
    local conn = server:connect()
    local bytes = {}
    for i = 1, 60, 3 do
      bytes[#bytes + 1] = wire.get("/echo/" .. i)
      bytes[#bytes + 1] = wire.post("/echo/" .. i + 1, "body " .. i + 1)
      bytes[#bytes + 1] = wire.post_chunked("/echo/" .. i + 2, "body ", tostring(i + 2))
    end
    conn:send(table.concat(bytes))
    for i = 1, 60 do
      local seen = http.json(conn:read())
      assert.equal("/echo/" .. i, seen.path)
      assert.equal(i % 3 == 1 and "" or "body " .. i, seen.body)
    end
    conn:close()
  end)

  it("are answered in order with unread bodies between", function()
    local conn = server:connect()
    conn:send((wire.post("/unread", ("x"):rep(1000)) .. wire.get("/text")):rep(20))
    for _ = 1, 20 do
      assert.equal("not read\n", conn:read("POST").body)
      assert.equal("hello\n", conn:read().body)
    end
    conn:close()
  end)

  it("wait behind a slow one", function()
    local conn = server:connect()
    conn:send(wire.get("/text") .. wire.get("/wait/slow") .. wire.get("/mark/behind"))
    assert.equal("hello\n", conn:read().body)
    server:wait_for_body("/pending/slow", "yes")
    assert.equal("0", server:get("/marks/behind").body)
    assert.is_true(conn:is_quiet())
    server:get("/release/slow")
    assert.equal("waited\n", conn:read().body)
    assert.equal("marked 1\n", conn:read().body)
    conn:close()
  end)

  it("wait behind a streamed answer", function()
    local conn = server:connect()
    conn:send(wire.get("/stream_in_two/order") .. wire.get("/text"))
    server:wait_for_body("/pending/order", "yes")
    server:get("/release/order")
    assert.equal("first\nsecond\n", conn:read().body)
    assert.equal("hello\n", conn:read().body)
    conn:close()
  end)

  it("are not served behind Connection: close", function()
    local conn = server:connect()
    conn:send(wire.get("/text") .. wire.get("/text", "Connection: close")
      .. wire.get("/mark/after_close"))
    assert.equal("hello\n", conn:read().body)
    assert.equal("hello\n", conn:read().body)
    assert.is_true(conn:is_closed())
    conn:close()
    assert.equal("0", server:get("/marks/after_close").body)
  end)

  it("answer errors of the app without losing the place", function()
    local conn = server:connect()
    for _, target in ipairs({ "/error", "/nowhere", "/fail/422", "/text" }) do
      conn:send(wire.get(target))
    end
    for _, status in ipairs({ 500, 404, 422, 200 }) do
      assert.equal(status, conn:read().status)
    end
    conn:close()
  end)
end)
