local redirect = require("moongate.core.http.redirect")
local response = require("moongate.core.http.response")

local function moved(status, location)
  return response.made({ status = status, headers = { Location = location } })
end

local function request(fields)
  local all = { method = "GET", url = "https://a.example/x/y", redirects = 5, options = {} }
  for key, value in pairs(fields or {}) do
    all[key] = value
  end
  return all
end

describe("a redirect", function()
  it("is an answer of some statuses that says where to", function()
    for status, wanted in pairs({
      [200] = false, [300] = false, [301] = true, [302] = true, [303] = true, [304] = false,
      [307] = true, [308] = true,
    }) do
      assert.equal(wanted, redirect.is(moved(status, "/")), status)
    end
    assert.is_false(redirect.is(response.made({ status = 302 })))
  end)

  it("resolves its target, and counts", function()
    local following = redirect.follow(request(), moved(302, "../z?q=1"))
    assert.equal("https://a.example/z?q=1", following.url)
    assert.equal(4, following.redirects)
    assert.equal(1, following.followed)
    assert.equal(2, redirect.follow(following, moved(302, "/")).followed)
  end)

  it("makes a GET of what RFC 9110 says, without what describes a content", function()
    local function follow(method, status)
      local following = redirect.follow(request({
        method = method, body = "b", headers = { ["Content-Type"] = "text/plain", Accept = "a" },
      }), moved(status, "/"))
      return following.method .. " " .. tostring(following.body), following.headers
    end
    local said, headers = follow("POST", 302)
    assert.equal("GET nil", said)
    assert.same({ Accept = "a" }, headers)
    assert.equal("GET nil", (follow("PUT", 303)))
    assert.equal("HEAD b", (follow("HEAD", 303)))
    assert.equal("PUT b", (follow("PUT", 301)))
    assert.equal("POST b", (follow("POST", 307)))
    assert.equal("POST b", (follow("POST", 308)))
  end)

  it("keeps from another server what was meant for the first", function()
    local given = {
      headers = { Authorization = "secret", Host = "a", ["X-Session"] = "s", Accept = "a" },
      options = { ca = "/ca.pem", insecure = true, timeout = 3 },
    }
    local same = redirect.follow(request(given), moved(302, "https://a.example/z"))
    assert.equal("secret", same.headers.Authorization)
    assert.equal("/ca.pem", same.options.ca)
    local other = redirect.follow(request(given), moved(302, "https://b.example/z"))
    assert.same({ ["X-Session"] = "s", Accept = "a" }, other.headers)
    assert.same({ timeout = 3 }, other.options)
    given.credentials = { ["x-session"] = true, authorization = true }
    other = redirect.follow(request(given), moved(302, "https://b.example/z"))
    assert.same({ Accept = "a" }, other.headers)
  end)

  it("from https to http is refused if that would show anything", function()
    local plain = moved(302, "http://a.example/")
    assert.equal("http://a.example/", redirect.follow(request(), plain).url)
    local _, why = redirect.follow(request({ headers = { Cookie = "a=1" } }), plain)
    assert.matches('anybody could read the field "Cookie"', why)
    _, why = redirect.follow(request({ method = "PUT", body = "b" }), plain)
    assert.matches("anybody could read the request's body", why)
  end)

  it("is refused if it leads to no place, or to several", function()
    local _, why = redirect.follow(request(), moved(302, "http://[::1"))
    assert.matches("^redirected to http://%[::1: ", why)
    local several = moved(302, "/")
    several._ambiguous = true
    _, why = redirect.follow(request(), several)
    assert.equal("redirected to several places at once", why)
  end)

  it("is refused for a body that was streamed, which is gone", function()
    local streamed = request({ method = "PUT", write = function() end })
    local _, why = redirect.follow(streamed, moved(307, "/"))
    assert.matches("a body that was streamed cannot be sent again", why)
    assert.is_truthy(redirect.follow(request({ method = "PUT", write = "file" }), moved(307, "/")))
  end)
end)
