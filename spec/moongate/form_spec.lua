local moongate = require("moongate")
local test = require("moongate.test")

local app

local function start(handler, options)
  app = test.app(function(a)
    a:post("/", handler)
  end, options)
end

after_each(function()
  if app then
    app:assert_no_leaks()
    app = nil
  end
end)

local MULTIPART = { ["Content-Type"] = "multipart/form-data; boundary=b" }

local function part(disposition, body, more)
  return ("--b\r\nContent-Disposition: form-data; %s\r\n%s\r\n%s\r\n"):format(disposition,
    more or "", body)
end

local function post(...)
  return app:post("/", { body = table.concat({ ... }) .. "--b--\r\n", headers = MULTIPART })
end

describe("a multipart form", function()
  it("gives files under the names that clients send", function()
    start(function(ctx)
      return ctx:body_parts():await()
    end)
    assert.same({
      { name = "f", filename = "naïve.txt", content_type = "text/plain", body = "x" },
      { name = "g", filename = "a.txt", content_type = "image/png", body = "y" },
      {
        name = "h", content_type = "text/plain", body = "eA==", transfer_encoding = "base64",
      },
    }, post(
      part("name=f; filename*=utf-8''na%C3%AFve.txt", "x"),
      part("name=g; filename=\"C:\\x\\a.txt\"", "y", "Content-Type: image/png\r\n"),
      part("name=h", "eA==", "Content-Transfer-Encoding: base64\r\n")
    ):json())
  end)

  it("takes a file with an extended name alone for a file", function()
    start(function(ctx)
      local file = ctx:body_form():await().f
      return file.filename .. " " .. file.body
    end)
    assert.equal("a b x", post(part("name=f; filename*=UTF-8''a%20b", "x")).body)
  end)

  it("of more parts than limits.form_parts is 413", function()
    local function count(ctx)
      return tostring(#ctx:body_parts():await())
    end
    local one = part("name=f", "x")
    start(count)
    assert.equal("128", post(one:rep(128)).body)
    local res = post(one:rep(129))
    assert.equal(413, res.status)
    assert.equal("the form has more than 128 parts", res:json().detail)
    app:assert_no_leaks()
    start(count, { limits = { form_parts = 2 } })
    assert.equal("2", post(one:rep(2)).body)
    assert.equal(413, post(one:rep(3)).status)
    app:assert_no_leaks()
    start(count, { limits = { form_parts = 300 } })
    assert.equal("300", post(one:rep(300)).body)
  end)

  it("that is malformed is 400", function()
    start(function(ctx) return ctx:body_form():await() end)
    local res = app:post("/", { body = "--b\r\n", headers = MULTIPART })
    assert.equal(400, res.status)
    assert.equal("the form is malformed: the form ends before its closing delimiter",
      res:json().detail)
  end)
end)

describe("a JSON body", function()
  it("of more values than limits.json_values is 413", function()
    start(function(ctx) return ctx:body_json():await() end, { limits = { json_values = 5 } })
    local function send(body)
      return app:post("/", { body = body })
    end
    assert.equal(200, send('[{"a":1},[],null]').status)
    local res = send('[{"a":1},[],null,true]')
    assert.equal(413, res.status)
    assert.equal("the body's JSON holds more than 5 values", res:json().detail)
    assert.equal(400, send("[1,2,3,4").status)
  end)
end)

describe("a urlencoded form", function()
  it("of more fields than limits.form_fields is 413", function()
    start(function(ctx)
      return tostring(#ctx:body_parts():await())
    end, { limits = { form_fields = 2 } })
    local function send(body)
      return app:post("/", {
        body = body, headers = { ["Content-Type"] = "application/x-www-form-urlencoded" },
      })
    end
    assert.equal("2", send("a=1&b=2").body)
    local res = send("a=1&b=2&c")
    assert.equal(413, res.status)
    assert.equal("the form has more than 2 fields", res:json().detail)
  end)
end)

describe("a list that the framework makes is [] when it is empty:", function()
  local function expect(handler, options)
    start(handler, options)
    assert.equal('{"list":[]}', app:post("/", {
      headers = { ["Content-Type"] = "application/x-www-form-urlencoded" },
    }).body)
  end

  it("query_all", function()
    expect(function(ctx) return { list = ctx:query_all("none") } end)
  end)

  it("body_parts", function()
    expect(function(ctx) return { list = ctx:body_parts():await() } end)
    assert.equal('{"list":[]}', post().body)
  end)

  it("rows of a statement, and of its stub", function()
    local function handler(ctx)
      return { list = ctx:query_database("SELECT 1 AS one WHERE 1 = 2"):await() }
    end
    expect(handler, { database = "sqlite::memory:" })
    app:assert_no_leaks()
    start(handler)
    app:stub_database("SELECT 1 AS one WHERE 1 = 2", {})
    assert.equal('{"list":[]}', app:post("/").body)
  end)

  it("a folder", function()
    local folder = os.tmpname()
    os.remove(folder)
    expect(function(ctx)
      ctx:make_folder(folder):await()
      local list = ctx:list_folder(folder):await()
      ctx:delete_folder(folder):await()
      return { list = list }
    end, { files = folder })
  end)

  it("Future.all and all_settled of nothing", function()
    expect(function() return { list = moongate.Future.all({}):await() } end)
    expect(function() return { list = moongate.Future.all_settled({}):await() } end)
  end)
end)
