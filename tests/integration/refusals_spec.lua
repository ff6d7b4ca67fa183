--- Every row of the table of refused inputs (support/refused.lua): one error response, then the end
--- of the connection.
local servers = require("support.server")
local wire = require("support.wire")
local http = require("support.http")
local refused = require("support.refused")

local LINE, CHUNKED_BODY = refused.LINE, refused.CHUNKED_BODY
local head, with_line, with_target = refused.head, refused.with_line, refused.with_target
local with_field, with_body, chunked = refused.with_field, refused.with_body, refused.chunked

describe("a refused request", function()
  local server

  setup(function()
    server = servers.start()
  end)
  teardown(function()
    server:stop()
  end)

  for _, r in ipairs(refused.rows) do
    describe("for " .. r.about, function()
      for i, input in ipairs(r.inputs) do
        local bytes = r.make(input)
        it(("is answered once, then closed: %d: %s"):format(i, http.shown(bytes, 90)), function()
          http.assert_refused(server, bytes, r.status)
          http.assert_refused(server, bytes, r.status, "byte by byte")
        end)
      end
    end)
  end

  it("is refused wherever its bytes are split", function()
    local bytes = with_body(CHUNKED_BODY, "Content-Length: 15", "Transfer-Encoding: chunked")
    for at = 1, #bytes - 1 do
      local conn = server:connect()
      conn:send_split(bytes .. http.SECOND, at)
      assert.equal(400, conn:read().status)
      assert.is_true(conn:is_closed())
      conn:close()
    end
  end)

  it("is refused behind a good one on the same connection", function()
    for _, bytes in ipairs({ with_target("/a#b"), with_field("X : 1"), chunked("g\r\n") }) do
      local conn = server:connect()
      conn:send(wire.get("/text") .. bytes .. http.SECOND)
      assert.equal(200, conn:read().status)
      assert.equal(400, conn:read().status)
      assert.is_true(conn:is_closed())
      conn:close()
    end
  end)

  it("is explained by a problem+json", function()
    local problem = http.problem(http.assert_refused(server, with_field("X : 1"), 400))
    assert.equal(400, problem.status)
    assert.is_string(problem.title)
  end)

  it("is refused even if its body is never read by the handler", function()
    local conn = server:connect()
    conn:send(wire.head_of("POST", "/unread", "Transfer-Encoding: chunked") .. "\r\ng\r\n")
    conn:send(http.SECOND)
    assert.truthy(conn:read("POST"))
    assert.is_true(conn:is_closed())
    conn:close()
  end)

  it("never lets the request behind it through", function()
    assert.equal("0", server:get("/marks/smuggled").body)
  end)
end)

describe("what only looks wrong", function()
  local server

  setup(function()
    server = servers.start()
  end)
  teardown(function()
    server:stop()
  end)

  local accepted = {
    with_field("X-Test:no space"), with_field("X-Test:"), with_field("X-Test: \t both \t "),
    with_field("X-Obs: \128\255"), head(LINE, "Host: [::1]:80"), head(LINE, "Host: 127.0.0.1"),
    head(LINE, "Host: moongate.test:"), head(LINE, "hOsT:moongate.test"),
    head(LINE, "Host:\tmoongate.test\t"), head(LINE, "Host: [2001:db8::1.2.3.4]"),
    with_target("/a/../text"), with_target("/./text"), with_target("/text?a=|{}&b=/?:@"),
    with_target("/text?^`\\\"<>{|}%&a=%zz&%"), with_target("http://moongate.test/text?^%4"),
    with_target("/text?"), with_target("/%74ext"), "\r\n" .. with_line(LINE),
    with_field("Expect: 100-Continue"),
  }
  for i, bytes in ipairs(accepted) do
    it(("is served: %d: %s"):format(i, http.shown(bytes, 80)), function()
      assert.equal("hello\n", http.assert_kept(server, bytes, 200).body)
    end)
  end

  it("is a body framed with tabs, extensions and many zeros", function()
    local res = http.assert_kept(server, with_body("hello", "Content-Length:\t5\t"), 200, "POST")
    assert.equal("5", res.body)
    for _, size in ipairs({ ("0"):rep(1000) .. "5", "5;a", "5 ;\ta = b ; c=\"d;\\\"\";e" }) do
      res = http.assert_kept(server, chunked(size .. "\r\nhello\r\n0\r\n\r\n"), 200, "POST")
      assert.equal("5", res.body)
    end
  end)

  it("is a body that looks like a request", function()
    local res = http.assert_kept(server, wire.post("/length", http.SECOND), 200)
    assert.equal(tostring(#http.SECOND), res.body)
    res = http.assert_kept(server, wire.post_chunked("/length", http.SECOND), 200)
    assert.equal(tostring(#http.SECOND), res.body)
    assert.equal("0", server:get("/marks/smuggled").body)
  end)
end)
