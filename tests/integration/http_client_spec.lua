--- The HTTP client: what a call sends, and what becomes of its answer.
local callers = require("support.caller")
local process = require("support.process")
local upstreams = require("support.upstream")

local OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

local server, upstream, origin, raw

setup(function()
  upstream = upstreams.start()
  server = callers.start(upstream)
  origin = upstream:listen({ kind = "http" })
  raw = upstream:listen({ kind = "raw" })
  raw:script("/", OK)
end)
teardown(function()
  callers.stop(server, upstream)
end)

local function sha256(bytes)
  local path = upstream.folder .. "/bytes"
  process.write_file(path, bytes)
  return process.run({ "sha256sum", path }).out:match("^%x+")
end

-- The head and the body of what a call to the raw listener sends.
local function sent_by(options)
  options.url = raw:url("/") .. (options.target or "")
  options.target = nil
  raw:script(options.url:match("^http://[^/]+([^#]*)"), OK)
  raw:forget()
  server:must_call(options)
  local requests = raw:seen().requests
  assert.equal(1, #requests)
  return requests[1].head, requests[1].body
end

local function fields_of(head)
  local fields = {}
  for name, value in head:gmatch("\r\n([^:\r]+): ?([^\r]*)") do
    local key = name:lower()
    fields[key] = fields[key] or {}
    table.insert(fields[key], value)
  end
  return fields
end

local function echoed(options)
  options.url = origin:url(options.target or "/echo")
  options.target = nil
  return server:call_for_json(options)
end

-- Wrong use: an error where the call is written, and nothing is sent.
local function assert_refused(options)
  origin:forget()
  local told = server:call(options)
  assert.is_false(told.ok)
  assert.is_string(told.raised, require("dkjson").encode(told))
  assert.truthy(told.raised:find("calls.lua:%d+: "), told.raised)
  assert.equal(0, #origin:seen().requests)
  return told.raised
end

describe("the head of a request", function()
  it("is a request line and one Host, and says nothing of a body that is not there", function()
    local head = sent_by({ target = "a/b?c=d" })
    assert.equal("GET /a/b?c=d HTTP/1.1", head:match("^[^\r]*"))
    local fields = fields_of(head)
    assert.same({ "127.0.0.1:" .. raw.port }, fields.host)
    assert.is_nil(fields["content-length"])
    assert.is_nil(fields["transfer-encoding"])
    assert.is_nil(fields.connection and fields.connection[1]:lower():match("close"))
  end)

  it("names an IPv6 server in brackets, and no default port", function()
    local six = upstream:listen({ kind = "http", host = "::1" })
    assert.equal("[::1]:" .. six.port, server:call_for_json(six:url("/echo")).headers.host)
    local path = upstream.folder .. "/ports.sock"
    upstream:listen({ kind = "http", path = path })
    local got = server:call_for_json({ url = "HTTP://a.test:80/echo", unix = path })
    assert.equal("a.test", got.headers.host)
    got = server:call_for_json({ url = "http://a.test:443/echo", unix = path })
    assert.equal("a.test:443", got.headers.host)
  end)

  it("has one Host, whatever the headers of the options say", function()
    for _, headers in ipairs({
      { Host = "a.test" }, { Host = { "a.test", "b.test" } }, { Host = "a.test", host = "b.test" },
    }) do
      raw:forget()
      local told = server:call({ url = raw:url("/"), headers = headers })
      local requests = raw:seen().requests
      if told.ok then
        assert.equal(1, #fields_of(requests[1].head).host)
      else
        assert.is_string(told.raised)
        assert.equal(0, #requests)
      end
    end
    assert.same({ "a.test" }, fields_of(sent_by({ headers = { Host = "a.test" } })).host)
  end)

  it("does not tell a password of the URL as a part of the Host", function()
    raw:forget()
    server:call(("http://user:secret@127.0.0.1:%d/"):format(raw.port))
    for _, request in ipairs(raw:seen().requests) do
      assert.same({ "127.0.0.1:" .. raw.port }, fields_of(request.head).host)
    end
  end)

  it("begins with / though the URL names no path", function()
    local told = server:must_call("http://127.0.0.1:" .. raw.port)
    assert.equal("ok", told.body)
  end)

  it("does not tell the fragment", function()
    assert.equal("GET /a?b HTTP/1.1", sent_by({ target = "a?b#secret" }):match("^[^\r]*"))
  end)

  it("has the query of the options behind that of the URL", function()
    local got = echoed({ target = "/echo?a=1", query = { b = "2 & 3", list = { "x", "y" } } })
    assert.equal("/echo?a=1&b=2%20%26%203&list=x&list=y", got.url)
    assert.equal("/echo?b=1", echoed({ query = { b = 1 } }).url)
  end)

  it("has the fields that it was given, lists as repeated ones", function()
    local head = sent_by({ headers = { ["X-One"] = "1", ["X-List"] = { "a", "b" }, ["X-N"] = 5 } })
    local fields = fields_of(head)
    assert.same({ "1" }, fields["x-one"])
    assert.same({ "a", "b" }, fields["x-list"])
    assert.same({ "5" }, fields["x-n"])
  end)

  it("has one User-Agent and one Accept-Encoding, which options replace", function()
    local fields = fields_of(sent_by({}))
    assert.equal(1, #fields["user-agent"])
    assert.equal(1, #fields["accept-encoding"])
    assert.truthy(fields["accept-encoding"][1]:find("gzip"))
    fields = fields_of(sent_by({
      headers = { ["user-agent"] = "mine", ["ACCEPT-encoding"] = "identity" },
    }))
    assert.same({ "mine" }, fields["user-agent"])
    assert.same({ "identity" }, fields["accept-encoding"])
  end)

  it("asks for a range of the content as it is", function()
    local fields = fields_of(sent_by({ headers = { Range = "bytes=0-1" } }))
    assert.same({ "identity" }, fields["accept-encoding"])
  end)

  it("does not ask for coded content that will not be decoded", function()
    assert.is_nil(fields_of(sent_by({ decompress = false }))["accept-encoding"])
  end)
end)

describe("wrong use of a call", function()
  it("raises for a header that would break out of its line", function()
    for _, headers in ipairs({
      { ["X-A"] = "a\r\nX-B: b" }, { ["X-A"] = "a\nb" }, { ["X-A"] = { "a", "b\r" } },
      { ["X-A\r\nX-B"] = "a" }, { ["X A"] = "a" }, { [""] = "a" }, { ["X-A:"] = "a" },
    }) do
      assert_refused({ url = origin:url("/echo"), headers = headers })
    end
    assert_refused({ url = origin:url("/echo"), headers = { ["X-Nul"] = "a\0b" } })
  end)

  it("raises for a method that is not a token", function()
    for _, method in ipairs({ "", "GET /", "G\r\nT", "G:T" }) do
      assert_refused({ url = origin:url("/echo"), method = method })
    end
  end)

  it("raises for what is no URL of a server", function()
    for _, url in ipairs({
      "", "/echo", "localhost", "ftp://127.0.0.1/", "http://", "http:///echo", "http://a:99999/",
      "http://a:b/", "http://[::1/", "http://a b/", "http://a/\r\nX: y", "http://a/\1",
      "file:///etc/passwd", "javascript:0", "http://127.0.0.1:0/",
      "http://k\195\182ln.test/", "http://a/b c", "http://a/\195\182", "http://a/?b c",
      "http://a\\b/", "http://[::1]x/", "http://[fe80::1%25lo]/", "http://a:80:80/", "http://:80/",
    }) do
      assert_refused({ url = url })
    end
  end)

  it("raises for two bodies", function()
    assert_refused({ url = origin:url("/echo"), method = "POST", body = "a", json = { 1 } })
    assert_refused({ url = origin:url("/echo"), method = "POST", form = { a = 1 }, file = "x" })
  end)

  it("raises for an option that there is not, and for one of a wrong type", function()
    local raised = assert_refused({ url = origin:url("/echo"), headrs = {} })
    assert.truthy(raised:find("headrs"))
    assert_refused({ url = origin:url("/echo"), timeout = "soon" })
    assert_refused({ url = origin:url("/echo"), timeout = -1 })
    assert_refused({ url = origin:url("/echo"), headers = "X: y" })
    assert_refused({ method = "GET" })
  end)
end)

describe("a body", function()
  it("that is a string is sent with its length", function()
    local got = echoed({ method = "POST", body = "hello" })
    assert.equal("POST", got.method)
    assert.equal("hello", got.body)
    assert.equal("5", got.headers["content-length"])
  end)

  it("of any bytes comes as it was sent", function()
    local all = {}
    for i = 0, 255 do
      all[i + 1] = ("%02x"):format(i)
    end
    local got = echoed({ method = "PUT", body_hex = table.concat(all) })
    local bytes = table.concat(all):gsub("%x%x", function(pair)
      return string.char(tonumber(pair, 16))
    end)
    assert.equal(256, got.body_bytes)
    assert.equal(sha256(bytes), got.sha256)
  end)

  it("that is empty is told by its length, if the method has a meaning for one", function()
    for _, method in ipairs({ "POST", "PUT", "PATCH" }) do
      assert.same({ "0" }, fields_of(sent_by({ method = method }))["content-length"])
    end
    assert.is_nil(fields_of(sent_by({ method = "DELETE" }))["content-length"])
  end)

  it("that is a value is sent as JSON", function()
    local got = echoed({ method = "POST", json = { name = "Köln", list = { 1, 2.5, "x" } } })
    assert.truthy(got.headers["content-type"]:match("^application/json"))
    local value = assert(require("dkjson").decode(got.body))
    assert.same({ name = "Köln", list = { 1, 2.5, "x" } }, value)
  end)

  it("of JSON keeps a Content-Type that was given", function()
    local got = echoed({ method = "POST", json = { 1 },
      headers = { ["content-type"] = "application/vnd.api+json" } })
    assert.equal("application/vnd.api+json", got.headers["content-type"])
  end)

  it("that is a form is sent as a form", function()
    local got = echoed({ method = "POST", form = { name = "Ada L", sign = "a+b&c=d" } })
    assert.equal("application/x-www-form-urlencoded", got.headers["content-type"])
    assert.equal("name=Ada+L&sign=a%2Bb%26c%3Dd", (got.body:gsub("%%20", "+")))
  end)

  it("that is a file is sent with its length", function()
    local bytes = ("0123456789abcdef"):rep(200000)
    local path = server.folder .. "/upload.bin"
    process.write_file(path, bytes)
    local got = echoed({ method = "PUT", file = path })
    assert.equal("3200000", got.headers["content-length"])
    assert.equal(sha256(bytes), got.sha256)
  end)

  it("that is an empty file is sent too", function()
    process.write_file(server.folder .. "/empty.bin", "")
    local got = echoed({ method = "PUT", file = server.folder .. "/empty.bin" })
    assert.equal(0, got.body_bytes)
    assert.equal("0", got.headers["content-length"])
  end)

  it("of a file that is not there fails with code file", function()
    origin:forget()
    server:must_fail({ url = origin:url("/echo"), method = "PUT", file = "/nowhere/x" }, "file",
      "nowhere")
    assert.equal(0, #origin:seen().requests)
  end)

  it("goes with a GET as well", function()
    local got = echoed({ body = "hi" })
    assert.equal("GET", got.method)
    assert.equal("hi", got.body)
  end)

  it("has one framing, whatever the headers of the options say", function()
    for _, headers in ipairs({
      { ["Content-Length"] = "1" }, { ["content-length"] = "100" },
      { ["Transfer-Encoding"] = "chunked" }, { ["Content-Length"] = { "5", "5" } },
    }) do
      raw:forget()
      local told = server:call({ url = raw:url("/"), method = "POST", body = "hello",
        headers = headers })
      local requests = raw:seen().requests
      if told.ok then
        local fields = fields_of(requests[1].head)
        assert.same({ "5" }, fields["content-length"])
        assert.is_nil(fields["transfer-encoding"])
      else
        assert.is_string(told.raised)
        assert.equal(0, #requests)
      end
    end
  end)
end)

describe("an answer", function()
  it("tells its status, fields, cookies, version and URL", function()
    local told = server:must_call(origin:url("/cookies"))
    assert.equal("cookies", told.body)
    assert.equal("1, 2", told.headers["x-two"])
    assert.same({ "a=1; Path=/", "b=2" }, told.cookies)
    assert.equal("1.1", told.version)
    assert.equal(origin:url("/cookies"), told.url)
    assert.equal(0, told.redirects)
  end)

  it("of HTTP/1.0 tells so", function()
    raw:script("/old", {
      { "HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nold", { ["end"] = true } },
    })
    local told = server:must_call(raw:url("/old"))
    assert.equal("1.0", told.version)
    assert.equal("old", told.body)
  end)

  it("is no failure, whatever its status", function()
    for _, status in ipairs({ 200, 201, 299, 400, 404, 418, 500, 503, 599 }) do
      local told = server:call(origin:url("/status?n=" .. status))
      assert.is_true(told.ok)
      assert.equal(status, told.status)
      assert.equal("status\n", told.body)
    end
  end)

  it("without content has none", function()
    for _, status in ipairs({ 204, 304 }) do
      local told = server:call(origin:url("/empty?status=" .. status))
      assert.equal(status, told.status)
      assert.equal(0, told.body_bytes)
    end
  end)

  it("to HEAD has no content, but tells the length", function()
    local told = server:must_call({ url = origin:url("/bytes?n=1234"), method = "HEAD" })
    assert.equal("1234", told.headers["content-length"])
    assert.equal(0, told.body_bytes)
    assert.equal("ahovcjqxel", server:must_call(origin:url("/bytes?n=10")).body)
  end)

  it("of every framing comes whole", function()
    assert.equal(3000000, server:must_call(origin:url("/bytes?n=3000000")).body_bytes)
    for _, piece in ipairs({ 1, 7, 4096 }) do
      local told = server:must_call(origin:url("/chunked?bytes=5000&piece=" .. piece))
      assert.equal(server:must_call(origin:url("/bytes?n=5000")).sha256, told.sha256)
    end
    assert.equal("until the end", server:must_call(origin:url("/close-delimited")).body)
    assert.equal("with trailers", server:must_call(origin:url("/trailers")).body)
  end)

  it("is the same wherever it is split", function()
    local bytes = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-A:  b \r\n\r\n"
      .. "5;a=\"b\"\r\nhello\r\nA\r\n, 10 bytes\r\n0\r\nX-T: 1\r\n\r\n"
    raw:script("/slowly", { { { send = bytes, slowly = true } } })
    local told = server:must_call(raw:url("/slowly"))
    assert.equal("hello, 10 bytes", told.body)
    assert.equal("b", told.headers["x-a"])
  end)

  it("is decoded from JSON, or is refused with code protocol", function()
    local function call_json(text)
      return server:ask("/call_json", { url = origin:url("/json?text=" .. text) })
    end
    assert.same({ a = { 1, 2 } }, call_json("%7B%22a%22:[1,2]%7D").value)
    callers.assert_failed(call_json("%7Boops"), "protocol")
    callers.assert_failed(call_json(""), "protocol")
  end)
end)

describe("moongate.http", function()
  it("has a function for each method, without a request's scope", function()
    for _, method in ipairs({ "GET", "POST", "PUT", "PATCH", "DELETE" }) do
      local told = server:ask("/module_call", { verb = method:lower(), url = origin:url("/echo"),
        options = { headers = { ["X-A"] = "b" } } })
      local got = assert(require("dkjson").decode(told.body))
      assert.equal(method, got.method)
      assert.equal("b", got.headers["x-a"])
    end
    local told = server:ask("/module_call", { verb = "head", url = origin:url("/echo") })
    assert.equal(200, told.status)
    assert.equal(0, told.body_bytes)
  end)

  it("takes a URL alone", function()
    for _, verb in ipairs({ "get", "request" }) do
      local told = server:ask("/module_call", { verb = verb, url = origin:url("/echo") })
      assert.equal(200, told.status)
    end
  end)

  it("works from a background coroutine", function()
    server:ask("/background_call", { name = "one", call = { url = origin:url("/echo") } })
    assert.equal(200, server:outcome("one").status)
  end)
end)
