--- The protocol of WebSocket against an echo server, case by case, in the manner of Autobahn's
--- testsuite: framing, pings, reserved bits and opcodes, fragmentation, UTF-8, closing, limits,
--- compression. Each case is what is sent on a fresh connection, in pieces, and what comes back
--- until the connection ends; a case that breaks no rule is ended by a close frame of ours.
local servers = require("support.server")
local wire = require("support.wire")
local ws = require("support.ws_frames")

local frame, text, binary, more, ping, pong, close =
  ws.frame, ws.text, ws.binary, ws.more, ws.ping, ws.pong, ws.close

local APP = [[
local moongate = require("moongate")
local app = moongate.app()
local function echo(ws)
  for data, kind in ws:messages() do
    ws:send(data, kind)
  end
end
app:websocket("/echo", { max_message = 70000 }, echo)
app:websocket("/deflate", { max_message = 70000, deflate = true }, echo)
app:websocket("/chat", { protocols = { "chat.v2", "chat.v1" } }, echo)
return app
]]

local LIMIT = 70000
local cases = {} -- { name, pieces, what comes }

local function case(name, pieces, want)
  cases[#cases + 1] = { name = name, pieces = type(pieces) == "table" and pieces or { pieces },
    want = type(want) == "table" and want or { want } }
end

-- It ends with a close frame of that code.
local function refused(name, pieces, code)
  case(name, pieces, "close:" .. code)
end

-- The same of what comes behind a message that was good, and is answered.
local function refused_behind(name, good, answer, bad, code)
  case(name, { good, bad }, { answer, "close:" .. code })
  case(name .. ", at once", good .. bad, { answer, "close:" .. code })
end

local function each_byte(bytes)
  local out = {}
  for i = 1, #bytes do
    out[i] = bytes:sub(i, i)
  end
  return out
end

-- --- lengths ---

for _, n in ipairs({ 0, 1, 125, 126, 127, 128, 65535, 65536, LIMIT }) do
  case("a text of " .. n .. " bytes", text(("*"):rep(n)), "text:" .. ("*"):rep(n))
  case("binary of " .. n .. " bytes", binary(("\254"):rep(n)), "binary:" .. ("\254"):rep(n))
end
case("a text, byte by byte", each_byte(text("in single bytes")), "text:in single bytes")
case("binary of 65536 bytes in pieces of 997", (function()
  local whole, out = binary(("ab"):rep(32768)), {}
  for at = 1, #whole, 997 do
    out[#out + 1] = whole:sub(at, at + 996)
  end
  return out
end)(), "binary:" .. ("ab"):rep(32768))
case("many messages at once", text("a"):rep(100), (function()
  local out = {}
  for i = 1, 100 do
    out[i] = "text:a"
  end
  return out
end)())
refused("a text one byte beyond the limit", text(("*"):rep(LIMIT + 1)), 1009)
refused("a message announced beyond the limit", binary("", { announced = LIMIT + 1 }), 1009)
refused("a message announced as 2^40 bytes", binary("", { announced = 2 ^ 40 }), 1009)
refused("pieces that are too large together",
  { binary(("x"):rep(40000), { more = true }), more("", { announced = 30001 }) }, 1009)
refused("a length of 7 bits in 16", text("hello", { form = 16 }), 1002)
refused("a length of 7 bits in 64", text("hello", { form = 64 }), 1002)
refused("a length of 16 bits in 64", text(("x"):rep(200), { form = 64 }), 1002)
refused("a length with its highest bit set", "\130\255\128\0\0\0\0\0\0\0\0\0\0\0", 1002)

-- --- masks ---

refused("a text without a mask", text("hello", { unmasked = true }), 1002)
refused("a ping without a mask", ping("hello", { unmasked = true }), 1002)
refused("a close without a mask", close(1000, "", { unmasked = true }), 1002)

-- --- pings and pongs ---

case("a ping without content", ping(), "pong:")
case("a ping with content", ping("Hello"), "pong:Hello")
case("a ping of bytes", ping("\0\255\254\128"), "pong:\0\255\254\128")
case("a ping of 125 bytes", ping(("p"):rep(125)), "pong:" .. ("p"):rep(125))
case("a ping, byte by byte", each_byte(ping("slowly")), "pong:slowly")
refused("a ping of 126 bytes", ping(("p"):rep(126)), 1002)
case("a pong that nobody asked for", pong(), {})
case("a pong with content, then a ping", { pong("unasked"), ping("asked") }, "pong:asked")
case("two pings", { ping("1") .. ping("2") }, { "pong:1", "pong:2" })
case("a text behind a ping", ping("a") .. text("b"), { "pong:a", "text:b" })
refused("a ping in pieces", ping("a", { more = true }), 1002)
refused("a pong in pieces", pong("a", { more = true }), 1002)
refused("a pong of 126 bytes", pong(("p"):rep(126)), 1002)

-- --- reserved bits and opcodes ---

for rsv = 1, 7 do
  refused("a text with reserved bits " .. rsv, text("small", { rsv = rsv }), 1002)
end
refused("a ping with a reserved bit", ping("", { rsv = 4 }), 1002)
refused("a close with a reserved bit", close(1000, "", { rsv = 2 }), 1002)
refused("binary with a reserved bit", binary("b", { rsv = 1 }), 1002)
refused_behind("a reserved bit behind a good text", text("a"), "text:a", text("b", { rsv = 4 }),
  1002)
refused("a reserved bit in a continuation",
  text("a", { more = true }) .. more("b", { rsv = 4 }), 1002)
for _, opcode in ipairs({ 3, 4, 5, 6, 7, 11, 12, 13, 14, 15 }) do
  refused("opcode " .. opcode, frame(opcode, ""), 1002)
  refused_behind("opcode " .. opcode .. " behind a text", text("a"), "text:a", frame(opcode, "b"),
    1002)
end

-- --- fragmentation ---

case("a text in two pieces", { text("frag", { more = true }), more("ments") }, "text:fragments")
case("binary in two pieces", { binary("\1", { more = true }), more("\2") }, "binary:\1\2")
case("a text in two pieces at once", text("frag", { more = true }) .. more("ments"),
  "text:fragments")
case("two pieces, byte by byte", each_byte(text("fr", { more = true }) .. more("ag")), "text:frag")
case("a ping between pieces", { text("a", { more = true }), ping("p"), more("b") },
  { "pong:p", "text:ab" })
case("a pong between pieces", { text("a", { more = true }), pong("p"), more("b") }, "text:ab")
case("pings between many pieces", text("1", { more = true }) .. ping("p1")
  .. more("2", { more = true }) .. ping("p2") .. more("3"), { "pong:p1", "pong:p2", "text:123" })
case("empty pieces", text("", { more = true }) .. more("", { more = true }) .. more(""), "text:")
case("empty pieces around a full one", text("", { more = true }) .. more("x", { more = true })
  .. more(""), "text:x")
case("a text in 200 pieces", text("", { more = true }) .. more("y", { more = true }):rep(200)
  .. more(""), "text:" .. ("y"):rep(200))
case("a message behind one in pieces", text("a", { more = true }) .. more("b") .. binary("c"),
  { "text:ab", "binary:c" })
refused("a continuation of nothing", more("x"), 1002)
refused("a continuation of nothing that goes on", more("x", { more = true }), 1002)
refused_behind("a continuation behind a whole text", text("a"), "text:a", more("b"), 1002)
refused_behind("a continuation behind a message in pieces", text("a", { more = true }) .. more("b"),
  "text:ab", more("c"), 1002)
refused("a text amid a text", text("a", { more = true }) .. text("b"), 1002)
refused("binary amid a text", text("a", { more = true }) .. binary("b", { more = true }), 1002)
refused("a text amid binary", binary("a", { more = true }) .. text("b"), 1002)

-- --- UTF-8 ---

local GOOD = {
  ["of one byte"] = "Hello",
  ["of two bytes"] = "\194\128\223\191",
  ["of three bytes"] = "\224\160\128\239\191\191",
  ["of four bytes"] = "\240\144\128\128\244\143\191\191",
  ["around the surrogates"] = "\237\159\191\238\128\128",
  ["with a NUL"] = "a\0b",
  ["with noncharacters"] = "\239\191\190\239\191\191\240\159\191\191",
  ["in Greek"] = "\206\186\225\189\185\207\131\206\188\206\181",
  ["that begins with a byte order mark"] = "\239\187\191x",
}
for name, data in pairs(GOOD) do
  case("text " .. name, text(data), "text:" .. data)
  local pieces = { text(data:sub(1, 1), { more = true }) }
  for i = 2, #data do
    pieces[i] = more(data:sub(i, i), { more = i < #data })
  end
  case("text " .. name .. ", a byte in each piece", table.concat(pieces), "text:" .. data)
end

local BAD = {
  ["a lone continuation byte"] = "\128",
  ["the last continuation byte"] = "\191",
  ["a run of continuation bytes"] = "\128\191\128\191",
  ["an overlong slash of two bytes"] = "\192\175",
  ["an overlong slash of three bytes"] = "\224\128\175",
  ["an overlong slash of four bytes"] = "\240\128\128\175",
  ["an overlong NUL"] = "\192\128",
  ["the largest overlong of two bytes"] = "\193\191",
  ["the largest overlong of three bytes"] = "\224\159\191",
  ["the largest overlong of four bytes"] = "\240\143\191\191",
  ["the first high surrogate"] = "\237\160\128",
  ["the last low surrogate"] = "\237\191\191",
  ["a pair of surrogates"] = "\237\160\128\237\176\128",
  ["a code above U+10FFFF"] = "\244\144\128\128",
  ["a sequence of five bytes"] = "\248\136\128\128\128",
  ["a sequence of six bytes"] = "\252\132\128\128\128\128",
  ["0xFE"] = "\254",
  ["0xFF"] = "\255",
  ["a broken sequence of two bytes"] = "\194 x",
  ["a broken sequence of three bytes"] = "\225\128 x",
  ["a broken sequence of four bytes"] = "\241\128\128 x",
  ["a sequence of two bytes that is cut off"] = "x\194",
  ["a sequence of three bytes that is cut off"] = "x\225\128",
  ["a sequence of four bytes that is cut off"] = "x\241\128\128",
}
for name, data in pairs(BAD) do
  refused("text with " .. name, text("good " .. data), 1007)
end
refused("text that breaks in its second piece",
  text("good \206\186", { more = true }) .. more("\237\160\128"), 1007)
-- These do not wait for the end of the message.
refused("text that breaks before its last piece", text("\237\160\128", { more = true }), 1007)
refused("text that breaks within a frame", text("abc\255" .. ("x"):rep(100)):sub(1, 12), 1007)
refused("text that breaks in a later piece",
  { text("good", { more = true }), more("\244\144", { more = true }) }, 1007)
case("binary that is no UTF-8", binary("\255\254\192"), "binary:\255\254\192")
case("a character around a ping",
  text("\240\159", { more = true }) .. ping("?") .. more("\140\149"),
  { "pong:?", "text:\240\159\140\149" })

-- --- closing ---

-- The close that ends other cases is the case.
case("a close without a code", close(), "close:")
case("a close, byte by byte", each_byte(close(1000, "slowly")), "close:1000 ")
for _, code in ipairs({ 1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014,
  3000, 3999, 4000, 4999 }) do
  case("close code " .. code, close(code, "reason"), "close:" .. code .. " ")
end
for _, code in ipairs({ 0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535 }) do
  refused("close code " .. code .. ", which is never sent", close(code), 1002)
end
case("a close reason of 123 bytes", close(1000, ("r"):rep(123)), "close:1000 ")
refused("a close reason of 124 bytes", close(1000, ("r"):rep(124)), 1002)
refused("a close of one byte", frame(ws.CLOSE, "\3"), 1002)
refused("a close reason that is no UTF-8", close(1000, "\255"), 1007)
refused("a close in pieces", close(1000, "", { more = true }), 1002)
case("a text behind a close", close(1000) .. text("late"), "close:1000 ")
case("a ping behind a close", close(1000) .. ping("late"), "close:1000 ")
case("a second close", close(1001) .. close(1002), "close:1001 ")
case("a close amid a message", text("a", { more = true }) .. close(1000), "close:1000 ")
case("a close behind a text", { text("a"), close(1000) }, { "text:a", "close:1000 " })
case("a close behind texts, at once", text("a") .. text("b") .. close(1001),
  { "text:a", "text:b", "close:1001 " })

-- --- the run ---

-- What ends by our own close.
local function is_left_open(want)
  local last = want[#want]
  return not (last and last:find("^close:"))
end

local function same(want, got)
  if #want ~= #got then
    return false
  end
  for i, each in ipairs(want) do
    local code = each:match("^close:(%d+)$") -- whatever the reason
    if code and not got[i]:find("^close:" .. code .. " ") or not code and got[i] ~= each then
      return false
    end
  end
  return true
end

local function shown(list)
  local out = {}
  for i, each in ipairs(list) do
    out[i] = ("%q"):format(#each > 60 and each:sub(1, 60) .. "..." or each)
  end
  return "[" .. table.concat(out, ", ") .. "]"
end

-- What is wanted before the close is taken before the last piece of several goes out.
local function play(client, pieces, want)
  pieces, want = { unpack(pieces) }, { unpack(want) }
  if is_left_open(want) then
    pieces[#pieces + 1] = close(1000)
    want[#want + 1] = "close:1000 "
  end
  for i = 1, #pieces - 1 do
    client:send(pieces[i])
  end
  local got = {}
  while #pieces > 1 and #got < #want - 1 do
    got[#got + 1] = ws.shown(client:take_frame())
  end
  client:send(pieces[#pieces])
  for _, each in ipairs(client:take_all()) do
    got[#got + 1] = each
  end
  assert(same(want, got), "wanted " .. shown(want) .. ", got " .. shown(got))
end

describe("WebSocket, case by case", function()
  local server

  setup(function()
    server = servers.start(nil, { app = APP })
  end)

  teardown(function()
    server:stop()
  end)

  local function open(target, ...)
    return ws.open(server:connect(), target, ...)
  end

  for _, each in ipairs(cases) do
    it(each.name, function()
      play(open("/echo"), each.pieces, each.want)
    end)
  end

  -- --- compression ---

  -- RFC 7692 section 7.2.3: "Hello".
  local HELLO = "\242\72\205\201\201\7\0"
  local AGREED = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"

  local function deflated(offer)
    return open("/deflate", "Sec-WebSocket-Extensions: " .. (offer or "permessage-deflate"))
  end

  local function agrees(name, offer, answer)
    it("offered " .. name, function()
      local client = deflated(offer)
      assert.equal(answer, client.fields["sec-websocket-extensions"])
      client.conn:close()
    end)
  end

  agrees("permessage-deflate", "permessage-deflate", AGREED)
  agrees("what browsers offer", "permessage-deflate; client_max_window_bits", AGREED)
  agrees("a window of 32 KiB", "permessage-deflate; server_max_window_bits=15",
    AGREED .. "; server_max_window_bits=15")
  agrees("a small window", "permessage-deflate; server_max_window_bits=9, permessage-deflate",
    AGREED .. "; server_max_window_bits=9")
  agrees("a window that there is not, or else any",
    "permessage-deflate; server_max_window_bits=7, permessage-deflate", AGREED)
  agrees("an unknown parameter", "permessage-deflate; magic", nil)
  agrees("another extension", "x-webkit-deflate-frame", nil)

  it("does not compress where it is not wanted", function()
    local client = open("/echo", "Sec-WebSocket-Extensions: permessage-deflate")
    assert.is_nil(client.fields["sec-websocket-extensions"])
    client.conn:close()
  end)

  local COMPRESSED = {
    { "a compressed text", text(HELLO, { rsv = 4 }), { "text:Hello" } },
    { "compressed in pieces", text(HELLO:sub(1, 3), { rsv = 4, more = true }) .. ping("p")
      .. more(HELLO:sub(4)), { "pong:p", "text:Hello" } },
    { "compressed with a final block", text("\243\72\205\201\201\7\0\0", { rsv = 4 }),
      { "text:Hello" } },
    { "compressed, stored", binary("\0\5\0\250\255Hello\0", { rsv = 4 }), { "binary:Hello" } },
    { "an empty compressed message", binary("\0", { rsv = 4 }), { "binary:" } },
    { "compressed and plain messages in turn", text(HELLO, { rsv = 4 }) .. text("plain")
      .. text(HELLO, { rsv = 4 }), { "text:Hello", "text:plain", "text:Hello" } },
    { "compressed data that is broken", text("\255\255\255", { rsv = 4 }), { "close:1007" } },
    { "compressed data that is cut off", text(HELLO:sub(1, 5), { rsv = 4 }), { "close:1007" } },
    { "compressed text that is no UTF-8", text("\0\1\0\254\255\255\0", { rsv = 4 }),
      { "close:1007" } },
    { "a compressed ping", ping("", { rsv = 4 }), { "close:1002" } },
    { "a compressed continuation", text(HELLO, { rsv = 4, more = true }) .. more("", { rsv = 4 }),
      { "close:1002" } },
    { "another reserved bit", text(HELLO, { rsv = 6 }), { "close:1002" } },
  }
  for _, each in ipairs(COMPRESSED) do
    it(each[1], function()
      play(deflated(), { each[2] }, each[3])
    end)
  end

  it("compresses what is larger than a kilobyte", function()
    local client = deflated()
    client:send(text(("moon "):rep(400)))
    local answer = client:take_frame()
    assert.equal(4, answer.rsv)
    assert.is_true(#answer.data < 100)
    client:send(text(("moon "):rep(200)))
    assert.equal(0, client:take_frame().rsv)
    client.conn:close()
    client = deflated("permessage-deflate; server_max_window_bits=11")
    client:send(text(("moon "):rep(400)) .. text(("moon "):rep(500)))
    assert.equal(4, client:take_frame().rsv)
    assert.equal(0, client:take_frame().rsv) -- it would need a larger window
    client.conn:close()
  end)

  -- --- the handshake ---

  local ASKED = {
    "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
  }

  -- The status of a request whose field at `at` is another, or is not there, or comes besides.
  local function status_of(at, field)
    local fields = { unpack(ASKED) }
    if field then
      fields[at] = field
    elseif at then
      table.remove(fields, at)
    end
    local conn = server:connect()
    local res = conn:request(wire.get("/echo", unpack(fields)), "GET")
    conn:close()
    return res.status, res
  end

  it("asks for what a request lacks", function()
    assert.equal(426, (status_of(1)))
    assert.equal(426, (status_of(1, "Upgrade: h2c")))
    assert.equal(426, (status_of(2, "Connection: close")))
    assert.equal(400, (status_of(3)))
    assert.equal(400, (status_of(4)))
    assert.equal(400, (status_of(4, "Sec-WebSocket-Key: short")))
    assert.equal(400, (status_of(4, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ!=")))
    assert.equal(400, (status_of(5, ASKED[4])))
  end)

  it("names the version that it speaks", function()
    for _, version in ipairs({ "8", "12", "14", "013", "x" }) do
      local status, res = status_of(3, "Sec-WebSocket-Version: " .. version)
      assert.equal(426, status)
      assert.equal("13", res.headers["sec-websocket-version"])
    end
  end)

  it("knows its fields in any case, among others", function()
    local conn = server:connect()
    conn:send(wire.get("/echo", "UPGRADE: WebSocket", "connection: keep-alive, upgrade",
      "SEC-websocket-VERSION: 13", ASKED[4]))
    assert.equal("HTTP/1.1 101 Switching Protocols", conn:take_line())
    conn:close()
  end)

  it("chooses the client's first protocol that it speaks", function()
    local function chosen(offer)
      local client = open("/chat", "Sec-WebSocket-Protocol: " .. offer)
      client.conn:close()
      return client.fields["sec-websocket-protocol"]
    end
    assert.equal("chat.v1", chosen("soap, chat.v1, chat.v2"))
    assert.equal("chat.v2", chosen("chat.v2,chat.v1"))
    assert.is_nil(chosen("soap"))
  end)

  it("takes frames that come together with the request", function()
    local conn = server:connect()
    conn:send(ws.request("/echo") .. text("early"))
    repeat until conn:take_line() == ""
    assert.equal("\129\5early", conn:take(7))
    conn:close()
  end)
end)
