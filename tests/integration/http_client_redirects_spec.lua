--- The HTTP client: redirections, and what goes along with them.
local callers = require("support.caller")
local upstreams = require("support.upstream")

local server, upstream, origin, other

setup(function()
  upstream = upstreams.start()
  server = callers.start(upstream)
  origin = upstream:listen({ kind = "http" })
  other = upstream:listen({ kind = "http" })
end)
teardown(function()
  callers.stop(server, upstream)
end)

local function escaped(text)
  return (text:gsub("[^%w]", function(byte)
    return ("%%%02X"):format(byte:byte())
  end))
end

local function redirect(to, status)
  return origin:url(("/redirect?status=%d&to=%s"):format(status or 302, escaped(to)))
end

local function raw_redirect(location)
  local raw = upstream:listen({ kind = "raw" })
  raw:script("/", "HTTP/1.1 302 Found\r\n" .. location .. "Content-Length: 0\r\n\r\n")
  return raw:url("/")
end

describe("a redirection", function()
  it("is followed, and the answer says from where it came", function()
    local told = server:must_call(redirect(other:url("/echo?a=b")))
    assert.equal(other:url("/echo?a=b"), told.url)
    assert.equal(1, told.redirects)
    assert.truthy(told.body:find('"url":"/echo?a=b"', 1, true))
  end)

  -- RFC 9110 section 15.4 and what browsers do: method -> what the next server sees.
  local BECOMES = {
    [301] = { GET = "GET", HEAD = "HEAD", POST = "GET", PUT = "PUT", DELETE = "DELETE" },
    [302] = { GET = "GET", HEAD = "HEAD", POST = "GET", PUT = "PUT", DELETE = "DELETE" },
    [303] = { GET = "GET", HEAD = "HEAD", POST = "GET", PUT = "GET", DELETE = "GET" },
    [307] = { GET = "GET", HEAD = "HEAD", POST = "POST", PUT = "PUT", DELETE = "DELETE" },
    [308] = { GET = "GET", HEAD = "HEAD", POST = "POST", PUT = "PUT", DELETE = "DELETE" },
  }
  for status, methods in pairs(BECOMES) do
    it("by " .. status .. " keeps the method and the body, or becomes a GET", function()
      for method, becomes in pairs(methods) do
        local has_body = method == "POST" or method == "PUT"
        other:forget()
        local told = server:must_call({ url = redirect(other:url("/echo"), status),
          method = method, json = has_body and { 1 } or nil })
        assert.equal(becomes, other:seen().requests[1].method, method)
        if becomes ~= "HEAD" then
          local got = require("dkjson").decode(told.body)
          local kept = has_body and becomes == method
          assert.equal(kept and "[1]" or "", got.body)
          assert.equal(kept, got.headers["content-type"] ~= nil)
          assert.equal(kept and "3" or nil, got.headers["content-length"])
        end
      end
    end)
  end

  it("may be relative in each way", function()
    local told = server:must_call(redirect("/echo?x"))
    assert.equal(origin:url("/echo?x"), told.url)
    assert.equal(origin:url("/echo"), server:must_call(redirect("echo")).url)
    assert.equal(origin:url("/echo"), server:must_call(redirect("./a/../echo")).url)
    local network_path = other:url("/echo"):gsub("^http:", "")
    assert.equal(other:url("/echo"), server:must_call(redirect(network_path)).url)
    server:must_call(redirect("?status=302&to=" .. escaped("/echo")))
  end)

  it("does not tell the next server the fragment", function()
    local told = server:must_call(redirect("/echo#part"))
    assert.truthy(told.body:find('"url":"/echo"', 1, true))
  end)

  it("goes on using the connection", function()
    local fresh = upstream:listen({ kind = "http" })
    server:must_call(fresh:url("/redirect-many?left=5"))
    assert.equal(1, fresh:seen().connections)
    assert.equal(6, #fresh:seen().requests)
  end)

  it("may lead to TLS and to a Unix socket's peer alike", function()
    local tls = upstream:listen({ kind = "https" })
    assert.equal(tls:url("/echo"), server:must_call(redirect(tls:url("/echo"))).url)
  end)

  it("within a Unix socket stays there", function()
    local path = upstream.folder .. "/redirect.sock"
    upstream:listen({ kind = "http", path = path })
    local told = server:must_call({ url = "http://a/redirect?to=/echo", unix = path })
    assert.equal("http://a/echo", told.url)
  end)

  it("of a file sends it again", function()
    local path = server.folder .. "/again.txt"
    require("support.process").write_file(path, "again")
    local told = server:must_call({ url = redirect(other:url("/echo"), 307), method = "PUT",
      file = path })
    assert.truthy(told.body:find('"body":"again"', 1, true))
  end)

  it("of a body that was written once is not followed with half of it", function()
    other:forget()
    local told = server:call({ url = redirect(other:url("/echo"), 307), method = "POST",
      upload = { texts = { "one", "two" } } })
    if told.ok and told.status == 200 then
      assert.truthy(told.body:find('"body":"onetwo"', 1, true))
    else
      assert.equal(0, #other:seen().requests)
    end
  end)
end)

describe("option redirects", function()
  it("bounds how many are followed, five if it does not say", function()
    local told = server:must_call(origin:url("/redirect-many?left=5"))
    assert.equal(5, told.redirects)
    assert.is_false(server:call(origin:url("/redirect-many?left=6")).ok)
    assert.equal(2, server:must_call({ url = origin:url("/redirect-many?left=2"), redirects = 2 })
      .redirects)
    server:must_fail({ url = origin:url("/redirect-many?left=3"), redirects = 2 }, "limit")
    assert.equal(9, server:must_call({ url = origin:url("/redirect-many?left=9"), redirects = 9 })
      .redirects)
  end)

  it("ends a loop", function()
    origin:forget()
    server:must_fail(origin:url("/redirect-loop"), "limit", "redirect")
    assert.equal(6, #origin:seen().requests)
  end)

  it("of none leaves the redirection to the caller", function()
    for _, none in ipairs({ 0, false }) do
      local told = server:call({ url = redirect("/echo"), redirects = none })
      assert.equal(302, told.status)
      assert.equal("/echo", told.headers.location)
      assert.equal("elsewhere\n", told.body)
      assert.equal(0, told.redirects)
    end
  end)
end)

describe("a 3xx that leads nowhere", function()
  it("is an answer like any other", function()
    assert.equal(302, server:call(raw_redirect("")).status)
    assert.equal(304, server:call(origin:url("/empty?status=304")).status)
    assert.equal(300, server:call(origin:url("/empty?status=300")).status)
  end)

  it("because of its Location fails with code protocol", function()
    for _, location in ipairs({
      "ftp://127.0.0.1/", "file:///etc/passwd", "javascript:alert(1)", "http://", "http://a b/",
      "http://127.0.0.1:99999/", "http://[::1/",
    }) do
      server:must_fail(raw_redirect("Location: " .. location .. "\r\n"), "protocol")
    end
  end)

  it("because there are two of them fails with code protocol", function()
    local to = other:url("/echo")
    other:forget()
    server:must_fail(raw_redirect(("Location: %s\r\nLocation: /b\r\n"):format(to)), "protocol")
    assert.equal(0, #other:seen().requests)
  end)
end)

describe("a Location that people have written", function()
  it("is encoded and followed", function()
    for location, target in pairs({
      ["/echo/a b"] = "/echo/a%20b", ["/echo/caf\xc3\xa9"] = "/echo/caf%C3%A9",
      ["/echo?q=a b\xc3\xa9"] = "/echo?q=a%20b%C3%A9", ["/echo/^"] = "/echo/%5E",
      ["/echo/100%"] = "/echo/100%25",
    }) do
      local raw = upstream:listen({ kind = "raw" })
      raw:script("/", ("HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n")
        :format(location))
      raw:script(target, "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\narrived")
      local told = server:must_call(raw:url("/"))
      assert.equal("arrived", told.body)
      assert.equal(raw:url(target), told.url)
    end
  end)
end)

describe("a redirection to another server", function()
  it("leaves behind what was said about the first one", function()
    local path = upstream.folder .. "/first.sock"
    upstream:listen({ kind = "http", path = path })
    local elsewhere = other:url("/echo")
    local told = server:must_call({ url = "http://a/redirect?to=" .. escaped(elsewhere),
      unix = path })
    assert.equal(elsewhere, told.url)

    local bad = upstream:listen({ kind = "https", cert = "elsewhere" })
    local first = upstream:listen({ kind = "https", cert = "elsewhere" })
    server:must_fail({ url = first:url("/redirect?to=" .. escaped(bad:url("/echo"))),
      insecure = true }, "tls")
    server:must_fail({ url = first:url("/redirect?to=" .. escaped(bad:url("/echo"))),
      server_name = "elsewhere.test" }, "tls")
  end)

  it("in clear does not follow with a body or a field that may be secret", function()
    local tls = upstream:listen({ kind = "https" })
    other:forget()
    local function to_clear(options)
      options.url = tls:url(("/redirect?status=%d&to=%s"):format(options.status or 302,
        escaped(other:url("/echo"))))
      options.status = nil
      return options
    end
    server:must_fail(to_clear({ status = 307, method = "POST", body = "secret" }), "protocol",
      "from https to http, where anybody could read the request's body")
    server:must_fail(to_clear({ headers = { ["X-Session"] = "secret" } }), "protocol",
      "the field \"X%-Session\"")
    server:must_fail(to_clear({ headers = { Authorization = "secret" } }), "protocol")
    server:must_fail(to_clear({ stream = true, headers = { Cookie = "a=b" } }), "protocol")
    assert.equal(0, #other:seen().requests)
    server:must_call(to_clear({ headers = { Accept = "text/plain" } }))
    server:must_call(to_clear({ status = 303, method = "POST", body = "secret" }))
  end)
end)

describe("secrets", function()
  local SECRETS = { Authorization = "Bearer secret", Cookie = "session=secret",
    ["Proxy-Authorization"] = "Basic secret" }

  local function secrets_at(url)
    local got = server:call_for_json({ url = url, headers = SECRETS })
    return got.headers.authorization, got.headers.cookie, got.headers["proxy-authorization"]
  end

  it("go along to the same server", function()
    local authorization, cookie = secrets_at(redirect("/echo"))
    assert.equal("Bearer secret", authorization)
    assert.equal("session=secret", cookie)
  end)

  it("do not go along to another port, host or scheme", function()
    local tls = upstream:listen({ kind = "https" })
    local localhost = ("http://localhost:%d/echo"):format(origin.port)
    for _, to in ipairs({ other:url("/echo"), tls:url("/echo"), localhost }) do
      local authorization, cookie, proxy = secrets_at(redirect(to))
      assert.is_nil(authorization, to)
      assert.is_nil(cookie, to)
      assert.is_nil(proxy, to)
    end
  end)

  it("have further names if the script says so", function()
    local got = server:call_for_json({ url = redirect(other:url("/echo")),
      credentials = { "X-Mine" },
      headers = { ["x-mine"] = "secret", ["X-Api-Key"] = "secret", ["X-Other"] = "known" } })
    assert.is_nil(got.headers["x-mine"])
    assert.is_nil(got.headers["x-api-key"])
    assert.equal("known", got.headers["x-other"])
    got = server:call_for_json({ url = redirect("/echo"), credentials = "X-Mine",
      headers = { ["X-Mine"] = "secret" } })
    assert.equal("secret", got.headers["x-mine"])
  end)

  it("do not come back by a second redirection", function()
    local there_and_back = other:url("/redirect?to=" .. escaped(origin:url("/echo")))
    assert.is_nil(secrets_at(redirect(there_and_back)))
  end)

  it("do not go along in a Host field", function()
    local got = server:call_for_json({ url = redirect(other:url("/echo")),
      headers = { Host = "virtual.test" } })
    assert.equal("127.0.0.1:" .. other.port, got.headers.host)
  end)
end)
