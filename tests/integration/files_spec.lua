--- send_file and static folders.
local servers = require("support.server")
local process = require("support.process")
local wire = require("support.wire")

local DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
local server

local function public(name)
  return server.folder .. "/public/" .. name
end

setup(function()
  server = servers.start()
  process.write_file(public("empty.txt"), "")
  assert(os.execute(("head -c 20971520 /dev/urandom > '%s'"):format(public("big.bin"))) == 0)
  assert(os.execute(("ln -s /etc/passwd '%s'"):format(public("out.txt"))) == 0)
  assert(os.execute(("ln -s /etc '%s'"):format(public("out"))) == 0)
  assert(os.execute(("ln -s digits.txt '%s'"):format(public("inside.txt"))) == 0)
end)
teardown(function()
  server:stop()
end)

local function digits(...)
  return server:get("/file/digits.txt", ...)
end

describe("ctx:send_file", function()
  it("answers with type, length, validators and Accept-Ranges", function()
    local res = digits()
    assert.equal(200, res.status)
    assert.equal(DIGITS, res.body)
    assert.equal("text/plain", res.headers["content-type"]:match("^[^;]+"))
    assert.equal("36", res.headers["content-length"])
    assert.truthy(res.headers.etag:match('^W?/?"[^"]+"$'))
    assert.truthy(res.headers["last-modified"]:match("GMT$"))
    assert.equal("bytes", res.headers["accept-ranges"])
  end)

  it("sends an empty file", function()
    assert.equal("", server:get("/file/empty.txt").body)
  end)

  it("answers 404 when there is no such file", function()
    assert.equal(404, server:get("/file/none.txt").status)
    assert.equal(404, server:get("/file/folder").status)
  end)

  it("refuses to leave the project", function()
    for _, name in ipairs({
      "..%2F..%2F..%2F..%2Fetc%2Fpasswd", "%2Fetc%2Fpasswd", "..%2Fpublic%2F..%2F..%2Fx",
    }) do
      local res = server:get("/file/" .. name)
      assert.truthy(res.status >= 400)
      assert.is_nil(res.body:find("root:", 1, true))
    end
  end)

  local ranges = {
    ["bytes=0-9"] = { "0123456789", "bytes 0-9/36" },
    ["bytes=10-"] = { "abcdefghijklmnopqrstuvwxyz", "bytes 10-35/36" },
    ["bytes=-3"] = { "xyz", "bytes 33-35/36" },
    ["bytes=-100"] = { DIGITS, "bytes 0-35/36" },
    ["bytes=35-99"] = { "z", "bytes 35-35/36" },
    ["BYTES=0-0"] = { "0", "bytes 0-0/36" },
  }
  for range, wanted in pairs(ranges) do
    it("answers 206 to " .. range, function()
      local res = digits("Range: " .. range)
      assert.equal(206, res.status)
      assert.equal(wanted[1], res.body)
      assert.equal(wanted[2], res.headers["content-range"])
    end)
  end

  it("answers 416 to a range beyond the end", function()
    for _, range in ipairs({ "bytes=36-", "bytes=99-100", "bytes=-0" }) do
      local res = digits("Range: " .. range)
      assert.equal(416, res.status)
      assert.equal("bytes */36", res.headers["content-range"])
    end
  end)

  it("ignores a range that is malformed or of another unit", function()
    for _, range in ipairs({ "bytes=5-3", "bytes=a-b", "lines=0-1", "bytes", "bytes=" }) do
      assert.equal(DIGITS, digits("Range: " .. range).body)
    end
  end)

  it("answers several ranges as multipart/byteranges, or whole", function()
    local res = digits("Range: bytes=0-1,34-35")
    if res.status == 200 then
      return assert.equal(DIGITS, res.body)
    end
    assert.equal(206, res.status)
    local pattern = "^multipart/byteranges; *boundary=\"?([^\";]+)"
    local boundary = res.headers["content-type"]:match(pattern)
    assert.truthy(boundary)
    assert.is_nil(res.headers["content-range"])
    for _, part in ipairs({ "bytes 0-1/36\r\n\r\n01\r\n", "bytes 34-35/36\r\n\r\nyz\r\n" }) do
      assert.truthy(res.body:find(part, 1, true))
    end
    assert.truthy(res.body:find("--" .. boundary .. "--", 1, true))
  end)

  it("answers 304 to a matching If-None-Match", function()
    local etag = digits().headers.etag
    for _, value in ipairs({ etag, "*", "\"other\", " .. etag, "W/" .. etag:gsub("^W/", "") }) do
      local res = digits("If-None-Match: " .. value)
      assert.equal(304, res.status)
      assert.equal(etag, res.headers.etag)
    end
    assert.equal(200, digits("If-None-Match: \"other\"").status)
  end)

  it("answers 304 to If-Modified-Since, unless If-None-Match speaks", function()
    local modified = digits().headers["last-modified"]
    assert.equal(304, digits("If-Modified-Since: " .. modified).status)
    assert.equal(200, digits("If-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT").status)
    assert.equal(200, digits("If-Modified-Since: nonsense").status)
    local both = digits("If-None-Match: \"other\"", "If-Modified-Since: " .. modified)
    assert.equal(200, both.status)
  end)

  it("heeds If-Range", function()
    local etag = digits().headers.etag
    if not etag:find("^W/") then
      assert.equal(206, digits("Range: bytes=0-1", "If-Range: " .. etag).status)
    end
    assert.equal(200, digits("Range: bytes=0-1", "If-Range: \"other\"").status)
  end)

  it("answers 412 to a failed If-Match", function()
    assert.equal(412, digits("If-Match: \"other\"").status)
    assert.equal(200, digits("If-Match: *").status)
  end)

  it("sends 20 MiB to a slow reader, byte for byte", function()
    local conn = server:connect({ receive_buffer = 16384 })
    conn:send(wire.get("/file/big.bin"))
    local body = conn:read().body
    assert.is_true(body == process.read_file(public("big.bin")))
    assert.equal("hello\n", conn:request(wire.get("/text")).body)
    conn:close()
  end)

  it("sends a large range of a large file", function()
    local res = server:get("/file/big.bin", "Range: bytes=1000000-9999999")
    local whole = process.read_file(public("big.bin"))
    assert.is_true(res.body == whole:sub(1000001, 10000000))
  end)

  it("does not keep the file open when the reader leaves", function()
    local before = server:footprint().descriptors
    for _ = 1, 10 do
      local conn = server:connect({ receive_buffer = 16384 })
      conn:send(wire.get("/file/big.bin"))
      conn:take(1000)
      conn:reset()
    end
    server:wait_for_descriptors(before)
  end)
end)

describe("a static folder", function()
  it("serves what lies in it", function()
    assert.equal(DIGITS, server:get("/static/digits.txt").body)
    local res = server:get("/static/folder/page.json")
    assert.equal('{"page":1}', res.body)
    assert.equal("application/json", res.headers["content-type"]:match("^[^;]+"))
    res = server:get("/static/page.html")
    assert.equal("text/html", res.headers["content-type"]:match("^[^;]+"))
  end)

  it("serves a link that stays inside", function()
    assert.equal(DIGITS, server:get("/static/inside.txt").body)
  end)

  for _, path in ipairs({
    "none.txt", ".hidden", "folder/.hidden", "folder", "out.txt", "out/passwd",
    "%2e%2e%2flua%2fapp.lua", "..%2flua%2fapp.lua", "folder%2f..%2f..%2flua%2fapp.lua",
    "%2fetc%2fpasswd", "digits.txt%00", "digits.txt/", "%2ehidden", "..%5clua%5capp.lua", "",
    "folder//page.json",
  }) do
    it("has no " .. (path == "" and "index of itself" or path), function()
      local res = server:get("/static/" .. path)
      assert.truthy(res.status == 404 or res.status == 400)
      assert.is_nil(res.body:find("root:", 1, true))
      assert.is_nil(res.body:find("moongate.app", 1, true))
    end)
  end

  it("is not left by dot segments", function()
    assert.equal(404, server:get("/static/../lua/app.lua").status)
    assert.equal(404, server:get("/static/%2e%2e/lua/app.lua").status)
  end)

  it("answers only GET and HEAD", function()
    assert.equal(405, server:request(wire.post("/static/digits.txt", "x")).status)
  end)
end)
