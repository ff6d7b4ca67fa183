--- Every row of the table of refused inputs: what malformed requests there are, and how a server
--- may answer them. It holds alone and in front of another server.
local M = {}

local LINE = "GET /text HTTP/1.1"
local HOST = "Host: moongate.test"
local CHUNKED_BODY = "5\r\nhello\r\n0\r\n\r\n"

local function head(line, ...)
  return table.concat({ line, ... }, "\r\n") .. "\r\n\r\n"
end

local function with_line(line)
  return head(line, HOST)
end

local function with_target(target)
  return with_line("GET " .. target .. " HTTP/1.1")
end

local function with_field(field)
  return head(LINE, HOST, field)
end

local function with_body(body, ...)
  return head("POST /length HTTP/1.1", HOST, ...) .. body
end

local function chunked(body)
  return with_body(body, "Transfer-Encoding: chunked")
end

-- { what the row is about, statuses allowed, inputs }
local rows = {}

local function row(about, status, make, inputs)
  rows[#rows + 1] = { about = about, status = status, make = make, inputs = inputs }
end

local function as_is(bytes)
  return bytes
end

row("a version that is missing or unknown", { 400, 505 }, with_line, {
  "GET /text", "GET /text ", "GET /text HTTP/0.9", "GET /text HTTP/1.2", "GET /text HTTP/2.0",
  "GET /text HTTP/3.0", "GET /text HTTP/1", "GET /text HTTP/1.", "GET /text HTTP/1.10",
  "GET /text HTTP/11.1", "GET /text http/1.1", "GET /text HTTPS/1.1", "GET /text HTTP/1.1x",
  "GET /text HTTP /1.1", "GET /text HTTP/x.y", "GET /text HTTP/-1.1",
})
row("HTTP/0.9", { 400, 505 }, as_is, { "GET /text\r\n", "GET /text\r\n\r\n" })
row("HTTP/2.0 with prior knowledge", { 400, 505 }, as_is, { "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" })
row("TLS where none is spoken", 400, as_is, { "\22\3\1\2\0\1\0\1\252\3\3" })
row("a malformed request line", 400, with_line, {
  "GET", "FOO", "GET  /text HTTP/1.1", "GET /text  HTTP/1.1", "GET /text HTTP/1.1 ",
  " GET /text HTTP/1.1", "GET\t/text HTTP/1.1", "GET /text\tHTTP/1.1", "GET /a b HTTP/1.1",
})
row("an unknown method", 501, with_line, {
  "BREW /text HTTP/1.1", "get /text HTTP/1.1", "Get /text HTTP/1.1", "M-SEARCH /text HTTP/1.1",
  "GETT /text HTTP/1.1", "X!#$%&'*+-.^_`|~9 /text HTTP/1.1",
})
row("a malformed method", 400, with_line, {
  "GE(T /text HTTP/1.1", "GE\"T /text HTTP/1.1", "GET: /text HTTP/1.1", "G\195\137T /text HTTP/1.1",
  "GE,T /text HTTP/1.1", "G\1T /text HTTP/1.1", "[ /text HTTP/1.1",
})
row("a target with a forbidden byte", 400, with_target, {
  "/a\1b", "/a\31b", "/a\127b", "/a\0b", "/a\"b", "/a<b", "/a>b", "/a\\b", "/a^b", "/a\128",
  "/a\255", "/caf\195\169", "/a^b?c", "/a`b", "/text?\195\169", "/text?a\1", "/text?a\127",
  "/text?a\tb", "http://moongate.test/a^b", "http://moongate.test/text?\255",
})
row("a target with a fragment or userinfo", 400, with_target, {
  "/text#part", "/text?a=1#part", "#part", "http://me@moongate.test/text",
  "http://me:secret@moongate.test/text",
})
row("a target with a bad percent code", 400, with_target, {
  "/%", "/%4", "/%zz", "/%4g", "/text%", "/text%a", "/%%41", "/%?a", "/%2?0",
})
row("a target that leaves the root", 400, with_target, {
  "/..", "/../text", "/a/../../text", "/%2e%2e/text", "/.%2E/text", "/a/.%2e/../..",
  "/./../text", "http://moongate.test/../text",
})
row("a target in a form that the method does not have", 400, as_is, {
  with_target("moongate.test:80"), with_target("moongate.test"), with_target("*"),
  with_target("text"), with_target("?a=1"), with_target("http://"), with_target("http:///text"),
  with_line("POST * HTTP/1.1"), with_line("CONNECT /text HTTP/1.1"),
  with_line("CONNECT * HTTP/1.1"),
})
row("a missing Host", 400, as_is, {
  head(LINE), head(LINE, "X-Host: moongate.test"), head("GET http://moongate.test/text HTTP/1.1"),
})
row("an empty Host", 400, as_is, {
  head(LINE, "Host:"), head(LINE, "Host: \t "), head("GET /text HTTP/1.0", "Host:"),
  head("GET http://moongate.test/text HTTP/1.1", "Host:"),
})
row("a repeated Host", 400, as_is, {
  head(LINE, HOST, HOST), head(LINE, HOST, "host: other.test"),
  head(LINE, HOST, "X-A: 1", "HOST: moongate.test"), head("GET /text HTTP/1.0", HOST, HOST),
})
row("an invalid Host", 400, function(value)
  return head(LINE, "Host: " .. value)
end, {
  "a b", "a/b", "me@moongate.test", "moongate.test:port", "moongate.test:99999",
  "moongate.test:-1", "[::1", "::1", "a.test,b.test", "a.test, b.test", "a.test:80:80", "a#b",
  "a\"b", "a<b", "http://moongate.test/", "a?b", "a\\b", "a%zz", "[::g]", "[]",
  "a\tb", "[12]", "[..]",
  "[ab..cd::1]", "[:::]", "[1::2::3]", "[1:2:3:4:5:6:7:8:9]", "[127.0.0.1]", "[fe80::1%eth0]",
  "[fe80::1%25eth0]", "[v1.a]", "[::1]:99999", "[::1]:+1", "a.test:+80", "a.test: 80",
})
row("white space before the colon or at the start of a line", 400, with_field, {
  "X-Test : 1", "X-Test\t: 1", "Content-Length : 0", "Transfer-Encoding : chunked",
  "X-Test: 1\r\n folded", "X-Test: 1\r\n\tfolded", "X-Test: 1\r\n ", " X-Test: 1", "\tX-Test: 1",
})
row("a folded first line", 400, as_is, {
  head(LINE, " " .. HOST), head(LINE, "\t" .. HOST), head(LINE, " ", HOST),
})
row("a name that is empty or no token", 400, with_field, {
  ": 1", "X Test: 1", "X(Test): 1", "X\"Test: 1", "X-\128: 1", "X/Y: 1", "X@Y: 1", "X,Y: 1",
  "no colon", "X\0: 1", "X\1: 1", "[X]: 1", "{X}: 1",
})
row("NUL, bare CR, bare LF", 400, as_is, {
  with_field("X-Test: a\0b"), with_field("X-Test: \0"), with_field("X-Test: a\rb"),
  with_field("X-Test: a\r"), with_field("X-Test: a\nX-Other: b"), with_field("X-Test: a\n"),
  with_field("X-Test: a\nTransfer-Encoding: chunked"), with_field("X-Test: a\rContent-Length: 5"),
  "GET /text HTTP/1.1\n" .. HOST .. "\n\n", "GET /text HTTP/1.1\n" .. HOST .. "\r\n\r\n",
  "GET /text HTTP/1.1\r\n" .. HOST .. "\n\r\n", "GET /text HTTP/1.1\r\n" .. HOST .. "\r\n\n",
  "GET /text HTTP/1.1\r" .. HOST .. "\r\n\r\n", "GET /text HTTP/1.1\r\r\n" .. HOST .. "\r\n\r\n",
  "\nGET /text HTTP/1.1\r\n" .. HOST .. "\r\n\r\n",
})
row("Transfer-Encoding with Content-Length", 400, function(fields)
  return with_body(CHUNKED_BODY, unpack(fields))
end, {
  { "Content-Length: 15", "Transfer-Encoding: chunked" },
  { "Transfer-Encoding: chunked", "Content-Length: 15" },
  { "Transfer-Encoding: chunked", "Content-Length: 0" },
  { "content-length: 5", "X-Between: 1", "TRANSFER-ENCODING: Chunked" },
  { "Transfer-Encoding:\tchunked", "Content-Length: 5" },
})
row("a Content-Length that is repeated or malformed", 400, function(fields)
  return with_body("hello", unpack(fields))
end, {
  { "Content-Length: 5", "Content-Length: 5" }, { "Content-Length: 5", "content-length: 6" },
  { "Content-Length: 5, 5" }, { "Content-Length: 5,6" }, { "Content-Length: +5" },
  { "Content-Length: -5" }, { "Content-Length: 5 5" }, { "Content-Length: 0x5" },
  { "Content-Length: 5a" }, { "Content-Length:" }, { "Content-Length: 5e0" },
  { "Content-Length: 5," }, { "Content-Length: ,5" }, { "Content-Length: 5.0" },
  { "Content-Length: 18446744073709551621" }, { "Content-Length: 99999999999999999999" },
  { "Content-Length: \"5\"" }, { "Content-Length: 5;" },
})
row("chunked not last or twice", 400, function(fields)
  return with_body(CHUNKED_BODY, unpack(fields))
end, {
  { "Transfer-Encoding: chunked, chunked" },
  { "Transfer-Encoding: chunked", "Transfer-Encoding: chunked" },
  { "Transfer-Encoding: Chunked,CHUNKED" },
  { "Transfer-Encoding: chunked, gzip" },
  { "Transfer-Encoding: chunked", "Transfer-Encoding: gzip" },
})
row("Transfer-Encoding in HTTP/1.0", 400, as_is, {
  head("POST /length HTTP/1.0", HOST, "Transfer-Encoding: chunked") .. CHUNKED_BODY,
  head("POST /length HTTP/1.0", HOST, "Connection: keep-alive", "Transfer-Encoding: chunked")
    .. CHUNKED_BODY,
  head("POST /length HTTP/1.0", HOST, "Transfer-Encoding: identity") .. "hello",
})
row("an unknown transfer coding", 501, function(value)
  return with_body(CHUNKED_BODY, "Transfer-Encoding: " .. value)
end, { "gzip, chunked", "identity, chunked", "x-new,chunked", "deflate , Chunked" })
row("a transfer coding that is nearly chunked", { 400, 501 }, function(value)
  return with_body(CHUNKED_BODY, "Transfer-Encoding: " .. value)
end, {
  "gzip", "identity", "xchunked", "chunkedx", "\"chunked\"", "chunked;a=b", "chunk ed",
  "\11chunked",
  "chunked\11", ",", "",
})
row("a Transfer-Encoding with an empty member", 400, function(value)
  return with_body(CHUNKED_BODY, "Transfer-Encoding: " .. value)
end, { ",chunked", "chunked,", " , chunked", "chunked ,\t", ",,chunked" })
row("a malformed chunk extension", 400, function(extension)
  return chunked("5" .. extension .. "\r\nhello\r\n0\r\n\r\n")
end, {
  ";", "; ", ";=", ";=a", ";a b", ";a=", ";a=;b", ";;a", ";a;", ";a=b c", ";a=b=c", ";a=\"b\"c",
  ";\"a\"", ";a@", ";a=\"b", " ",
})
row("a chunk size out of order", { 400, 413 }, chunked, {
  "fffffffffffffffff\r\nhello\r\n0\r\n\r\n", "10000000000000005\r\nhello\r\n0\r\n\r\n",
  "ffffffffffffffff\r\nhello\r\n0\r\n\r\n", "8000000000000000\r\nhello\r\n0\r\n\r\n",
})
row("a malformed chunk size", 400, chunked, {
  "-5\r\nhello\r\n0\r\n\r\n", "+5\r\nhello\r\n0\r\n\r\n", "0x5\r\nhello\r\n0\r\n\r\n",
  "\r\nhello\r\n0\r\n\r\n", "g\r\nhello\r\n0\r\n\r\n", " 5\r\nhello\r\n0\r\n\r\n",
  "5 5\r\nhello\r\n0\r\n\r\n", "5,\r\nhello\r\n0\r\n\r\n", ";a=b\r\nhello\r\n0\r\n\r\n",
})
row("missing CRLF or bare LF in chunk framing", 400, chunked, {
  "5\nhello\r\n0\r\n\r\n", "5\r\nhello\n0\r\n\r\n", "5\r\nhelloX\r\n0\r\n\r\n",
  "5\r\nhello0\r\n\r\n", "5\r\nhello\r0\r\n\r\n", "5\r\r\nhello\r\n0\r\n\r\n",
  "5\rhello\r\n0\r\n\r\n", "5;a=b\nhello\r\n0\r\n\r\n", "5;a\rb\r\nhello\r\n0\r\n\r\n",
  "5\r\nhello\r\n0\n\r\n", "5\r\nhello\r\n0\r\n\n", "3\r\nhello\r\n0\r\n\r\n",
})
row("a malformed trailer section", 400, chunked, {
  "0\r\nX-Test : 1\r\n\r\n", "0\r\nX-Test: 1\r\n folded\r\n\r\n", "0\r\nX-Test: 1\n\r\n",
  "0\r\nno colon\r\n\r\n", "0\r\n: 1\r\n\r\n", "0\r\nX-Test: a\0b\r\n\r\n", "0\r\n X: 1\r\n\r\n",
})
row("an expectation other than 100-continue", 417, with_field, {
  "Expect: 200-ok", "Expect: 100-continued", "Expect: 100-continue, other", "Expect: other",
})

M.LINE, M.HOST, M.CHUNKED_BODY = LINE, HOST, CHUNKED_BODY
M.head, M.with_line, M.with_target, M.with_field = head, with_line, with_target, with_field
M.with_body, M.chunked = with_body, chunked
M.rows = rows

return M
