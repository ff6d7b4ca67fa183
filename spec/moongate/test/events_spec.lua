local test = require("moongate.test")

describe("a spec's reader of event streams", function()
  local app
  after_each(function()
    app:assert_no_leaks()
  end)

  -- A server of events that says what it likes.
  local function serve(pieces)
    app = test.app(function(a)
      a:get("/", function(ctx)
        ctx:stream("text/event-stream", function(out)
          for _, piece in ipairs(pieces) do
            out:write(piece)
            ctx:sleep(1):await()
          end
        end)
      end)
      a:get("/text", function() return "no stream" end)
    end)
  end

  it("reads as browsers do, however the bytes are cut", function()
    serve({ ": hello\r\ndata:a\ndata:  b\r\n", "\nevent: x\nid: 7\nretry: 50", "0\ndata\n\n",
      "unknown: 1\nid\nevent: lost\n\ndata: c\n\ndata: never ended" })
    local stream = app:events("/")
    assert.same({ event = "message", data = "a\n b" }, stream:next())
    assert.same({ event = "x", id = "7", data = "" }, stream:next())
    assert.equal(0.5, stream.retry)
    assert.same({ event = "message", data = "c" }, stream:next())
    assert.is_nil(stream:next())
    assert.equal(1, stream.comments)
    assert.is_true(stream:ended())
    stream:close()
  end)

  it("has what was told besides events as soon as it has come", function()
    serve({ "retry: 2000\n\n", ":\n", "id: 7\n:\n" })
    local stream = app:events("/")
    app.clock:settle()
    assert.equal(2, stream.retry)
    app.clock:advance(2.5)
    assert.same({ 2, "7" }, { stream.comments, stream.last_id })
    stream:close()
    app.clock:settle()
  end)

  it("waits no longer than it is told", function()
    serve({ "data: a\n\n", ":\n", "data: b\n\n" })
    local stream = app:events("/")
    assert.equal("a", stream:next().data)
    assert.is_nil(stream:next(1.5))
    assert.near(1.5, app.clock:elapsed(), 0.01)
    assert.is_false(stream:ended())
    assert.equal("b", stream:next(1).data)
    stream:close()
    app.clock:advance(1)
  end)

  it("refuses what is no event stream", function()
    serve({})
    assert.error_matches(function() app:events("/text") end,
      "/text was answered 200 with the type text/plain.*, not an event stream")
    assert.error_matches(function() app:events("/none") end, "was answered 404")
  end)
end)
