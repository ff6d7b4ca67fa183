--- What the wall refuses is the app's to answer wherever the request is known: its middleware gives
--- the fields that browsers and operators need, app:on_error its form, groups theirs.
local test = require("moongate.test")
local moongate = require("moongate")

local ORIGIN = "https://shop.example"

local function declare(app)
  app:use(moongate.middleware.request_id())
  app:use(moongate.middleware.cors({ origins = { ORIGIN } }))
  app:on_error(function(_, err)
    return err.status, { mine = err.message }
  end)
  local function routes(to)
    to:post("/body", function(ctx)
      return ctx:body():await()
    end)
    to:post("/unread", function()
      error("its handler is not to run")
    end)
  end
  routes(app)
  app:group("/group", {
    function(ctx, next)
      ctx:header("X-Group", "yes")
      return next()
    end,
  }, routes)
end

local function ask(app, method, path, options)
  options = options or {}
  options.headers = options.headers or {}
  options.headers.Origin = ORIGIN
  return app:request(method, path, options)
end

local function too_slow(app, path)
  local flight = app:start("POST", path .. "/body", {
    length = 10, body = "half", headers = { Origin = ORIGIN },
  })
  app.clock:advance(5)
  return flight:response()
end

local function many_fields()
  local headers = {}
  for i = 1, 30 do
    headers["X-" .. i] = "1"
  end
  return headers
end

-- What is asked below a prefix, and what is answered.
local ANSWERS = {
  { 404, "nothing is served here", function(app, prefix)
    return ask(app, "GET", prefix .. "/none")
  end },
  { 405, "the method is not served here", function(app, prefix)
    return ask(app, "GET", prefix .. "/body")
  end },
  { 501, "the method is not known here", function(app, prefix)
    return ask(app, "BREW", prefix .. "/body")
  end },
  { 408, "the request's body came too slowly", too_slow },
  { 413, "the request's body is too large", function(app, prefix)
    return ask(app, "POST", prefix .. "/body", { body = ("x"):rep(21) })
  end },
  { 413, "the request's body is too large", function(app, prefix)
    return ask(app, "POST", prefix .. "/unread", { body = ("x"):rep(21) })
  end },
  { 431, "too many header fields", function(app, prefix)
    return ask(app, "POST", prefix .. "/unread", { headers = many_fields(), body = "x" })
  end, origin_may_be_lost = true },
}

describe("what the wall refuses", function()
  local app

  before_each(function()
    app = test.app(declare, {
      limits = { body = 20, request_line = 512, header_bytes = 2048, header_fields = 20 },
      timeouts = { body_grace = 3 },
    })
  end)

  after_each(function()
    app:assert_no_leaks()
  end)

  for _, prefix in ipairs({ "", "/group" }) do
    local where = prefix == "" and "" or " in a group"

    for _, answer in ipairs(ANSWERS) do
      local status, message, from = unpack(answer)
      it(("passes through the app: %d%s: %s"):format(status, where, message), function()
        local res = from(app, prefix)
        assert.equal(status, res.status)
        assert.same({ mine = message }, res:json())
        assert.truthy(res.headers["x-request-id"])
        assert.equal(prefix ~= "" and "yes" or nil, res.headers["x-group"])
        if not answer.origin_may_be_lost then
          assert.equal(ORIGIN, res.headers["access-control-allow-origin"])
        end
      end)
    end

    -- What is told by bytes that HTTP/2 does not have, or in an order that matters.
    if not test._http2 then
      local function raw(head, body)
        return app:raw(head:format(prefix) .. "Host: a\r\nOrigin: " .. ORIGIN .. "\r\n" .. body)
          :response()
      end

      local CHUNKED = "Transfer-Encoding: chunked\r\n\r\n"

      for name, case in pairs({
        ["a chunk that is none"] = { 400, CHUNKED .. "zz\r\n" },
        ["chunk extensions beyond their limit"] = {
          400, CHUNKED .. "1;" .. ("x"):rep(20000) .. "\r\n",
        },
        ["trailers beyond their limit"] = {
          431, CHUNKED .. "0\r\nX: " .. ("x"):rep(20000) .. "\r\n\r\n",
        },
        ["an expectation that nobody knows"] = {
          417, "Expect: tea\r\nContent-Length: 1\r\n\r\nx",
        },
        ["fields beyond their limit"] = { 431, "X: " .. ("x"):rep(3000) .. "\r\n\r\n" },
      }) do
        it("passes through the app: " .. name .. where, function()
          local res = raw("POST %s/body HTTP/1.1\r\n", case[2])
          assert.equal(case[1], res.status)
          assert.truthy(res:json().mine)
          assert.equal(ORIGIN, res.headers["access-control-allow-origin"])
          assert.equal("close", res.headers.connection)
          assert.equal(prefix ~= "" and "yes" or nil, res.headers["x-group"])
        end)
      end
    end
  end

  it("is answered by C where there is no request to know", function()
    local long = ask(app, "GET", "/" .. ("x"):rep(1000))
    assert.equal(414, long.status)
    assert.equal("the request line is too long", long:json().detail)
    assert.is_nil(long.headers["x-request-id"])
    if not test._http2 then -- the kit sends none of these over HTTP/2
      assert.equal(400, ask(app, "GET", "/a%zz").status)
    end
  end)

  it("lets nothing through that stands behind a head that is refused", function()
    if not test._http2 then
      local flight = app:raw("POST /body HTTP/1.1\r\nHost: a\r\nX: " .. ("x"):rep(3000)
        .. "\r\nContent-Length: 2\r\n\r\nhiPOST /body HTTP/1.1\r\nHost: a\r\n"
        .. "Content-Length: 2\r\n\r\nho")
      local bytes, closed = flight:read()
      assert.is_true(closed)
      assert.equal(1, select(2, bytes:gsub("HTTP/1.1 ", "")))
      assert.truthy(bytes:find("^HTTP/1.1 431 "))
    end
  end)
end)
