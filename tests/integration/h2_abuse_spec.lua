--- Peers of HTTP/2 that mean harm, and browsers at their worst, which must not look like them.
local servers = require("support.server")
local services = require("support.service")
local h2 = require("support.h2")

local frame, headers, request, u32 = h2.frame, h2.headers, h2.request, h2.u32

local APP = services.app("hello", [[
app:post("/", function(ctx) return ctx:body():await() or "" end)
app:get("/large", function() return ("x"):rep(1000000) end)
local asked = 0
app:get("/wide", function(ctx)
  asked = asked + 1
  for i = 1, 60 do
    ctx:header("X-" .. i, ("v"):rep(500))
  end
  return ""
end)
app:get("/asked", function() return tostring(asked) end)
]])

local get = request("GET", "/")
local post = request("POST", "/")

local function start(limits, timeouts)
  local port = servers.free_port()
  local server = servers.start({
    listen = { { address = "127.0.0.1:" .. port, http2 = true } },
    limits = limits,
    timeouts = timeouts,
    log = { level = "info", file = "stderr", access = false },
  }, { app = APP, wait_for = port })
  server.h2_port = port
  return server
end

-- The i-th of each kind of nothing; stream 1 is open.
local NOTHINGS = {
  h2_resets = function(i)
    local id = i * 2 + 1
    return headers(id, request("GET", "/sleep/1000"), true) .. frame("RST_STREAM", 0, id, u32(8))
  end,
  h2_faults = function(i)
    return headers(i * 2 + 1, post) .. frame("WINDOW_UPDATE", 0, i * 2 + 1, u32(0))
  end,
  h2_settings = function() return h2.settings(4, 65535) end,
  h2_pings = function() return frame("PING", 0, 0, "12345678") end,
  h2_priorities = function(i)
    return i % 2 == 0 and frame("PRIORITY", 0, 1, "\0\0\0\0\16")
      or frame("PRIORITY_UPDATE", 0, 0, u32(1) .. "u=5, i")
  end,
  h2_empty = function(i)
    return i % 2 == 0 and frame("DATA", 0, 1, "") or frame(0xbb, 0, 0, "")
  end,
  h2_windows = function(i) return frame("WINDOW_UPDATE", 0, i % 2, u32(1)) end,
}

-- What a browser does at once at most: a page of 1,000 pictures is left; an extension that breaks
-- 100 requests; a tab that is shown again gives all its pictures other priorities, twice; ...
local HONEST = {
  h2_resets = 1000, h2_faults = 100, h2_settings = 20, h2_pings = 300, h2_priorities = 2000,
  h2_empty = 300, h2_windows = 5000,
}

local function send_nothings(conn, kind, count)
  local out = {}
  for i = 1, count do
    out[#out + 1] = NOTHINGS[kind](i)
    if #out == 50 then
      if not conn:send(table.concat(out)) then
        return
      end
      out = {}
    end
  end
  conn:send(table.concat(out))
end

local function connect(server)
  local conn = h2.connect(server.h2_port)
  conn:send(headers(1, post))
  return conn
end

local function assert_calm(conn)
  local goaway = conn:read_until(function(f) return f.kind == "GOAWAY" end)
  assert(goaway, "the connection ended without GOAWAY")
  assert.equal("ENHANCE_YOUR_CALM", goaway.code)
  assert.is_nil(conn:read())
  conn:close()
  return goaway.payload:sub(9)
end

local function assert_served(server)
  local conn = h2.connect(server.h2_port)
  conn:send(headers(1, get, true))
  local data = conn:read_until(function(f) return f.kind == "DATA" end)
  assert.equal("hello", data.payload)
  conn:close()
end

describe("a budget of HTTP/2", function()
  local strict, usual

  setup(function()
    local limits = {}
    for kind in pairs(NOTHINGS) do
      limits[kind] = 20
    end
    strict = start(limits)
    usual = start()
  end)
  teardown(function()
    strict:stop()
    usual:stop()
  end)

  for kind in pairs(NOTHINGS) do
    it("of " .. kind .. " ends the connection once it is empty", function()
      local conn = connect(strict)
      send_nothings(conn, kind, 60)
      assert.matches("^too many ", assert_calm(conn))
      assert_served(strict)
    end)

    it("of " .. kind .. " is not emptied by a browser at its worst", function()
      local conn = connect(usual)
      for i = 1, HONEST[kind], 50 do -- it reads what it is sent
        for k = i, i + 49 do
          conn:send(NOTHINGS[kind](k))
        end
        local _, alive = conn:settle()
        assert.is_true(alive)
      end
      conn:close()
      assert_served(usual)
    end)
  end

  it("of resets holds against 100,000 of them", function()
    for _ = 1, 3 do
      local conn = connect(usual)
      send_nothings(conn, "h2_resets", 100000)
      conn:close()
    end
    assert_served(usual)
  end)

  it("holds against PINGs whose answers nobody reads", function()
    local conn = connect(usual)
    send_nothings(conn, "h2_pings", 100000)
    conn:close()
    assert_served(usual)
  end)
end)

describe("a peer of HTTP/2 that asks on and reads no answer", function()
  -- 24 MB of heads, which is more than sockets hold.
  local ASKS, BATCH = 800, 50
  local server

  setup(function()
    server = start()
  end)
  teardown(function()
    server:stop()
  end)

  local function text_of(conn, id, path)
    conn:send(headers(id, request("GET", path), true))
    local data = conn:read_until(function(f) return f.kind == "DATA" and f.id == id end)
    return data.payload
  end

  it("is not heard any more", function()
    local deaf, other = h2.connect(server.h2_port), h2.connect(server.h2_port)
    local wide = request("HEAD", "/wide")
    local asked
    for first = 0, ASKS - 1, BATCH do
      local out = {}
      for i = first, first + BATCH - 1 do
        out[#out + 1] = headers(i * 2 + 1, wide, true)
      end
      deaf:send(table.concat(out))
      asked = tonumber(text_of(other, first * 2 + 1, "/asked"))
    end
    assert.is_true(asked < ASKS - BATCH, asked .. " were heard")
    deaf:close()
    other:close()
  end)
end)

describe("a field section of HTTP/2", function()
  local server

  setup(function()
    server = start()
  end)
  teardown(function()
    server:stop()
  end)

  local function status_of(conn)
    local head = conn:read_until(function(f) return f.kind == "HEADERS" end)
    return head.payload
  end

  it("that unpacks to more than header_bytes is answered with 431", function()
    local conn = h2.connect(server.h2_port)
    -- an entry of 3,900 bytes, then 4,000 times one byte that stands for it
    conn:send(frame("HEADERS", 5, 1, "\130\134\132\65\1h\64\1x\127\189\29" .. ("x"):rep(3900)
      .. ("\190"):rep(4000)))
    assert.matches("431", status_of(conn), 1, true)
    local _, alive = conn:settle()
    assert.is_true(alive)
    conn:close()
  end)

  it("of cookie crumbs counts 32 bytes for each", function()
    local conn = h2.connect(server.h2_port)
    conn:send(frame("HEADERS", 5, 1, get .. h2.block("cookie", "a") .. ("\15\17\1a"):rep(1000)))
    assert.matches("431", status_of(conn), 1, true)
    conn:close()
  end)

  it("in many CONTINUATION frames ends the connection", function()
    local conn = h2.connect(server.h2_port)
    conn:send(frame("HEADERS", 1, 1, get) .. frame("CONTINUATION", 0, 1, ""):rep(1000))
    assert_calm(conn)
  end)

  it("without end ends the connection", function()
    local conn = h2.connect(server.h2_port)
    conn:send(frame("HEADERS", 1, 1, get))
    local piece = frame("CONTINUATION", 0, 1, ("\0\1a\1b"):rep(3000))
    for _ = 1, 50 do
      if not conn:send(piece) then
        break
      end
    end
    assert_calm(conn)
    assert_served(server)
  end)
end)

describe("a slow peer of HTTP/2", function()
  local server

  setup(function()
    server = start({}, { header = 0.3, send = 0.5, idle = 0.4 })
  end)
  teardown(function()
    server:stop()
  end)

  it("that does not end its head is cut off", function()
    local conn = h2.connect(server.h2_port)
    conn:send(frame("HEADERS", 1, 1, get))
    assert.is_nil((conn:read_until(function() return false end)))
    conn:close()
  end)

  it("that does not end its preface is cut off", function()
    local conn = h2.open(server.h2_port)
    conn:send("PRI * HTTP/2.0\r\n\r\n")
    conn.wire:take_rest()
    conn:close()
  end)

  it("that gives no window is cut off", function()
    local conn = h2.connect(server.h2_port, h2.settings(4, 0))
    conn:send(headers(1, request("GET", "/large"), true))
    local last, frames = conn:read_until(function(f) return f.kind == "RST_STREAM" end)
    for _, f in ipairs(frames) do
      assert.not_equal("DATA", f.kind)
    end
    assert.is_true(last == nil or last.id == 1) -- the stream, or the connection
    conn:close()
    assert_served(server)
  end)
end)
