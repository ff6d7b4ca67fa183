local test = require("moongate.test")

local app

local function handle(handler)
  app = test.app(function(a)
    a:get("/*path", handler)
  end, { root = "spec/fixture" })
end

local function logged()
  return app.logs[1] and app.logs[1].message or ""
end

after_each(function()
  if app then
    app:assert_no_leaks()
    app = nil
  end
end)

describe("the path of ctx:send_file", function()
  it("is below public/ and cannot leave it, unless a root is given", function()
    handle(function(ctx)
      ctx:send_file(ctx.params.path)
    end)
    assert.equal("hello, file\n", app:get("/public/hello.txt").body)
    assert.equal("deep\n", app:get("/public/deep/index.html").body)
    for _, path in ipairs({
      "public%2F..%2Fstatic.lua", "public/deep%2F..%2F..%2Fstatic.lua", "public%2F%2Fetc%2Fpasswd",
      "public/outside", "public", "public/none",
    }) do
      local res = app:get("/" .. path)
      assert.is_true(res.status == 404 or res.status == 500, path)
      assert.is_nil(res.body:find("moongate", 1, true))
    end
  end)

  it("is refused at the caller's line if it names no place", function()
    handle(function(ctx)
      ctx:send_file(ctx.params.path)
    end)
    for _, path in ipairs({ "static.lua", "publicity/a", "x/public/a", ".env", "..%2Fa" }) do
      app.logs[1] = nil
      assert.equal(500, app:get("/" .. path).status)
      assert.matches("send_file_spec%.lua:%d+: send_file: .* is not below public/ or lua/public/: "
        .. "name the folder that the path cannot leave, as { root = \"reports\" }", logged())
    end
  end)

  it("is below the root that is given", function()
    handle(function(ctx)
      ctx:send_file(ctx.params.path, { root = "." })
    end)
    assert.equal(200, app:get("/static.lua").status)
    assert.equal(404, app:get("/..%2Fmoongate%2Fsend_file_spec.lua").status)
    assert.equal(404, app:get("/%2Fetc%2Fpasswd").status)
    assert.equal(404, app:get("/a%00b").status)
    assert.equal(0, #app.logs)
  end)

  it("may begin with a slash: then it is taken as it is", function()
    handle(function(ctx)
      ctx:send_file("/proc/self/cmdline")
    end)
    assert.equal(200, app:get("/x").status)
  end)
end)

describe("the options of ctx:send_file", function()
  it("are checked at the caller's line", function()
    for _, options in ipairs({
      { rot = "x" }, { root = 7 }, { root = "" }, { cache = -1 }, { cache = "1" }, { type = 7 },
      { download = true }, { download = "a\nb" }, { download = "a\0b" }, { type = "a\r\nb" },
    }) do
      handle(function(ctx)
        ctx:send_file("public/hello.txt", options)
      end)
      assert.equal(500, app:get("/x").status)
      assert.matches("send_file_spec%.lua:%d+: ", logged())
    end
  end)

  it("are said about the file alone, as are fields of that kind", function()
    local function with_options(ctx)
      ctx:header("X-Own", "1")
      ctx:send_file(ctx.params.path, { root = "public", cache = 60, download = "a.txt" })
    end
    local function with_fields(ctx)
      ctx:send_file(ctx.params.path, { root = "public" })
      ctx:header("X-Own", "1"):header("Cache-Control", "public, max-age=60")
      ctx:header("Content-Disposition", 'attachment; filename="a.txt"')
    end
    for _, handler in ipairs({ with_options, with_fields }) do
      handle(handler)
      local res = app:get("/hello.txt")
      assert.equal("public, max-age=60", res.headers["cache-control"])
      assert.equal('attachment; filename="a.txt"', res.headers["content-disposition"])
      for path, headers in pairs({
        ["/none.txt"] = {}, ["/hello.txt"] = { Range = "bytes=99-" },
        ["/deep/index.html"] = { ["If-Match"] = '"other"' },
      }) do
        res = app:get(path, { headers = headers })
        assert.is_true(res.status >= 400)
        assert.is_nil(res.headers["cache-control"])
        assert.is_nil(res.headers["content-disposition"])
        assert.equal("1", res.headers["x-own"])
      end
    end
  end)

  it("leave no-store alone", function()
    handle(function(ctx)
      ctx:header("Cache-Control", "no-store")
      ctx:send_file(ctx.params.path, { root = "public" })
    end)
    assert.equal("no-store", app:get("/hello.txt").headers["cache-control"])
    assert.equal("no-store", app:get("/none.txt").headers["cache-control"])
  end)
end)

describe("ctx:redirect", function()
  local function location(url)
    handle(function(ctx)
      ctx:redirect(url)
    end)
    return app:get("/x").headers.location
  end

  it("encodes what a URL cannot hold", function()
    for url, wanted in pairs({
      ["/café x"] = "/caf%C3%A9%20x",
      ["/a%20b%C3%A9"] = "/a%20b%C3%A9",
      ["/100%"] = "/100%25",
      ["/%zz%4"] = "/%25zz%254",
      ["/%%41"] = "/%25%41",
      ["https://a.example:8080/p;q=1?x=[1]&y={2}#f|g"] =
        "https://a.example:8080/p;q=1?x=[1]&y=%7B2%7D#f%7Cg",
      ["/a\\b\"<>^`'()*+,!$@~"] = "/a%5Cb%22%3C%3E%5E%60'()*+,!$@~",
      ["/\\evil.example"] = "/%5Cevil.example",
      ["/a\tb"] = "/a%09b",
      [""] = "",
    }) do
      assert.equal(wanted, location(url))
    end
  end)

  it("does as ctx:header does", function()
    handle(function(ctx)
      ctx:header("Location", "/é 1"):header("content-location", "/é 2")
      return 201, ""
    end)
    local res = app:get("/x")
    assert.equal("/%C3%A9%201", res.headers.location)
    assert.equal("/%C3%A9%202", res.headers["content-location"])
  end)

  it("refuses line ends at the caller's line", function()
    for _, url in ipairs({ "/a\r\nX: 1", "/a\n", "/a\0" }) do
      assert.is_nil(location(url))
      assert.matches("send_file_spec%.lua:%d+: header Location", logged())
    end
  end)
end)
