--- The HTTP client: answers that are wrong. Each fails its call alone; nothing of it reaches the
--- next one, and its connection is not used again.
local callers = require("support.caller")
local http = require("support.http")
local upstreams = require("support.upstream")

local OK = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood"
local FIELD = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" -- and one more
local CHUNKED = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
local END, RESET = { ["end"] = true }, { reset = true }

local server, upstream

setup(function()
  upstream = upstreams.start()
  server = callers.start(upstream)
end)
teardown(function()
  callers.stop(server, upstream)
end)

-- A listener with a good answer at /good, after this one at /bad on the same connection.
local function listen(part)
  local raw = upstream:listen({ kind = "raw" })
  raw:script("/good", OK)
  raw:script("/bad", { part })
  return raw
end

-- The next call is answered by its own answer, on another connection.
local function assert_clean_after(raw, method)
  raw:wait_until_left()
  assert.equal("good", server:must_call(raw:url("/good")).body)
  local seen = raw:seen()
  local last = seen.requests[#seen.requests]
  assert.equal(seen.connections, last.connection)
  assert.is_true(seen.connections > 1, method)
end

local function code_of(part, method, fresh)
  local raw = listen(part)
  if not fresh then
    server:must_call(raw:url("/good"))
  end
  local told = server:call({ url = raw:url("/bad"), method = method, timeout = 10 })
  assert_clean_after(raw, method)
  return told
end

local function assert_codes(cases, code)
  for how, part in pairs(cases) do
    it(how, function()
      for _, fresh in ipairs({ true, false }) do
        callers.assert_failed(code_of(part, "POST", fresh), code)
      end
    end)
  end
end

describe("a status line is refused:", function()
  local lines = {
    ["none"] = "hello", ["an empty one"] = "", ["of HTTP/2"] = "HTTP/2.0 200 OK",
    ["of HTTP/1.2"] = "HTTP/1.2 200 OK", ["of HTTP/0.9"] = "HTTP/0.9 200 OK",
    ["of no version"] = "HTTP 200 OK", ["of another protocol"] = "ICY 200 OK",
    ["in lower case"] = "http/1.1 200 OK", ["with two digits"] = "HTTP/1.1 20 OK",
    ["with four digits"] = "HTTP/1.1 2000 OK", ["with letters"] = "HTTP/1.1 2xx OK",
    ["without a status"] = "HTTP/1.1", ["with a status below 100"] = "HTTP/1.1 099 OK",
    ["with a sign"] = "HTTP/1.1 +20 OK", ["with two spaces"] = "HTTP/1.1  200 OK",
    ["with a space in front"] = " HTTP/1.1 200 OK", ["with a NUL"] = "HTTP/1.1 200 O\0K",
    ["of a request"] = "GET / HTTP/1.1",
  }
  local cases = {}
  for how, line in pairs(lines) do
    cases[how] = line .. "\r\nContent-Length: 4\r\n\r\nevil"
  end
  cases["random bytes"] = ("\200\1\255\0\127"):rep(40) .. "\r\n\r\n"
  cases["a TLS alert"] = "\21\3\3\0\2\2\40\r\n"
  cases["one without end"] = { { send = ("A"):rep(65536), times = 64 } }
  cases["an SSH banner"] = "SSH-2.0-OpenSSH_9.2p1\r\n"
  assert_codes(cases, "protocol")
end)

describe("a head is refused:", function()
  assert_codes({
    ["a bare LF"] = "HTTP/1.1 200 OK\nContent-Length: 4\n\nevil",
    ["a bare LF among good lines"] = FIELD .. "X-A: a\nX-B: b\r\n\r\n",
    ["a bare CR in a value"] = FIELD .. "X-A: a\rb\r\n\r\n",
    ["a NUL in a value"] = FIELD .. "X-A: a\0b\r\n\r\n",
    ["a control character in a value"] = FIELD .. "X-A: a\1b\r\n\r\n",
    ["a folded field"] = FIELD .. "X-A: a\r\n b\r\n\r\n",
    ["a folded first field"] = "HTTP/1.1 200 OK\r\n X-A: a\r\nContent-Length: 0\r\n\r\n",
    ["a space before the colon"] = FIELD .. "X-A : a\r\n\r\n",
    ["a field without a colon"] = FIELD .. "X-A\r\n\r\n",
    ["a field without a name"] = FIELD .. ": a\r\n\r\n",
    ["a name that is no token"] = FIELD .. "X(A): a\r\n\r\n",
    ["a name beyond ASCII"] = FIELD .. "X-\200: a\r\n\r\n",
  }, "protocol")
end)

describe("framing is refused:", function()
  local function length(value)
    return "HTTP/1.1 200 OK\r\nContent-Length: " .. value .. "\r\n\r\nevil"
  end
  local function coding(value)
    return "HTTP/1.1 200 OK\r\nTransfer-Encoding: " .. value .. "\r\n\r\n4\r\nevil\r\n0\r\n\r\n"
  end
  assert_codes({
    ["two lengths that differ"] = length("4\r\nContent-Length: 5"),
    ["two lengths in one field"] = length("4, 5"),
    ["a length with a sign"] = length("+4"),
    ["a negative length"] = length("-4"),
    ["a length in hexadecimal"] = length("0x4"),
    ["a length that is none"] = length("four"),
    ["an empty length"] = length(""),
    ["a length with a space"] = length("4 4"),
    ["a length with a fraction"] = length("4.0"),
    ["a length that nobody can count"] = length("18446744073709551620"),
    ["a length and a coding"] = coding("chunked\r\nContent-Length: 4"),
    ["a coding and then a length"] = length("4\r\nTransfer-Encoding: chunked"),
    ["chunked twice"] = coding("chunked, chunked"),
    ["chunked not last"] = coding("chunked, gzip"),
    ["an unknown coding"] = coding("xchunked"),
    ["a coding in front of chunked"] = coding("gzip, chunked"),
    ["a coding in HTTP/1.0"] = (coding("chunked"):gsub("1%.1", "1.0", 1)),
  }, "protocol")
end)

describe("a chunked body is refused:", function()
  assert_codes({
    ["a size that is none"] = CHUNKED .. "g\r\nevil\r\n0\r\n\r\n",
    ["an empty size"] = CHUNKED .. "\r\nevil\r\n0\r\n\r\n",
    ["a negative size"] = CHUNKED .. "-4\r\nevil\r\n0\r\n\r\n",
    ["a size with a prefix"] = CHUNKED .. "0x4\r\nevil\r\n0\r\n\r\n",
    ["a size that nobody can count"] = CHUNKED .. "10000000000000004\r\nevil\r\n0\r\n\r\n",
    ["a size without end"] = { CHUNKED, { send = ("0"):rep(65536), times = 8 } },
    ["a size with a bare LF"] = CHUNKED .. "4\nevil\r\n0\r\n\r\n",
    ["more data than was said"] = CHUNKED .. "3\r\nevil\r\n0\r\n\r\n",
    ["data and a bare LF"] = CHUNKED .. "4\r\nevil\n0\r\n\r\n",
    ["a last chunk with a bare LF"] = CHUNKED .. "4\r\nevil\r\n0\n\n",
    ["a trailer without a colon"] = CHUNKED .. "4\r\nevil\r\n0\r\ntrailer\r\n\r\n",
    ["a folded trailer"] = CHUNKED .. "4\r\nevil\r\n0\r\nX-A: a\r\n b\r\n\r\n",
    ["a trailer with a NUL"] = CHUNKED .. "4\r\nevil\r\n0\r\nX-A: \0\r\n\r\n",
  }, "protocol")
end)

describe("an interim answer", function()
  local CONTINUE = "HTTP/1.1 100 Continue\r\n\r\n"
  local HINTS = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nX-Hint: 1\r\n\r\n"

  it("is passed over, and so are a few", function()
    local raw = listen(CONTINUE .. HINTS .. HINTS .. OK)
    for _ = 1, 2 do
      local told = server:must_call(raw:url("/bad"))
      assert.equal("good", told.body)
      assert.is_nil(told.headers["x-hint"])
    end
    assert.equal(1, raw:seen().connections)
  end)

  it("that comes alone is waited behind", function()
    local raw = listen({ CONTINUE, { wait_ms = 50 }, HINTS, { wait_ms = 50 }, OK })
    assert.equal("good", server:must_call(raw:url("/bad")).body)
  end)

  it("a hundred times over fails", function()
    local told = code_of({ { send = HINTS, times = 100 }, OK }, "POST", true)
    assert.is_false(told.ok)
    assert.truthy(told.code == "protocol" or told.code == "limit", told.code)
  end)

  it("of 101 that nobody asked for fails", function()
    local switching = "HTTP/1.1 101 OK\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"
    callers.assert_failed(code_of(switching .. "evil", "POST", true), "protocol")
    callers.assert_failed(code_of("HTTP/1.1 101 OK\r\n\r\n" .. OK, "GET", true), "protocol")
  end)
end)

describe("an answer that is too large", function()
  local function assert_too_large(part)
    local before = server:footprint().rss_kb
    local told = code_of(part, "POST", true)
    assert.is_false(told.ok)
    assert.truthy(told.code == "protocol" or told.code == "limit", told.code)
    assert.is_true(server:footprint().rss_kb < before + 40000)
  end

  it("in one field fails", function()
    assert_too_large({ FIELD .. "X-A: ", { send = ("a"):rep(65536), times = 400 } })
  end)

  it("in a name fails", function()
    assert_too_large({ FIELD, { send = ("a"):rep(65536), times = 400 } })
  end)

  it("in many fields fails", function()
    assert_too_large({ FIELD, { send = ("X-A: a\r\n"):rep(1000), times = 1000 } })
  end)

  it("in its trailers fails", function()
    assert_too_large({ CHUNKED .. "0\r\n", { send = ("X-A: a\r\n"):rep(1000), times = 1000 } })
  end)

  it("in its chunk extensions fails", function()
    assert_too_large({ CHUNKED .. "1;", { send = ("a"):rep(65536), times = 400 } })
    assert_too_large({ CHUNKED, { send = "1;" .. ("a"):rep(4000) .. "\r\nx\r\n", times = 4000 } })
  end)

  it("in its cookies is bounded like all fields", function()
    assert_too_large({ FIELD, { send = ("Set-Cookie: a=b\r\n"):rep(1000), times = 1000 } })
  end)
end)

describe("an answer that ends early", function()
  local parts = {
    ["before its first byte"] = "",
    ["in its status line"] = "HTTP/1.1 20",
    ["in its fields"] = "HTTP/1.1 200 OK\r\nContent-Le",
    ["behind its head"] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
    ["in its body"] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nevil",
    ["in a chunk's size"] = CHUNKED .. "1",
    ["in a chunk"] = CHUNKED .. "5\r\nevil",
    ["behind a chunk"] = CHUNKED .. "4\r\nevil\r\n",
    ["in the last chunk"] = CHUNKED .. "4\r\nevil\r\n0\r\n",
    ["in its trailers"] = CHUNKED .. "4\r\nevil\r\n0\r\nX-A: a\r\n",
    ["behind an interim one"] = "HTTP/1.1 100 Continue\r\n\r\n",
  }
  local cases = {}
  for where, bytes in pairs(parts) do
    cases[where .. " by a FIN fails"] = { bytes, { wait_ms = 10 }, END }
    cases[where .. " by a reset fails"] = { bytes, { wait_ms = 10 }, RESET }
  end
  assert_codes(cases, "closed")

  it("by a reset fails even if only the end of the connection would tell", function()
    local part = { "HTTP/1.1 200 OK\r\n\r\nevil", { wait_ms = 30 }, RESET }
    callers.assert_failed(code_of(part, "POST", true), "closed")
  end)
end)

describe("what comes behind an answer", function()
  local EVIL = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"

  local function assert_left_behind(part, method, status, body)
    local told = code_of(part, method, true)
    assert.is_true(told.ok, http.shown(told.message or ""))
    assert.equal(status, told.status)
    assert.equal(body, told.body)
  end

  it("is not taken for the answer of the next call", function()
    assert_left_behind(OK .. EVIL, "GET", 200, "good")
    assert_left_behind(OK .. "\r\n\r\nevil", "GET", 200, "good")
    assert_left_behind({ OK, { wait_ms = 20 }, EVIL }, "GET", 200, "good")
    assert_left_behind(CHUNKED .. "4\r\ngood\r\n0\r\n\r\n" .. EVIL, "GET", 200, "good")
  end)

  it("of HEAD is no body", function()
    assert_left_behind(EVIL, "HEAD", 200, "")
    assert_left_behind(CHUNKED .. "4\r\nevil\r\n0\r\n\r\n", "HEAD", 200, "")
  end)

  it("of a status without content is no body", function()
    for _, status in ipairs({ 204, 304 }) do
      local head = ("HTTP/1.1 %d X\r\n"):format(status)
      assert_left_behind(head .. "\r\nevil", "GET", status, "")
      assert_left_behind(head .. "\r\n" .. EVIL, "GET", status, "")
    end
    assert_left_behind("HTTP/1.1 304 X\r\nContent-Length: 4\r\n\r\nevil", "GET", 304, "")
  end)

  it("is not there: a length of 304 or to HEAD is not waited for", function()
    local raw = listen("HTTP/1.1 304 X\r\nContent-Length: 100\r\n\r\n")
    assert.equal(304, server:call({ url = raw:url("/bad"), timeout = 5 }).status)
    raw:script("/head", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
    server:must_call({ url = raw:url("/head"), method = "HEAD", timeout = 5 })
    assert.equal("good", server:must_call(raw:url("/good")).body)
    assert.equal(1, raw:seen().connections)
  end)
end)
