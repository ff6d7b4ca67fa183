--- HTTP/2 (RFC 9113) and HPACK (RFC 7541) as h2spec asks for them, section by section: frames by
--- hand against a listener with prior knowledge.
local servers = require("support.server")
local services = require("support.service")
local h2 = require("support.h2")

local frame, headers, request, block = h2.frame, h2.headers, h2.request, h2.block
local u32, settings = h2.u32, h2.settings

local APP = services.app("hello", [[
app:post("/", function(ctx) return ctx:body():await() or "" end)
]])

local get = request("GET", "/")
local post = request("POST", "/")
local HEAD_OF_4 = request("POST", "/", "content-length", "4")
local BROKEN = { "PROTOCOL_ERROR" }

-- --- what is expected ---

local function shown(frames)
  local out = {}
  for _, f in ipairs(frames) do
    out[#out + 1] = ("%s %d %s"):format(f.kind, f.id, f.code or f.flags)
  end
  return table.concat(out, ", ")
end

local function has(list, code)
  for _, c in ipairs(list) do
    if c == code then
      return true
    end
  end
  return false
end

local expect = {}

-- GOAWAY with one of the codes, then the end.
function expect.connection(conn, codes)
  local goaway, before = conn:read_until(function(f) return f.kind == "GOAWAY" end)
  assert(goaway, "the connection ended without GOAWAY: " .. shown(before))
  assert(has(codes, goaway.code), "GOAWAY said " .. goaway.code)
  assert.is_nil(conn:read())
end

-- RST_STREAM with one of the codes (on stream 1 unless it says otherwise), or GOAWAY.
function expect.stream(conn, codes, id)
  local frames = conn:settle()
  for _, f in ipairs(frames) do
    if (f.kind == "RST_STREAM" and f.id == (id or 1)) or f.kind == "GOAWAY" then
      assert(has(codes, f.code), f.kind .. " said " .. f.code)
      return
    end
  end
  error("no RST_STREAM: " .. shown(frames), 0)
end

-- Nothing is wrong: a PING is answered.
function expect.ignored(conn)
  local frames, alive = conn:settle()
  for _, f in ipairs(frames) do
    assert(f.kind ~= "RST_STREAM" and f.kind ~= "GOAWAY", shown(frames))
  end
  assert(alive, "the connection ended")
end

-- Stream 1 (or `id`) is answered to its end.
function expect.answer(conn, _, id)
  local last, before = conn:read_until(function(f)
    return (f.id == (id or 1) and f.ends) or f.kind == "GOAWAY" or f.kind == "RST_STREAM"
  end)
  assert(last and last.ends, shown(before) .. " " .. (last and shown({ last }) or "the end"))
end

-- --- the cases: title, what is sent behind the greeting, what is expected, codes, stream ---

local CASES = {}

local function section(title, cases)
  CASES[#CASES + 1] = { title = title, cases = cases }
end

section("3.4 the preface", {
  { "SETTINGS and a request behind it", headers(1, get, true), "answer" },
  { "one that goes wrong", "PRI * HTTP/2.0\r\n\r\nSN\r\n\r\n", "connection", BROKEN, raw = true },
  { "another text", "INVALID CONNECTION PREFACE\r\n\r\n", "refused", raw = true },
  { "another first frame", h2.PREFACE .. frame("PING", 0, 0, "12345678"), "connection", BROKEN,
    raw = true },
  { "an acknowledgement first", h2.PREFACE .. frame("SETTINGS", 1, 0), "connection", BROKEN,
    raw = true },
})

section("4.1 the format of frames", {
  { "an unknown type is ignored", frame(0xbe, 0, 0, "12345678"), "ignored" },
  { "an unknown type on a stream is ignored", frame(0xbe, 0xff, 5, ""), "ignored" },
  { "unknown flags are ignored", frame("PING", 0x16, 0, "12345678"), "ignored" },
  { "the reserved bit is ignored",
    frame("PING", 0, 2 ^ 31, "12345678") .. headers(2 ^ 31 + 1, get, true), "answer" },
  { "a length of nothing", frame("SETTINGS", 0, 0), "ignored" },
})

section("4.2 the size of frames", {
  { "DATA of 2^14", headers(1, post) .. frame("DATA", 1, 1, ("x"):rep(16384)), "answer" },
  { "DATA of more", headers(1, post) .. frame("DATA", 1, 1, ("x"):rep(16385)), "stream",
    { "FRAME_SIZE_ERROR" } },
  { "HEADERS of more", frame("HEADERS", 5, 1, get .. ("x"):rep(16385)), "connection",
    { "FRAME_SIZE_ERROR" } },
  { "SETTINGS of more", frame("SETTINGS", 0, 0, ("\0\9\0\0\0\0"):rep(2731)), "connection",
    { "FRAME_SIZE_ERROR" } },
  { "an unknown type of more", frame(0xbe, 0, 0, ("x"):rep(16385)), "connection",
    { "FRAME_SIZE_ERROR" } },
})

section("4.3 field sections", {
  { "an index that is nowhere", frame("HEADERS", 5, 1, "\255"), "connection",
    { "COMPRESSION_ERROR" } },
  { "another frame between its fragments",
    frame("HEADERS", 1, 1, get:sub(1, 5)) .. frame("PRIORITY", 0, 1, "\0\0\0\0\1"), "connection",
    BROKEN },
  { "a fragment of another stream",
    frame("HEADERS", 1, 1, get:sub(1, 5)) .. frame("CONTINUATION", 4, 3, get:sub(6)),
    "connection", BROKEN },
  { "an unknown frame between them",
    frame("HEADERS", 1, 1, get:sub(1, 5)) .. frame(0xbe, 0, 1, ""), "connection", BROKEN },
  { "another HEADERS between them",
    frame("HEADERS", 1, 1, get:sub(1, 5)) .. headers(3, get, true), "connection", BROKEN },
})

local ended = headers(1, post) .. frame("DATA", 1, 1, "")
local half_closed = headers(1, request("GET", "/sleep/300"), true)
local reset = headers(1, post) .. frame("RST_STREAM", 0, 1, u32(8))
section("5.1 the states of streams", {
  { "idle: DATA", frame("DATA", 1, 1, "x"), "connection", BROKEN },
  { "idle: RST_STREAM", frame("RST_STREAM", 0, 1, u32(8)), "connection", BROKEN },
  { "idle: WINDOW_UPDATE", frame("WINDOW_UPDATE", 0, 1, u32(100)), "connection", BROKEN },
  { "idle: CONTINUATION", frame("CONTINUATION", 4, 1, get), "connection", BROKEN },
  { "idle: PRIORITY is ignored", frame("PRIORITY", 0, 1, "\0\0\0\0\1"), "ignored" },
  { "half-closed: DATA", half_closed .. frame("DATA", 1, 1, "x"), "stream", { "STREAM_CLOSED" } },
  { "half-closed: HEADERS", half_closed .. headers(1, block("a", "b"), true), "stream",
    { "STREAM_CLOSED" } },
  { "half-closed: CONTINUATION", half_closed .. frame("CONTINUATION", 4, 1, get), "connection",
    { "PROTOCOL_ERROR", "STREAM_CLOSED" } },
  { "half-closed: WINDOW_UPDATE, PRIORITY",
    half_closed .. frame("WINDOW_UPDATE", 0, 1, u32(1)) .. frame("PRIORITY", 0, 1, "\0\0\0\0\1"),
    "answer" },
  { "half-closed: RST_STREAM", half_closed .. frame("RST_STREAM", 0, 1, u32(8)), "ignored" },
  { "reset by the peer: DATA", reset .. frame("DATA", 1, 1, "x"), "stream", { "STREAM_CLOSED" } },
  { "reset by the peer: HEADERS", reset .. headers(1, block("a", "b"), true), "stream",
    { "STREAM_CLOSED" } },
  { "reset by the peer: CONTINUATION", reset .. frame("CONTINUATION", 4, 1, get), "connection",
    { "PROTOCOL_ERROR", "STREAM_CLOSED" } },
  { "reset by the peer: WINDOW_UPDATE, PRIORITY, RST_STREAM",
    reset .. frame("WINDOW_UPDATE", 0, 1, u32(1)) .. frame("PRIORITY", 0, 1, "\0\0\0\0\1")
      .. frame("RST_STREAM", 0, 1, u32(8)), "ignored" },
  { "closed: DATA", frame("DATA", 1, 1, "x"), "stream", { "STREAM_CLOSED" }, after = ended },
  { "closed: HEADERS", headers(1, get, true), "connection", { "STREAM_CLOSED" }, after = ended },
  { "closed: CONTINUATION", frame("CONTINUATION", 4, 1, get), "connection",
    { "PROTOCOL_ERROR", "STREAM_CLOSED" }, after = ended },
  { "closed: WINDOW_UPDATE", frame("WINDOW_UPDATE", 0, 1, u32(1)), "ignored", after = ended },
  { "closed: PRIORITY", frame("PRIORITY", 0, 1, "\0\0\0\0\1"), "ignored", after = ended },
  { "closed: RST_STREAM", frame("RST_STREAM", 0, 1, u32(8)), "ignored", after = ended },
})

section("5.1.1 identifiers", {
  { "an even one", headers(2, get, true), "connection", BROKEN },
  { "a lower one", headers(5, get, true) .. headers(3, get, true), "connection", BROKEN },
  { "one that skips others", headers(77, get, true), "answer", nil, 77 },
})

local function all_of(count, last)
  local out = {}
  for i = 0, count - 1 do
    out[#out + 1] = headers(i * 2 + 1, post)
  end
  return table.concat(out) .. last
end
section("5.1.2 concurrency", {
  { "one more than allowed", all_of(100, headers(201, get, true)), "stream",
    { "REFUSED_STREAM", "PROTOCOL_ERROR" }, 201 },
  { "as many as allowed", all_of(99, headers(199, get, true)), "answer", nil, 199 },
})

section("5.3 priorities", {
  { "HEADERS that depend on themselves", frame("HEADERS", 0x25, 1, "\0\0\0\1\16" .. get),
    "stream", BROKEN },
  { "PRIORITY on itself", frame("PRIORITY", 0, 3, "\0\0\0\3\16"), "stream", BROKEN, 3 },
  { "HEADERS with a priority", frame("HEADERS", 0x25, 1, "\128\0\0\0\255" .. get), "answer" },
  { "PRIORITY_UPDATE", headers(1, get, true) .. frame("PRIORITY_UPDATE", 0, 0, u32(1) .. "u=1"),
    "answer" },
})

section("5.4.1 connection errors", {
  { "GOAWAY is followed by the end", frame("PING", 0, 0, "short"), "connection",
    { "FRAME_SIZE_ERROR" } },
})

section("5.5 extensions", {
  { "unknown settings are ignored", settings(0xff, 1), "ignored" },
  { "an unknown frame within a field section",
    frame("HEADERS", 1, 1, get) .. frame(0xbe, 4, 1, "x"), "connection", BROKEN },
})

section("6.1 DATA", {
  { "on stream 0", frame("DATA", 1, 0, "x"), "connection", BROKEN },
  { "on a stream that is not open", half_closed .. frame("DATA", 1, 1, "x"), "stream",
    { "STREAM_CLOSED" } },
  { "more padding than payload", headers(1, post) .. frame("DATA", 9, 1, "\6x\0\0\0\0"),
    "connection", BROKEN },
  { "padding as large as the payload", headers(1, post) .. frame("DATA", 9, 1, "\3\0\0\0"),
    "answer" },
  { "padded", headers(1, post) .. frame("DATA", 9, 1, "\3x\0\0\0"), "answer" },
  { "padded without a length", headers(1, post) .. frame("DATA", 9, 1, ""), "connection",
    { "FRAME_SIZE_ERROR", "PROTOCOL_ERROR" } },
  { "empty, at the end", headers(1, post) .. frame("DATA", 1, 1, ""), "answer" },
})

section("6.2 HEADERS", {
  { "without END_HEADERS, and DATA", frame("HEADERS", 0, 1, post) .. frame("DATA", 1, 1, "x"),
    "connection", BROKEN },
  { "on stream 0", headers(0, get, true), "connection", BROKEN },
  { "more padding than payload", frame("HEADERS", 13, 1, "\255" .. get), "connection", BROKEN },
  { "padded", frame("HEADERS", 13, 1, "\2" .. get .. "\0\0"), "answer" },
  { "padded, with a priority", frame("HEADERS", 0x2d, 1, "\2\0\0\0\0\1" .. get .. "\0\0"),
    "answer" },
  { "too short for its priority", frame("HEADERS", 0x25, 1, "\0\0\0"), "connection",
    { "FRAME_SIZE_ERROR", "PROTOCOL_ERROR" } },
})

section("6.3 PRIORITY", {
  { "is taken", frame("PRIORITY", 0, 1, "\0\0\0\0\255") .. headers(1, get, true), "answer" },
  { "on stream 0", frame("PRIORITY", 0, 0, "\0\0\0\0\1"), "connection", BROKEN },
  { "of 4 bytes", headers(1, post) .. frame("PRIORITY", 0, 1, "\0\0\0\0"), "stream",
    { "FRAME_SIZE_ERROR" } },
  { "of a stream that is closed", frame("PRIORITY", 0, 1, "\0\0\0\0\1"), "ignored",
    after = ended },
})

section("6.4 RST_STREAM", {
  { "on stream 0", frame("RST_STREAM", 0, 0, u32(8)), "connection", BROKEN },
  { "on an idle stream", frame("RST_STREAM", 0, 1, u32(8)), "connection", BROKEN },
  { "of 3 bytes", headers(1, post) .. frame("RST_STREAM", 0, 1, "\0\0\0"), "connection",
    { "FRAME_SIZE_ERROR" } },
  { "with an unknown code", headers(1, post) .. frame("RST_STREAM", 0, 1, u32(0xff)), "ignored" },
})

section("6.5 SETTINGS", {
  { "are acknowledged", settings(3, 100), "acknowledged" },
  { "none are acknowledged too", settings(), "acknowledged" },
  { "an acknowledgement with content", frame("SETTINGS", 1, 0, "\0"), "connection",
    { "FRAME_SIZE_ERROR" } },
  { "on a stream", frame("SETTINGS", 0, 1, ""), "connection", BROKEN },
  { "of 3 bytes", frame("SETTINGS", 0, 0, "\0\3\0"), "connection", { "FRAME_SIZE_ERROR" } },
})

section("6.5.2 settings", {
  { "ENABLE_PUSH of 2", settings(2, 2), "connection", BROKEN },
  { "ENABLE_PUSH of 0 and of 1", settings(2, 0, 2, 1), "ignored" },
  { "INITIAL_WINDOW_SIZE of 2^31", settings(4, 2 ^ 31), "connection", { "FLOW_CONTROL_ERROR" } },
  { "MAX_FRAME_SIZE below 2^14", settings(5, 16383), "connection", BROKEN },
  { "MAX_FRAME_SIZE of 2^24", settings(5, 2 ^ 24), "connection", BROKEN },
  { "MAX_FRAME_SIZE of 2^24 - 1", settings(5, 2 ^ 24 - 1), "ignored" },
  { "ENABLE_CONNECT_PROTOCOL of 2", settings(8, 2), "connection", BROKEN },
  { "NO_RFC7540_PRIORITIES of 2", settings(9, 2), "connection", BROKEN },
  { "HEADER_TABLE_SIZE of 0", settings(1, 0) .. headers(1, get, true), "answer" },
  { "MAX_HEADER_LIST_SIZE", settings(6, 100) .. headers(1, get, true), "answer" },
  { "all at once", settings(1, 100, 2, 0, 3, 1, 4, 70000, 5, 20000, 6, 9999)
    .. headers(1, get, true), "answer" },
})

section("6.6 PUSH_PROMISE", {
  { "from a client", headers(1, get, true) .. frame("PUSH_PROMISE", 4, 1, u32(2) .. get),
    "connection", BROKEN },
})

section("6.7 PING", {
  { "is answered with its content", "", "ignored" },
  { "an answer is not answered", frame("PING", 1, 0, "12345678"), "unanswered" },
  { "on a stream", frame("PING", 0, 1, "12345678"), "connection", BROKEN },
  { "of 6 bytes", frame("PING", 0, 0, "123456"), "connection", { "FRAME_SIZE_ERROR" } },
})

section("6.8 GOAWAY", {
  { "on a stream", frame("GOAWAY", 0, 1, u32(0) .. u32(0)), "connection", BROKEN },
  { "of 7 bytes", frame("GOAWAY", 0, 0, "1234567"), "connection", { "FRAME_SIZE_ERROR" } },
  { "what is under way is answered",
    headers(1, request("GET", "/sleep/50"), true) .. frame("GOAWAY", 0, 0, u32(0) .. u32(0)),
    "answer" },
})

section("6.9 WINDOW_UPDATE", {
  { "by nothing", frame("WINDOW_UPDATE", 0, 0, u32(0)), "connection", BROKEN },
  { "of a stream by nothing", headers(1, post) .. frame("WINDOW_UPDATE", 0, 1, u32(0)), "stream",
    BROKEN },
  { "of 3 bytes", frame("WINDOW_UPDATE", 0, 0, "\0\0\1"), "connection", { "FRAME_SIZE_ERROR" } },
  { "the reserved bit", frame("WINDOW_UPDATE", 0, 0, u32(2 ^ 31 + 1)), "ignored" },
})

section("6.9.1 the windows", {
  { "beyond 2^31 - 1", frame("WINDOW_UPDATE", 0, 0, u32(2 ^ 31 - 1)):rep(2), "connection",
    { "FLOW_CONTROL_ERROR" } },
  { "of a stream beyond it",
    headers(1, post) .. frame("WINDOW_UPDATE", 0, 1, u32(2 ^ 31 - 1)):rep(2), "stream",
    { "FLOW_CONTROL_ERROR" } },
})

section("6.9.2 the initial window", {
  { "of a byte", settings(4, 1) .. headers(1, get, true), "window", 1 },
  { "that changes later", settings(4, 0) .. headers(1, get, true) .. settings(4, 1), "window", 1 },
  { "that becomes too large", headers(1, post) .. frame("WINDOW_UPDATE", 0, 1, u32(1))
    .. settings(4, 2 ^ 31 - 1), "connection", { "FLOW_CONTROL_ERROR" } },
  { "that becomes negative",
    settings(4, 3) .. headers(1, get, true) .. settings(4, 2)
      .. frame("WINDOW_UPDATE", 0, 1, u32(100)), "answer" },
})

section("6.10 CONTINUATION", {
  { "several", frame("HEADERS", 1, 1, get:sub(1, 5)) .. frame("CONTINUATION", 0, 1, get:sub(6, 9))
    .. frame("CONTINUATION", 4, 1, get:sub(10)), "answer" },
  { "behind END_HEADERS", headers(1, get, true) .. frame("CONTINUATION", 4, 1, get), "connection",
    BROKEN },
  { "on stream 0", frame("HEADERS", 1, 1, get) .. frame("CONTINUATION", 4, 0, ""), "connection",
    BROKEN },
  { "without HEADERS", frame("CONTINUATION", 4, 1, get), "connection", BROKEN },
  { "behind a whole CONTINUATION",
    frame("HEADERS", 1, 1, get) .. frame("CONTINUATION", 4, 1, "") .. frame("CONTINUATION", 4, 1,
      get), "connection", BROKEN },
  { "behind DATA", headers(1, post) .. frame("DATA", 0, 1, "x") .. frame("CONTINUATION", 4, 1, get),
    "connection", BROKEN },
  { "empty ones", frame("HEADERS", 1, 1, get) .. frame("CONTINUATION", 0, 1, ""):rep(3)
    .. frame("CONTINUATION", 4, 1, ""), "answer" },
})

section("8.1 requests", {
  { "a second HEADERS that does not end", headers(1, post) .. headers(1, block("a", "b")),
    "stream", BROKEN },
  { "trailers", headers(1, post) .. frame("DATA", 0, 1, "x") .. headers(1, block("a", "b"), true),
    "answer" },
  { "pseudo-fields in trailers", headers(1, post) .. headers(1, block(":method", "GET"), true),
    "stream", BROKEN },
  { "a HEAD", headers(1, request("HEAD", "/"), true), "answer" },
  { "a POST", headers(1, HEAD_OF_4) .. frame("DATA", 1, 1, "1234"), "answer" },
})

local function fields(...)
  return headers(1, block(...), true)
end
local function with(...)
  return headers(1, request("GET", "/", ...), true)
end
section("8.2 fields", {
  { "a name in upper case", with("X-Test", "ok"), "stream", BROKEN },
  { "a name with a space", with("x test", "ok"), "stream", BROKEN },
  { "a name with a colon", with("x:test", "ok"), "stream", BROKEN },
  { "no name", with("", "ok"), "stream", BROKEN },
  { "a value with NUL", with("x", "a\0b"), "stream", BROKEN },
  { "a value with LF", with("x", "a\nb"), "stream", BROKEN },
  { "a value with CR", with("x", "a\rb"), "stream", BROKEN },
  { "a value that begins with a space", with("x", " a"), "stream", BROKEN },
  { "a value that ends in a tab", with("x", "a\t"), "stream", BROKEN },
  { "Connection", with("connection", "keep-alive"), "stream", BROKEN },
  { "Proxy-Connection", with("proxy-connection", "x"), "stream", BROKEN },
  { "Keep-Alive", with("keep-alive", "x"), "stream", BROKEN },
  { "Transfer-Encoding", with("transfer-encoding", "chunked"), "stream", BROKEN },
  { "Upgrade", with("upgrade", "h2c"), "stream", BROKEN },
  { "TE of another value", with("te", "trailers, deflate"), "stream", BROKEN },
  { "TE of trailers", with("te", "trailers"), "answer" },
  { "an empty value", with("x", ""), "answer" },
  { "crumbs of a cookie", with("cookie", "a=1", "cookie", "b=2"), "answer" },
})

section("8.3 pseudo-fields", {
  { "an unknown one", with(":test", "ok"), "stream", BROKEN },
  { "one of responses", with(":status", "200"), "stream", BROKEN },
  { "behind other fields",
    fields(":method", "GET", ":scheme", "http", "x", "y", ":path", "/", ":authority", "h"),
    "stream", BROKEN },
  { "an empty :path", headers(1, request("GET", ""), true), "stream", BROKEN },
  { "no :method", fields(":scheme", "http", ":path", "/", ":authority", "h"), "stream", BROKEN },
  { "no :scheme", fields(":method", "GET", ":path", "/", ":authority", "h"), "stream", BROKEN },
  { "no :path", fields(":method", "GET", ":scheme", "http", ":authority", "h"), "stream", BROKEN },
  { "two :method", with(":method", "GET"), "stream", BROKEN },
  { "two :scheme", with(":scheme", "http"), "stream", BROKEN },
  { "two :path", with(":path", "/"), "stream", BROKEN },
  { "two :authority", with(":authority", "h"), "stream", BROKEN },
  { "Host that differs", with("host", "other"), "stream", BROKEN },
  { "Host that is the same", with("host", "h"), "answer" },
  { "Host alone", fields(":method", "GET", ":scheme", "http", ":path", "/", "host", "h"),
    "answer" },
  { "a :path without a slash", headers(1, request("GET", "x"), true), "stream", BROKEN },
  { "OPTIONS of *", headers(1, request("OPTIONS", "*"), true), "answer" },
  { "GET of *", headers(1, request("GET", "*"), true), "stream", BROKEN },
  { "a :path with a space", headers(1, request("GET", "/a b"), true), "answer" }, -- 400
  { "CONNECT with :path", headers(1, request("CONNECT", "/"), true), "stream", BROKEN },
  { "CONNECT without :authority", fields(":method", "CONNECT"), "stream", BROKEN },
  { ":protocol without CONNECT", with(":protocol", "websocket"), "stream", BROKEN },
})

section("8.1.1 malformed content", {
  { "less than Content-Length", headers(1, HEAD_OF_4) .. frame("DATA", 1, 1, "123"), "stream",
    BROKEN },
  { "more than it", headers(1, HEAD_OF_4) .. frame("DATA", 1, 1, "12345"), "stream", BROKEN },
  { "less than it, in several frames",
    headers(1, HEAD_OF_4) .. frame("DATA", 0, 1, "1") .. frame("DATA", 1, 1, "2"), "stream",
    BROKEN },
  { "more than it, in several frames",
    headers(1, HEAD_OF_4) .. frame("DATA", 0, 1, "123") .. frame("DATA", 1, 1, "45"), "stream",
    BROKEN },
  { "none of it", headers(1, HEAD_OF_4, true), "stream", BROKEN },
  { "less than it, and trailers",
    headers(1, HEAD_OF_4) .. frame("DATA", 0, 1, "1") .. headers(1, block("a", "b"), true),
    "stream", BROKEN },
})

local COMPRESSION = { "COMPRESSION_ERROR" }
local function coded(...)
  return frame("HEADERS", 5, 1, "\130\134\132\65\1h" .. table.concat({ ... }))
end
section("HPACK", {
  { "an indexed field", coded(""), "answer" },
  { "a literal that enters the table, twice",
    coded("\64\1x\1y", "\190") .. frame("HEADERS", 5, 3, "\130\134\132\65\1h\191"), "answer",
    nil, 3 },
  { "a literal that never enters it", coded("\16\1x\1y"), "answer" },
  { "an index beyond the tables (2.3.3)", coded("\198"), "connection", COMPRESSION },
  { "a literal's name beyond the tables (2.3.3)", coded("\127\20\1y"), "connection", COMPRESSION },
  { "the table's size behind a field (4.2)", coded("\32"), "connection", COMPRESSION },
  { "Huffman padding of more than 7 bits (5.2)", coded("\0\1x\130\31\255"), "connection",
    COMPRESSION },
  { "Huffman padding of zeros (5.2)", coded("\0\1x\129\24"), "connection", COMPRESSION },
  { "EOS in a Huffman text (5.2)", coded("\0\1x\132\255\255\255\255"), "connection",
    COMPRESSION },
  { "index 0 (6.1)", coded("\128"), "connection", COMPRESSION },
  { "a table larger than allowed (6.3)", frame("HEADERS", 5, 1, "\63\226\31" .. get),
    "connection", COMPRESSION },
  { "a table of nothing, then of all (6.3)", frame("HEADERS", 5, 1, "\32\63\225\31" .. get),
    "answer" },
  { "an integer without end", coded("\255\255\255\255\255\255\255\255\255\1"), "connection",
    COMPRESSION },
  { "a section that is cut", coded("\0\5x"), "connection", COMPRESSION },
  { "an empty section", frame("HEADERS", 5, 1, ""), "stream", BROKEN },
})

-- --- the rest of what is expected ---

-- Who begins with something else is taken to speak HTTP/1.1.
function expect.refused(conn)
  assert.matches("^HTTP/1%.1 400 ", conn.wire:take_rest())
end

function expect.acknowledged(conn)
  local found = conn:read_until(function(f) return f.kind == "SETTINGS" and f.flags == 1 end)
  assert.is_truthy(found)
end

function expect.unanswered(conn)
  for _, f in ipairs(conn:settle()) do
    assert.not_equal("PING", f.kind)
  end
end

-- The first DATA of stream 1 is as long as its window.
function expect.window(conn, bytes)
  local data = conn:read_until(function(f) return f.kind == "DATA" end)
  assert.equal(bytes, #data.payload)
end

describe("HTTP/2 as h2spec asks for it", function()
  local server

  setup(function()
    local port = servers.free_port()
    server = servers.start({
      listen = { { address = "127.0.0.1:" .. port, http2 = true } },
      log = { level = "info", file = "stderr", access = false },
    }, { app = APP, wait_for = port })
    server.h2_port = port
  end)
  teardown(function()
    server:stop()
  end)

  local function play(case)
    local title, bytes, kind, codes, id = case[1], case[2], case[3], case[4], case[5]
    local conn = case.raw and h2.open(server.h2_port) or h2.connect(server.h2_port)
    if case.after then
      conn:send(case.after)
      expect.answer(conn)
    end
    conn:send(bytes)
    local ok, err = pcall(expect[kind], conn, codes, id)
    conn:close()
    assert(ok, title .. ": " .. tostring(err))
  end

  for _, s in ipairs(CASES) do
    describe(s.title, function()
      for _, case in ipairs(s.cases) do
        it(case[1], function()
          play(case)
        end)
      end
    end)
  end
end)
