local test = require("moongate.test")

describe("the album", function()
  local app

  before_each(function()
    app = test.app({
      configuration = true, database = "sqlite::memory:", migrations = "lua/migrations",
    })
  end)

  after_each(function()
    app:assert_no_leaks()
  end)

  local function make(title)
    return app:post("/photos", { json = { title = title } })
  end

  local function upload(id, media_type, bytes)
    return app:post("/photos/" .. id .. "/file", {
      headers = { ["Content-Type"] = "multipart/form-data; boundary=b" },
      body = '--b\r\nContent-Disposition: form-data; name="photo"; filename="moon"\r\n'
        .. "Content-Type: " .. media_type .. "\r\n\r\n" .. bytes .. "\r\n--b--\r\n",
    })
  end

  it("makes, shows, renames and deletes photos", function()
    local made = make("The Moon")
    assert.equal(201, made.status)
    assert.equal("/photos/1", made.headers.location)
    assert.equal("The Moon", app:get("/photos/1"):json().title)
    assert.equal("Luna", app:put("/photos/1", { json = { title = "Luna" } }):json().title)
    assert.equal(1, #app:get("/photos"):json().photos)
    assert.equal(204, app:delete("/photos/1").status)
    assert.equal(404, app:get("/photos/1").status)
    assert.equal('{"photos":[]}', app:get("/photos").body)
  end)

  it("tells what is wrong, also what only the database knows", function()
    assert.equal(422, app:post("/photos", { json = { title = 7 } }).status)
    local res = make("")
    assert.equal(422, res.status)
    assert.equal("check", res:json().constraint)
  end)

  it("stores an upload and gives it back", function()
    make("The Moon")
    local files = {}
    app:stub("write_file", function(_, path, data)
      files[path] = data
      return true
    end)
    local res = upload(1, "image/png", "PNG")
    assert.equal(201, res.status)
    assert.same({ bytes = 3 }, res:json())
    local path = next(files)
    assert.truthy(path:find("^var/photos/[%x-]+%.png$"))
    assert.equal("PNG", files[path])
    assert.equal("image/png", app:get("/photos/1"):json().media_type)
  end)

  it("refuses what is no photo, and what is too large", function()
    make("The Moon")
    assert.equal(415, upload(1, "text/html", "<script>").status)
    assert.equal(413, app:post("/photos", { json = { title = ("x"):rep(70000) } }).status)
    assert.equal(404, app:get("/photos/1/file").status)
  end)

  it("streams what happens, from the last event that was seen", function()
    make("first")
    make("second")
    local flight = app:start("GET", "/events", { headers = { ["Last-Event-ID"] = "1" } })
    app.clock:advance(0.5)
    local head, body = flight:read():match("^(.-\r\n\r\n)(.*)$")
    assert.truthy(head:find("Content-Type: text/event-stream", 1, true))
    assert.truthy(body:find('id: 2\nevent: made\ndata: {"photo":2}\n\n', 1, true), body)
    assert.is_nil(body:find("id: 1\n", 1, true))
    app:delete("/photos/1")
    app.clock:advance(1)
    assert.truthy(flight:read():find('event: deleted\ndata: {"photo":1}', 1, true))
    app.clock:advance(16)
    assert.truthy(flight:read():find(": still here", 1, true))
    flight:disconnect()
  end)

  it("ends its streams when the scripts are to go", function()
    local flight = app:start("GET", "/events")
    app.clock:advance(0.5)
    app:stop()
    local bytes, closed = flight:read()
    assert.truthy(bytes:find("0\r\n\r\n$"), bytes)
    assert.is_false(closed)
  end)
end)
