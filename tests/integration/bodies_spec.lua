--- Request bodies: framing, Expect, and what handlers see of them.
local servers = require("support.server")
local wire = require("support.wire")
local http = require("support.http")

local server

setup(function()
  server = servers.start()
end)
teardown(function()
  server:stop()
end)

local function chunked(target, body, ...)
  return wire.head_of("POST", target, "Transfer-Encoding: chunked", ...) .. "\r\n" .. body
end

local function echoed(bytes)
  return http.json(http.assert_kept(server, bytes, 200, "POST")).body
end

describe("a chunked body", function()
  local bodies = {
    ["in one chunk"] = "5\r\nhello\r\n0\r\n\r\n",
    ["in several"] = "1\r\nh\r\n3\r\nell\r\n1\r\no\r\n0\r\n\r\n",
    ["with leading zeros"] = "0000000005\r\nhello\r\n000\r\n\r\n",
    ["with an extension"] = "5;name=value\r\nhello\r\n0;last\r\n\r\n",
    ["with extensions without values"] = "5;a;b;c\r\nhello\r\n0\r\n\r\n",
    ["with a quoted extension"] = "5;name=\"a b;c\"\r\nhello\r\n0\r\n\r\n",
    ["with an escaped quote in an extension"] = "5;name=\"a\\\"b\"\r\nhello\r\n0\r\n\r\n",
    ["with trailers"] = "5\r\nhello\r\n0\r\nX-Checksum: 1\r\nX-Other: two\r\n\r\n",
    ["with a trailer that would change the framing"] =
      "5\r\nhello\r\n0\r\nContent-Length: 99\r\nTransfer-Encoding: gzip\r\n\r\n",
  }
  for how, body in pairs(bodies) do
    it(how .. " is decoded", function()
      assert.equal("hello", echoed(chunked("/echo", body)))
    end)
  end

  it("takes upper and lower case hexadecimal sizes", function()
    for _, size in ipairs({ "1a", "1A", "001a" }) do
      local body = size .. "\r\n" .. ("x"):rep(26) .. "\r\n0\r\n\r\n"
      assert.equal(("x"):rep(26), echoed(chunked("/echo", body)))
    end
  end)

  it("may be empty", function()
    assert.equal("", echoed(chunked("/echo", "0\r\n\r\n")))
  end)

  it("names its coding in any case", function()
    local head = wire.head_of("POST", "/echo", "TRANSFER-ENCODING:  ChunKed\t")
    assert.equal("hello", echoed(head .. "\r\n5\r\nhello\r\n0\r\n\r\n"))
  end)

  it("is the same wherever it is split", function()
    local bytes = chunked("/echo", "5;a=\"b\"\r\nhello\r\nA\r\n, 10 bytes\r\n0\r\nX-T: 1\r\n\r\n")
    local conn = server:connect()
    conn:send_slowly(bytes)
    assert.equal("hello, 10 bytes", http.json(conn:read("POST")).body)
    for at = 1, #bytes - 1 do
      conn:send_split(bytes, at)
      assert.equal("hello, 10 bytes", http.json(conn:read("POST")).body)
    end
    conn:close()
  end)

  it("of 4 MiB reaches a handler that collects and one that iterates", function()
    local chunks = {}
    for i = 1, 256 do
      chunks[i] = ("x"):rep(16384)
    end
    local res = server:request(wire.post_chunked("/length", unpack(chunks)), "POST")
    assert.equal("4194304", res.body)
    res = server:request(wire.post_chunked("/chunks", unpack(chunks)), "POST")
    assert.equal(4194304, http.json(res).bytes)
  end)
end)

describe("a body with Content-Length", function()
  it("may be empty", function()
    assert.equal("", echoed(wire.post("/echo", "")))
  end)

  it("may have leading zeros in its length", function()
    local head = wire.head_of("POST", "/echo", "Content-Length: 005")
    assert.equal("hello", echoed(head .. "\r\nhello"))
  end)

  it("of any bytes comes as it was sent", function()
    local all = {}
    for i = 0, 255 do
      all[i + 1] = string.char(i)
    end
    local res = server:request(wire.post("/length", table.concat(all):rep(100)))
    assert.equal("25600", res.body)
  end)

  it("is iterated with backpressure by a slow handler", function()
    local res = server:request(wire.post("/chunks/slow", ("x"):rep(3000000)))
    assert.equal("3000000", res.body)
  end)

  it("waits for a handler that asks late", function()
    assert.equal("later", server:request(wire.post("/late", "later")).body)
  end)

  it("reaches a GET as well", function()
    local res = server:request(wire.head_of("GET", "/echo", "Content-Length: 2") .. "\r\nhi", "GET")
    assert.equal("hi", http.json(res).body)
  end)

  it("is known to the handler by its length", function()
    assert.equal(5, http.json(server:request(wire.post("/echo", "hello"))).length)
  end)
end)

describe("Expect: 100-continue", function()
  local function expecting(target, ...)
    return wire.head_of("POST", target, "Expect: 100-continue", ...) .. "\r\n"
  end

  it("is answered 100 once the handler wants the body", function()
    local conn = server:connect()
    conn:send(expecting("/echo", "Content-Length: 5"))
    assert.equal(100, conn:read().status)
    conn:send("hello")
    assert.equal("hello", http.json(conn:read("POST")).body)
    conn:close()
  end)

  it("works for chunked bodies and for iterating handlers", function()
    local conn = server:connect()
    for _ = 1, 2 do
      conn:send(expecting("/chunks", "Transfer-Encoding: chunked"))
      assert.equal(100, conn:read().status)
      conn:send("5\r\nhello\r\n0\r\n\r\n")
      assert.equal(5, http.json(conn:read("POST")).bytes)
    end
    conn:close()
  end)

  it("is not answered 100 by a handler that does not want the body", function()
    for _, target in ipairs({ "/unread", "/refuse", "/nowhere" }) do
      local conn = server:connect()
      conn:send(expecting(target, "Content-Length: 5"))
      assert.not_equal(100, conn:read("POST").status)
      conn:close()
    end
  end)

  it("is answered 413 at once if the body would be too large", function()
    local conn = server:connect()
    conn:send(expecting("/small", "Content-Length: 101"))
    assert.equal(413, conn:read("POST").status)
    conn:close()
  end)

  it("is not answered 100 if the body came along", function()
    local conn = server:connect()
    conn:send(expecting("/late", "Content-Length: 5") .. "hello" .. wire.get("/text"))
    local res = conn:read("POST")
    if res.status == 100 then
      res = conn:read("POST") -- allowed: RFC 9110 10.1.1 says MAY omit
    end
    assert.equal("hello", res.body)
    assert.equal("hello\n", conn:read().body)
    conn:close()
  end)

  it("is not answered 100 in HTTP/1.0", function()
    local conn = server:connect()
    conn:send("POST /length HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\n")
    conn:send("Content-Length: 5\r\n\r\nhello")
    local res = conn:read("POST")
    assert.equal(200, res.status)
    assert.equal("5", res.body)
    conn:close()
  end)

  it("works with curl", function()
    local pipe = io.popen("head -c 2000000 /dev/zero | curl -s -H 'Expect: 100-continue' "
      .. "--data-binary @- " .. server:url("/length"))
    assert.equal("2000000", pipe:read("*a"))
    pipe:close()
  end)
end)

describe("forms", function()
  local function form(body, content_type)
    return http.json(server:request(wire.post("/form", body, "Content-Type: " .. content_type)))
  end

  it("are read when urlencoded", function()
    local got = form("name=Ada+L&city=K%C3%B6ln&empty=", "application/x-www-form-urlencoded")
    assert.same({ name = "Ada L", city = "Köln", empty = "" }, got)
  end)

  it("are read when multipart", function()
    local body = table.concat({
      "--sep", "Content-Disposition: form-data; name=\"name\"", "", "Ada",
      "--sep", "Content-Disposition: form-data; name=\"file\"; filename=\"a.txt\"",
      "Content-Type: text/plain", "", "line\r\n--se", "--sep--", "",
    }, "\r\n")
    local got = form(body, "multipart/form-data; boundary=sep")
    assert.equal("Ada", got.name)
    assert.equal("a.txt", got.file.filename)
    assert.equal("text/plain", got.file.content_type)
    assert.equal("line\r\n--se", got.file.body)
  end)

  it("that are malformed are answered 400", function()
    for content_type, body in pairs({
      ["multipart/form-data; boundary=sep"] = "--sep\r\nno end",
      ["multipart/form-data"] = "--sep--\r\n",
    }) do
      local bytes = wire.post("/form", body, "Content-Type: " .. content_type)
      assert.equal(400, http.assert_kept(server, bytes, 400, "POST").status)
    end
  end)

  it("of another type are answered 415", function()
    http.assert_kept(server, wire.post("/form", "a", "Content-Type: text/plain"), 415, "POST")
  end)
end)

describe("JSON bodies", function()
  it("are decoded", function()
    local res = server:request(wire.post("/json", '{"list":[1,2.5,"x"],"empty":[]}',
      "Content-Type: application/json"))
    assert.equal('"empty":[]', res.body:match('"empty":%[%]'))
    assert.same({ 1, 2.5, "x" }, http.json(res).got.list)
  end)

  for _, body in ipairs({ "", "{", "{\"a\":}", "nonsense", "[1,]", "\"\255\"", "{} {}" }) do
    it("answer 400 to " .. http.shown(body), function()
      local bytes = wire.post("/json", body, "Content-Type: application/json")
      http.problem(http.assert_kept(server, bytes, 400, "POST"))
    end)
  end
end)
