--- Clients that leave, at every stage; and those that only stop sending.
local servers = require("support.server")
local process = require("support.process")
local wire = require("support.wire")
local http = require("support.http")

local LEAVING = {
  { how = "a reset", leave = function(conn)
    conn:reset()
  end },
  { how = "a close", leave = function(conn)
    conn:close()
  end },
}

describe("a client that leaves", function()
  local server, before

  setup(function()
    server = servers.start({ timeouts = { half_close = 0.2 } })
    server:get("/text")
    before = server:footprint().descriptors
  end)
  teardown(function()
    server:stop()
  end)

  local function leave_during(bytes, leave, ready)
    local conn = server:connect()
    conn:send(bytes)
    if ready then
      ready(conn)
    end
    leave(conn)
    server:wait_for_descriptors(before)
    assert.equal("hello\n", server:get("/text").body)
  end

  for _, way in ipairs(LEAVING) do
    it("by " .. way.how .. " before and in the middle of a head costs nothing", function()
      for _, bytes in ipairs({ "", "\r\n", "GE", "GET /text HTTP/1.1\r\nHost: a\r\n" }) do
        leave_during(bytes, way.leave)
      end
    end)

    it("by " .. way.how .. " between requests costs nothing", function()
      leave_during(wire.get("/text"), way.leave, function(conn)
        assert.equal(200, conn:read().status)
      end)
    end)

    it("by " .. way.how .. " in the middle of a body cancels the handler", function()
      local name = "body_" .. way.how:sub(3)
      local head = wire.head_of("POST", "/wait_for_body/" .. name, "Content-Length: 100")
      leave_during(head .. "\r\nsome", way.leave, function()
        server:wait_for_body("/pending/" .. name, "yes")
      end)
      server:wait_for_body("/closed/" .. name, "yes")
    end)

    it("by " .. way.how .. " in the middle of a chunk cancels the handler", function()
      local name = "chunk_" .. way.how:sub(3)
      local bytes = wire.head_of("POST", "/wait_for_body/" .. name, "Transfer-Encoding: chunked")
        .. "\r\n5\r\nhe"
      leave_during(bytes, way.leave, function()
        server:wait_for_body("/pending/" .. name, "yes")
      end)
      server:wait_for_body("/closed/" .. name, "yes")
    end)

    it("by " .. way.how .. " while the handler awaits cancels it", function()
      local name = "await_" .. way.how:sub(3)
      leave_during(wire.get("/wait/" .. name), way.leave, function()
        server:wait_for_body("/pending/" .. name, "yes")
      end)
      server:wait_for_body("/closed/" .. name, "yes")
    end)

    it("by " .. way.how .. " while its upload is held back cancels the handler", function()
      local name = "upload_" .. way.how:sub(3)
      local head = wire.head_of("GET", "/wait/" .. name, "Content-Length: 1000000")
      -- Enough that reading stops (64 KiB), and no more than the kernel takes: behind a window that
      -- is shut the end would never arrive.
      leave_during(head .. "\r\n" .. ("x"):rep(100000), way.leave, function()
        server:wait_for_body("/pending/" .. name, "yes")
      end)
      server:wait_for_body("/closed/" .. name, "yes")
    end)

    it("by " .. way.how .. " in the middle of a streamed answer cancels it", function()
      local name = "stream_" .. way.how:sub(3)
      leave_during(wire.get("/endless/" .. name), way.leave, function(conn)
        conn:take(100000)
      end)
      server:wait_for_body("/closed/" .. name, "yes")
    end)

    it("by " .. way.how .. " in the middle of a large answer costs nothing", function()
      leave_during(wire.get("/big/8000"), way.leave, function(conn)
        conn:take(100000)
      end)
    end)

    it("by " .. way.how .. " with pipelined requests has no further one served", function()
      local name = "pipe_" .. way.how:sub(3)
      leave_during(wire.get("/wait/" .. name) .. wire.get("/mark/" .. name), way.leave, function()
        server:wait_for_body("/pending/" .. name, "yes")
      end)
      server:wait_for_body("/closed/" .. name, "yes")
      assert.equal("0", server:get("/marks/" .. name).body)
    end)
  end

  it("is not reported as an error of the script", function()
    assert.is_nil(server:stderr():find("traceback", 1, true))
  end)
end)

describe("a client that only stops sending", function()
  it("gets its answer", function()
    local server = servers.start({ timeouts = { half_close = 10 } })
    local conn = server:connect()
    conn:send(wire.get("/text") .. wire.post("/echo", "body"))
    conn:finish_sending()
    assert.equal("hello\n", conn:read().body)
    assert.equal("body", http.json(conn:read("POST")).body)
    assert.is_true(conn:is_closed())
    conn:close()
    server:stop()
  end)

  it("gets the answer of a handler that ends within timeouts.half_close", function()
    local server = servers.start({ timeouts = { half_close = 10 } })
    local conn = server:connect()
    conn:send(wire.get("/wait/half"))
    conn:finish_sending()
    server:wait_for_body("/pending/half", "yes")
    server:get("/release/half")
    assert.equal("waited\n", conn:read().body)
    assert.is_true(conn:is_closed())
    conn:close()
    server:stop()
  end)

  it("loses a handler that takes longer", function()
    local server = servers.start({ timeouts = { half_close = 0.2 } })
    local conn = server:connect()
    conn:send(wire.get("/wait/half"))
    conn:finish_sending()
    server:wait_for_body("/pending/half", "yes")
    server:wait_for_body("/closed/half", "yes")
    assert.is_true(conn:is_closed())
    conn:close()
    server:stop()
  end)

  -- Through a small window, and far more than the kernel takes at once.
  it("gets all of a long answer that it goes on taking", function()
    local server = servers.start({ timeouts = { half_close = 0.05 } })
    local conn = server:connect({ receive_buffer = 16384 })
    conn:send(wire.get("/stream/500000"))
    conn:finish_sending()
    local lines = select(2, conn:read().body:gsub("\n", ""))
    assert.equal(500000, lines)
    conn:close()
    server:stop()
  end)

  it("in the middle of a head or a body is no request", function()
    local server = servers.start()
    for _, bytes in ipairs({ "", "GET /mark/half HTTP/1.1\r\n", wire.head_of("POST", "/mark/half",
      "Content-Length: 5"), wire.head_of("GET", "/mark/half") }) do
      local conn = server:connect()
      conn:send(bytes)
      conn:finish_sending()
      local rest = conn:take_rest()
      assert.is_nil(rest:find("200 OK", 1, true))
      conn:close()
    end
    assert.equal("0", server:get("/marks/half").body)
    server:stop()
  end)
end)

describe("a refusal while the client is still sending", function()
  it("can be read in full", function()
    local server = servers.start({ limits = { body = 1000 } })
    for _ = 1, 20 do
      local conn = server:connect()
      conn:send(wire.head_of("POST", "/length", "Content-Length: 3000000") .. "\r\n")
      conn:send(("x"):rep(3000000))
      assert.equal(413, conn:read("POST").status)
      conn:close()
    end
    server:stop()
  end)

  it("does not keep the connection for ever", function()
    local server = servers.start({ limits = { body = 1000 } })
    local before = server:footprint().descriptors
    local conn = server:connect()
    conn:send(wire.head_of("POST", "/length", "Transfer-Encoding: chunked") .. "\r\n")
    process.wait_until("the server stops listening to the upload", function()
      return not conn:send("4000\r\n" .. ("x"):rep(16384) .. "\r\n")
    end, 60)
    conn:close()
    server:wait_for_descriptors(before)
    server:stop()
  end)
end)
