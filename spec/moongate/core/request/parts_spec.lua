local test = require("moongate.test")

local MULTIPART = { ["Content-Type"] = "multipart/form-data; boundary=b" }
local app

local function start(handler, options)
  app = test.app(function(a) a:post("/", handler) end, options)
end

after_each(function()
  if app then
    app:assert_no_leaks()
    app = nil
  end
end)

local function part(disposition, body, more)
  return ("--b\r\nContent-Disposition: form-data; %s\r\n%s\r\n%s\r\n"):format(disposition,
    more or "", body)
end

local function post(...)
  return app:post("/", { body = table.concat({ ... }) .. "--b--\r\n", headers = MULTIPART })
end

describe("ctx:parts", function()
  it("gives parts in order, whole or in pieces, and leaves out what is not read", function()
    start(function(ctx)
      local seen = {}
      for p in ctx:parts() do
        local row = { p.name, p.filename or "none", p.content_type }
        if p.name == "text" then
          row[4] = p:text()
        elseif p.name == "file" then
          local bytes = 0
          for piece in p:chunks() do bytes = bytes + #piece end
          row[4] = bytes
        end
        seen[#seen + 1] = row
      end
      return seen
    end)
    assert.same({
      { "skipped", "none", "text/plain" }, { "text", "none", "text/plain", "hello" },
      { "file", "a.png", "image/png", 300000 }, { "last", "none", "text/plain" },
    }, post(part("name=skipped", "x"), part("name=text", "hello"),
      part("name=file; filename=a.png", ("x"):rep(300000), "Content-Type: image/png\r\n"),
      part("name=last", "")):json())
  end)

  it("takes them as they come: no more is read than is wanted", function()
    local first
    start(function(ctx)
      for p in ctx:parts() do
        first = first or p.name .. " " .. p:text()
      end
      return "done"
    end)
    local flight = app:raw("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
      .. "Content-Type: multipart/form-data; boundary=b\r\n\r\n")
    local function chunk(text) return ("%x\r\n%s\r\n"):format(#text, text) end
    flight:send(chunk(part("name=f", "one")) .. chunk("--b\r\n"))
    app.clock:advance(0.1)
    assert.equal("f one", first)
    flight:send(chunk("Content-Disposition: form-data; name=g\r\n\r\nx\r\n--b--\r\n")
      .. "0\r\n\r\n")
    assert.equal("done", flight:response().body)
  end)

  it("answers what is wrong: 400, 413, 415", function()
    start(function(ctx)
      for p in ctx:parts() do p:text() end
      return "good"
    end, { limits = { form_parts = 2, body = "1M" } })
    local one = part("name=f", "x")
    assert.equal(200, post(one, one).status)
    local res = post(one, one, one)
    assert.equal(413, res.status)
    assert.matches("the form has too many parts", res.body)
    res = post("--b\r\n\r\nx\r\n")
    assert.equal(400, res.status)
    assert.matches("the form is malformed: a part has no Content%-Disposition", res.body)
    assert.equal(400, app:post("/", { body = one, headers = MULTIPART }).status)
    assert.equal(413, post(part("name=f; x=" .. ("y"):rep(9000), "x")).status)
    assert.equal(413, post(part("name=f", ("x"):rep(2 ^ 20))).status)
    assert.equal(415, app:post("/", { body = "a=1" }).status)
    assert.equal(400, app:post("/", { body = "", headers = {
      ["Content-Type"] = "multipart/form-data" } }).status)
  end)

  it("bounds a part's text, and says which part is over", function()
    start(function(ctx)
      local before
      for p in ctx:parts() do
        if before then
          local _, err = pcall(before.text, before)
          return err
        end
        before = p
        p:text(4)
      end
    end)
    local res = post(part("name=f", "12345"))
    assert.equal(413, res.status)
    assert.matches("the part f is larger than 4 bytes", res.body)
    res = post(part("name=f", "1"), part("name=g", ""))
    assert.matches("this part of the form is over", res.body)
  end)

  it("saves a part as a file, whole or not at all", function()
    local folder = os.tmpname() .. ".d"
    start(function(ctx)
      local p = ctx:parts()()
      return { p:save("a/b", { make_folders = true, max = "1M" }) }
    end, { files = folder })
    assert.same({ 300000 }, post(part("name=f; filename=x", ("y"):rep(300000))):json())
    local file = assert(io.open(folder .. "/a/b"))
    assert.equal(("y"):rep(300000), file:read("*a"))
    file:close()
    assert.equal(413, post(part("name=f", ("z"):rep(2 ^ 20 + 1))).status)
    app.clock:advance(0.1)
    local names = io.popen("ls " .. folder .. "/a")
    assert.equal("b\n", names:read("*a"))
    names:close()
    os.execute("rm -r " .. folder)
  end)

  it("tells of misspelt names", function()
    start(function(ctx)
      return ctx:parts()().filname
    end)
    assert.equal(500, post(part("name=f", "")).status)
    assert.matches("parts_spec%.lua:%d+: a part has no 'filname' %(did you mean 'filename'",
      app.logs[1].message)
  end)
end)
