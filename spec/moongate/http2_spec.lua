--- What specs ask goes over HTTP/2 if they want that; and what other specs say of requests and
--- answers holds there too.
local test = require("moongate.test")

local FILES = {
  "app_spec", "failures_spec", "foreign_bytes_spec", "form_spec", "methods_spec", "ownership_spec",
  "refused_body_spec", "runtime_spec", "walls_spec", "core/app/fallback_spec",
  "core/app/router_spec",
  "core/app/serve_spec", "core/app/static_spec", "core/request/answer_spec",
  "core/request/context_spec", "core/request/disposition_spec", "core/request/failure_spec",
  "core/request/lifetime_spec", "core/request/onion_spec", "core/request/problem_spec",
  "core/request/send_file_spec", "core/request/send_spec", "core/scope_spec",
}

describe("over HTTP/2", function()
  setup(function()
    test._http2 = true
  end)

  teardown(function()
    test._http2 = false
  end)

  for _, file in ipairs(FILES) do
    describe(file, function() -- whose after_each is its own
      setfenv(assert(loadfile("spec/moongate/" .. file .. ".lua")), getfenv(1))()
    end)
  end
end)

describe("test.app with http2", function()
  local app
  local closed

  before_each(function()
    closed = nil
    app = test.app(function(a)
      a:get("/slow", function(ctx)
        ctx:on_close(function(why)
          closed = why and why.code or "done"
        end)
        ctx:sleep(60):await()
      end)
      a:post("/count", function(ctx)
        local n = 0
        for piece in ctx:chunks() do
          n = n + #piece
        end
        return tostring(n)
      end)
      a:get("/stream", function(ctx)
        ctx:header("X-Up", ctx.headers.upgrade or "none")
        return ctx:stream("text/plain", function(out)
          for i = 1, 20 do
            out:write(("%05d"):format(i):rep(4000))
          end
        end)
      end)
      a:get("/echo", function(ctx)
        ctx:upgrade("echo", function(stream)
          for line in function() return stream:read_line():await() end do
            stream:write(line .. "\n")
          end
        end)
      end)
    end, { http2 = true, limits = { body = "1M" } })
  end)

  after_each(function()
    app:assert_no_leaks()
  end)

  it("sends bodies larger than a window, and takes such answers", function()
    assert.equal("300000", app:post("/count", { body = ("x"):rep(300000) }).body)
    local res = app:get("/stream")
    assert.equal(400000, #res.body)
    assert.equal("none", res.headers["x-up"])
    assert.equal("chunked", res.headers["transfer-encoding"]) -- as a client of HTTP/1.1 sees it
  end)

  it("refuses what is too large", function()
    assert.equal(413, app:post("/count", { body = ("x"):rep(2 ^ 20 + 1) }).status)
  end)

  it("cancels a request whose client leaves", function()
    app:start("GET", "/slow"):disconnect(1)
    assert.is_string(closed)
  end)

  it("lets a slow reader slow the handler down", function()
    local flight = app:start("GET", "/stream"):pause()
    app.clock:settle()
    flight:pause(false)
    assert.equal(400000, #flight:response().body)
  end)

  it("upgrades by extended CONNECT", function()
    local flight = app:start("GET", "/echo", {
      headers = { Upgrade = "echo", Connection = "upgrade" },
    })
    assert.matches("^HTTP/1%.1 101 ", (flight:read()))
    assert.equal("one\n", (flight:send("one\n"):read()))
    local text, ended = flight:finish():read()
    assert.equal("", text)
    assert.is_true(ended)
    flight:done()
  end)
end)
