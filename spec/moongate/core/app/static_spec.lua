local moongate = require("moongate")
local test = require("moongate.test")
local helpers = dofile("spec/fixture/helpers.lua")
local refused = helpers.refused

local app
before_each(function()
  app = test.app("spec/fixture/static.lua")
end)
after_each(function()
  app:assert_no_leaks()
end)

describe("app:static", function()
  it("serves a file with its media type", function()
    local res = app:get("/public/hello.txt")
    assert.equal(200, res.status)
    assert.equal("hello, file\n", res.body)
    assert.matches("^text/plain", res.headers["content-type"])
  end)

  it("answers HEAD with the length and no body", function()
    local res = app:head("/public/hello.txt")
    assert.equal(200, res.status)
    assert.equal("12", res.headers["content-length"])
    assert.equal("", res.body)
  end)

  it("serves a part", function()
    local res = app:get("/public/hello.txt", { headers = { Range = "bytes=0-4" } })
    assert.equal(206, res.status)
    assert.equal("hello", res.body)
  end)

  it("answers 304 to who has it already", function()
    local tag = app:get("/public/hello.txt").headers.etag
    assert.is_string(tag)
    local res = app:get("/public/hello.txt", { headers = { ["If-None-Match"] = tag } })
    assert.equal(304, res.status)
  end)

  it("serves a folder's index", function()
    assert.equal("index\n", app:get("/public/").body)
    assert.equal("page\n", app:get("/cached/").body)
    assert.equal(404, app:get("/public/sub/").status)
  end)

  it("sends a folder without its slash there", function()
    local res = app:get("/public")
    assert.equal(301, res.status)
    assert.equal("/public/", res.headers.location)
  end)

  it("keeps the query of who is sent there", function()
    assert.equal("/public/?x=1&y=%5E", app:get("/public?x=1&y=%5E").headers.location)
    assert.equal("/public/deep/?x=1", app:get("/public/deep?x=1").headers.location)
  end)

  it("sends a folder that has an index to its slash", function()
    local res = app:get("/public/deep")
    assert.equal(301, res.status)
    assert.equal("/public/deep/", res.headers.location)
    assert.equal("", res.body)
    assert.is_nil(res.headers["cache-control"])
    assert.equal("deep\n", app:get("/public/deep/").body)
    assert.equal(404, app:get("/rooted/none").status)
    assert.equal("/rooted/de%65p/", app:get("/rooted/de%65p").headers.location)
    assert.equal(301, app:head("/rooted/deep").status)
    assert.equal(404, app:get("//deep").status)
    assert.equal(404, app:get("/public/sub").status) -- it has none
  end)

  it("answers 404 for what is not there, and for folders", function()
    for _, path in ipairs({ "none.txt", "sub", "hello.txt/", "/hello.txt" }) do
      path = "/public/" .. path
      assert.equal(404, app:get(path).status, path)
    end
  end)

  it("hides names that begin with a dot, but for .well-known", function()
    assert.equal(404, app:get("/public/.hidden").status)
    assert.equal("contact\n", app:get("/public/.well-known/security.txt").body)
    assert.equal("hidden\n", app:get("/all/.hidden").body)
  end)

  it("never leaves its folder", function()
    local ways = {
      "/public/..%2Fstatic.lua", "/public/%2e%2e%2fstatic.lua", "/all/..%2Fstatic.lua",
      "/public/sub%2F..%2F..%2Fstatic.lua", "/all/sub%2F..%2F..%2Fstatic.lua",
      "/all/%2Fetc%2Fpasswd",
      "/public/..%5Cstatic.lua", "/public/hello.txt%00", "/public/outside", "/all/outside",
    }
    for _, path in ipairs(ways) do
      assert.equal(404, app:get(path).status, path)
    end
  end)

  it("tells how long a file may be kept", function()
    assert.equal("public, max-age=3600", app:get("/cached/page.html").headers["cache-control"])
    assert.is_nil(app:get("/public/hello.txt").headers["cache-control"])
  end)

  it("does not tell so of a file that is not there", function()
    assert.is_nil(app:get("/cached/none.html").headers["cache-control"])
  end)

  it("does not tell so of a range that is not there, nor of a failed condition", function()
    for name, value in pairs({ Range = "bytes=99-", ["If-Match"] = '"other"' }) do
      local res = app:get("/cached/page.html", { headers = { [name] = value } })
      assert.is_true(res.status == 416 or res.status == 412)
      assert.is_nil(res.headers["cache-control"])
    end
    local tag = app:get("/cached/page.html").headers.etag
    local res = app:get("/cached/page.html", { headers = { ["If-None-Match"] = tag } })
    assert.equal(304, res.status)
    assert.equal("public, max-age=3600", res.headers["cache-control"])
  end)

  it("takes GET and HEAD alone", function()
    assert.equal(405, app:post("/public/hello.txt").status)
  end)

  describe("without middleware", function()
    local answer = require("moongate.core.request.answer")
    local send_static, calls = answer.send_static, 0

    before_each(function()
      calls = 0
      answer.send_static = function(...)
        calls = calls + 1
        return send_static(...)
      end
    end)
    after_each(function()
      answer.send_static = send_static
    end)

    it("enters no script for a file that is there", function()
      assert.equal("hello, file\n", app:get("/public/hello.txt").body)
      assert.equal("index\n", app:get("/public/").body)
      assert.equal(0, calls)
    end)

    it("leaves to the scripts what is not there", function()
      assert.equal(404, app:get("/public/none.txt").status)
      assert.equal(1, calls)
    end)

    it("is not what a folder with middleware is", function()
      local res = app:get("/tagged/hello.txt")
      assert.equal("hello, file\n", res.body)
      assert.equal("yes", res.headers["x-tagged"])
      assert.equal(1, calls)
    end)
  end)

  it("refuses a folder without a name", function()
    refused(function()
      moongate.app():static("/x", "")
    end, "static: folder: a folder is wanted %(that of the project is \"%.\"%)")
  end)

  it("refuses unknown options", function()
    refused(function()
      moongate.app():static("/x", "public", { cahce = 3 })
    end, "static: \"cahce\" is unknown.*did you mean 'cache'")
  end)
end)
