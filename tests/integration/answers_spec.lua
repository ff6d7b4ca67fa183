--- The form of answers.
local servers = require("support.server")
local wire = require("support.wire")
local http = require("support.http")
local response = require("support.response")

local server

setup(function()
  server = servers.start()
end)
teardown(function()
  server:stop()
end)

local DAYS = { Mon = true, Tue = true, Wed = true, Thu = true, Fri = true, Sat = true, Sun = true }

describe("an answer", function()
  it("has a well-formed Date", function()
    for _, target in ipairs({ "/text", "/nowhere", "/error", "/stream/1", "/returned/204" }) do
      local day, rest = server:get(target).headers.date:match("^(%a%a%a), (.+)$")
      assert.is_true(DAYS[day])
      assert.truthy(rest:match("^%d%d %u%l%l %d%d%d%d %d%d:%d%d:%d%d GMT$"))
    end
  end)

  it("has a type and a length for each way to give it", function()
    for target, wanted in pairs({
      ["/text"] = { 200, "text/plain", "hello\n" },
      ["/html"] = { 200, "text/html", "<p>hello</p>" },
      ["/bytes"] = { 200, "application/octet-stream", "\0\1\2\255" },
      ["/json"] = { 202, "application/json", '{"name":"moon"}' },
      ["/returned/text"] = { 200, "text/plain", "just text" },
      ["/returned/table"] = { 200, "application/json", '{"list":[]}' },
      ["/returned/status"] = { 202, "application/json", '{"started":true}' },
      ["/parallel"] = { 200, "text/plain", "joined\n" },
      ["/read_file"] = { 200, "text/plain", "0123456789abcdefghijklmnopqrstuvwxyz" },
    }) do
      local res = server:get(target)
      assert.equal(wanted[1], res.status)
      assert.equal(wanted[2], res.headers["content-type"]:match("^[^;]+"))
      assert.equal(wanted[3], res.body)
      assert.equal(tostring(#wanted[3]), res.headers["content-length"])
    end
  end)

  it("that is empty has a length of 0", function()
    assert.equal("0", server:get("/empty").headers["content-length"])
  end)

  it("with 204 or 304 has no body and no length", function()
    for _, status in ipairs({ 204, 304 }) do
      local res = http.assert_kept(server, wire.get("/returned/" .. status), status)
      assert.is_nil(res.headers["transfer-encoding"])
    end
  end)

  it("of 5 MiB arrives whole", function()
    assert.equal(5 * 1048576, #server:get("/big/5120").body)
  end)

  it("is staged: fields may come before the body, names keep their case", function()
    local res = server:get("/staged")
    assert.equal(201, res.status)
    assert.equal("1", res.headers["x-first"])
    assert.equal("staged\n", res.body)
    local names = {}
    for _, field in ipairs(res.fields) do
      names[field.name] = true
    end
    assert.is_true(names["X-First"])
  end)

  it("redirects", function()
    local res = server:get("/redirect")
    assert.equal(302, res.status)
    assert.equal("/text", res.headers.location)
    assert.equal(308, server:get("/redirect/308").status)
  end)

  it("sets cookies in fields of their own", function()
    local cookies = {}
    for _, field in ipairs(server:get("/cookies").fields) do
      if field.name:lower() == "set-cookie" then
        cookies[#cookies + 1] = field.value
      end
    end
    assert.equal(2, #cookies)
    assert.truthy(cookies[1]:match("^session=abc; "))
    assert.truthy(cookies[1]:find("HttpOnly", 1, true))
    assert.truthy(cookies[1]:find("SameSite=Lax", 1, true))
    assert.truthy(cookies[2]:match("^theme=dark; .*Max%-Age=60"))
  end)
end)

describe("HEAD", function()
  local function names_without_date(res)
    local names = response.names(res)
    table.sort(names)
    return names
  end

  for _, target in ipairs({
    "/text", "/json", "/empty", "/staged", "/nowhere", "/fail/404", "/file/digits.txt", "/cookies",
    "/stream/3", "/redirect", "/big/100",
  }) do
    it("has the fields of GET and no body: " .. target, function()
      local conn = server:connect()
      local got = conn:request(wire.get(target))
      local head = conn:request(wire.head_of("HEAD", target) .. "\r\n", "HEAD")
      assert.equal(got.status, head.status)
      assert.same(names_without_date(got), names_without_date(head))
      -- Problems carry a request id, whose length does not vary.
      assert.equal(got.headers["content-length"], head.headers["content-length"])
      assert.equal("hello\n", conn:request(wire.get("/text")).body)
      conn:close()
    end)
  end

  it("works pipelined among others", function()
    local conn = server:connect()
    conn:send((wire.head_of("HEAD", "/big/10") .. "\r\n" .. wire.get("/text")):rep(10))
    for _ = 1, 10 do
      assert.equal("10240", conn:read("HEAD").headers["content-length"])
      assert.equal("hello\n", conn:read("GET").body)
    end
    conn:close()
  end)
end)

describe("a streamed answer", function()
  it("is chunked", function()
    local res = http.assert_kept(server, wire.get("/stream/3"), 200)
    assert.equal("chunked", res.headers["transfer-encoding"])
    assert.equal("line 1\nline 2\nline 3\n", res.body)
  end)

  it("may be empty", function()
    assert.equal("", http.assert_kept(server, wire.get("/stream/0"), 200).body)
  end)

  it("reaches the client as it is written", function()
    local conn = server:connect()
    conn:send(wire.get("/stream_in_two/live"))
    repeat
      local line = conn:take_line()
    until line == ""
    assert.equal("6", conn:take_line())
    assert.equal("first\n\r\n", conn:take(8))
    server:wait_for_body("/pending/live", "yes")
    server:get("/release/live")
    assert.equal("7", conn:take_line())
    assert.equal("second\n\r\n", conn:take(9))
    assert.equal("0\r\n\r\n", conn:take(5))
    conn:close()
  end)

  it("of many lines arrives whole", function()
    local body = server:get("/stream/20000").body
    assert.equal("line 20000\n", body:sub(-11))
    local _, lines = body:gsub("\n", "")
    assert.equal(20000, lines)
  end)

  it("that fails in the middle is broken off, not ended", function()
    local conn = server:connect()
    conn:send(wire.get("/error/stream"))
    local ok, err = pcall(conn.read, conn)
    assert.is_false(ok)
    assert.truthy(tostring(err):find("closed", 1, true))
    conn:close()
    server:wait_for_log("raised while streaming")
  end)
end)

describe("an answer to HTTP/1.0", function()
  local function request_10(target, ...)
    return table.concat({ "GET " .. target .. " HTTP/1.0", ... }, "\r\n") .. "\r\n\r\n"
  end

  it("has a length and closes", function()
    local res = server:request(request_10("/text"))
    assert.equal("6", res.headers["content-length"])
    assert.equal("close", res.headers.connection)
  end)

  it("is never chunked", function()
    local res = server:request(request_10("/stream/3"))
    assert.is_nil(res.headers["transfer-encoding"])
    assert.is_true(res.until_close)
    assert.equal("line 1\nline 2\nline 3\n", res.body)
  end)

  it("that is streamed closes although keep-alive was asked for", function()
    local res = server:request(request_10("/stream/3", "Connection: keep-alive"))
    assert.is_true(res.until_close)
    assert.not_equal("keep-alive", (res.headers.connection or ""):lower())
  end)
end)

describe("the onion", function()
  it("runs before and after, and middleware may add fields behind next()", function()
    local res = server:get("/onion/plain")
    assert.equal("core\n", res.body)
    assert.equal("a>b>core<b<a", res.headers["x-trace"])
  end)

  it("holds for routes what was declared before them", function()
    assert.equal("a>b>c>core<c<b<a", server:get("/onion/deeper").headers["x-trace"])
  end)

  it("lets a middleware's return replace the answer", function()
    local res = server:get("/onion/replace/it")
    assert.equal(202, res.status)
    assert.equal("replaced", res.body)
  end)

  it("lets a middleware answer alone", function()
    local res = server:get("/onion/stop/it")
    assert.equal("stopped early\n", res.body)
    assert.equal("a>b>c><c<b<a", res.headers["x-trace"])
  end)

  it("refuses a second next()", function()
    assert.equal(500, server:get("/onion/twice/it").status)
    server:wait_for_log("next")
  end)
end)
