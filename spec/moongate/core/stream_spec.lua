local test = require("moongate.test")
local helpers = dofile("spec/fixture/helpers.lua")

local UPGRADE = "GET /s?a=1 HTTP/1.1\r\nHost: h\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n"
local SWITCHED = "^HTTP/1%.1 101 Switching Protocols\r\n"

local app

-- A route whose upgrade is served by `fn`.
local function serve(fn, options)
  app = test.app(function(a)
    a:get("/s", function(ctx)
      ctx:upgrade("echo", function(stream)
        return fn(stream, ctx)
      end)
    end)
    a:any("/other", function()
      return "other"
    end)
  end, options)
  return app
end

-- Opens a stream, and checks and takes away what is said before its bytes.
local function open(bytes)
  local flight = app:raw(UPGRADE .. (bytes or ""))
  local text = flight:read()
  assert.matches(SWITCHED, text)
  flight.first = text:match("\r\n\r\n(.*)$")
  return flight
end

local function echo_lines(stream)
  for line in function() return stream:read_line():await() end do
    stream:write(line .. "\n")
  end
end

local function assert_logged(pattern)
  assert.matches(pattern, helpers.logged(app))
end

after_each(function()
  app:assert_no_leaks()
end)

describe("ctx:upgrade", function()
  it("switches, and gives the function what came behind the head", function()
    serve(echo_lines)
    local flight = app:raw(UPGRADE .. "one\r\ntwo\nthr")
    local text = flight:read()
    assert.matches("\r\nConnection: upgrade\r\n", text)
    assert.matches("\r\nUpgrade: echo\r\n", text)
    assert.is_nil(text:find("Content-Length", 1, true))
    assert.is_nil(text:find("Transfer-Encoding", 1, true))
    assert.equal("one\ntwo\n", text:match("\r\n\r\n(.*)$"))
    flight:send("ee\n")
    assert.equal("three\n", (flight:read()))
    flight:disconnect()
  end)

  it("is 426 for who did not ask", function()
    serve(echo_lines)
    local res = app:get("/s")
    assert.equal(426, res.status)
    assert.equal("echo", res.headers.upgrade)
    assert.matches("upgrade", res.headers.connection)
    assert.equal("the protocol echo is spoken here", res:json().detail)
    assert.equal(426, app:get("/s", { headers = { Upgrade = "echo" } }).status)
    assert.equal(426, app:get("/s", {
      headers = { Upgrade = "other", Connection = "upgrade" },
    }).status)
  end)

  it("leaves the request's usual parts to the function, and middleware its fields", function()
    app = test.app(function(a)
      a:use(function(ctx, next)
        next()
        ctx:header("X-Behind", "1")
      end)
      a:get("/:name", function(ctx)
        ctx.state.seen = "state"
        ctx:upgrade("echo/2", function(stream)
          local ok, err = pcall(function()
            return ctx.path
          end)
          stream:write(table.concat({
            ctx.params.name, ctx.query.a, ctx.headers.upgrade, ctx.state.seen,
            ok and "path" or err.code,
          }, " "))
        end)
      end)
    end)
    local flight = app:raw((UPGRADE:gsub("Upgrade: echo", "Upgrade: x, Echo/2")))
    local text, ended = flight:read()
    assert.matches("\r\nX%-Behind: 1\r\n", text)
    assert.equal("s 1 x, Echo/2 state closed", text:match("\r\n\r\n(.*)$"))
    assert.is_true(ended)
    flight:done()
  end)

  it("wants the body to be read first", function()
    app = test.app(function(a)
      a:post("/early", function(ctx)
        ctx:upgrade("echo", echo_lines)
      end)
      a:post("/late", function(ctx)
        local body = ctx:body():await()
        ctx:upgrade("echo", function(stream)
          stream:write(body)
        end)
      end)
    end)
    local head = "POST /%s HTTP/1.1\r\nHost: h\r\nUpgrade: echo\r\nConnection: upgrade\r\n"
      .. "Content-Length: 2\r\n\r\n"
    local flight = app:raw(head:format("early"))
    assert.matches("^HTTP/1%.1 500 ", (flight:read()))
    assert_logged("await ctx:body%(%) first")
    flight:disconnect()
    flight = app:raw(head:format("late") .. "hi")
    assert.equal("hi", (flight:read()):match("\r\n\r\n(.*)$"))
    flight:done()
  end)

  it("checks what it is given", function()
    app = test.app(function(a)
      a:get("/s", function(ctx)
        local faults = {}
        for i, arguments in ipairs({ { nil }, { "a b" }, { "/2" }, { "echo/" }, { "echo" } }) do
          local ok, err = pcall(ctx.upgrade, ctx, arguments[1], arguments[2])
          faults[i] = ok and "none" or err:gsub("^.-: ", "")
        end
        return table.concat(faults, "\n")
      end)
    end)
    assert.equal('the name of a protocol such as "echo" is wanted, not nil\n'
      .. 'the name of a protocol such as "echo" is wanted, not "a b"\n'
      .. 'the name of a protocol such as "echo" is wanted, not "/2"\n'
      .. 'the name of a protocol such as "echo" is wanted, not "echo/"\n'
      .. "a protocol and a function are wanted, not nil",
      (app:get("/s").body:gsub("upgrade: ", "")))
  end)

  it("is not to be had by a header", function()
    app = test.app(function(a)
      a:get("/s", function(ctx)
        ctx:header("Upgrade", "echo")
        return "x"
      end)
    end)
    assert.equal(500, app:get("/s").status)
    assert_logged("header Upgrade: Moongate sets it itself")
  end)
end)

describe("ctx:tunnel", function()
  local function with_connect(handler)
    app = test.app(function(a)
      a:get("/", function()
        return "root"
      end)
      a:connect({ name = "tunnels" }, handler)
      a:any("/any", function()
        return "any"
      end)
    end)
  end

  local CONNECT = "CONNECT db.internal:5432 HTTP/1.1\r\nHost: db.internal:5432\r\n\r\n"

  it("answers CONNECT with 200 and no length", function()
    with_connect(function(ctx)
      local host = ctx.host
      ctx:tunnel(function(stream)
        stream:write(host .. " " .. ctx.route.name .. "\n")
        echo_lines(stream)
      end)
    end)
    local flight = app:raw(CONNECT .. "hello\n")
    local text = flight:read()
    assert.matches("^HTTP/1%.1 200 OK\r\n", text)
    assert.is_nil(text:find("Content-Length", 1, true))
    assert.equal("db.internal:5432 tunnels\nhello\n", text:match("\r\n\r\n(.*)$"))
    flight:disconnect()
    assert.equal("root", app:get("/").body)
  end)

  it("may be refused", function()
    with_connect(function(ctx)
      ctx:fail(403, "not there")
    end)
    local flight = app:raw(CONNECT)
    assert.matches("^HTTP/1%.1 403 ", (flight:read()))
    flight:done()
  end)

  it("is what a 2xx answer to CONNECT has to be", function()
    with_connect(function()
      return "fine"
    end)
    local flight = app:raw(CONNECT)
    assert.matches("^HTTP/1%.1 500 ", (flight:read()))
    assert_logged("a 2xx answer to CONNECT opens a tunnel: answer with ctx:tunnel")
    flight:done()
  end)

  it("is for CONNECT alone, which is for a route that asks for it alone", function()
    app = test.app(function(a)
      a:any("/", function(ctx)
        ctx:tunnel(echo_lines)
      end)
    end)
    assert.equal(500, app:get("/").status)
    assert_logged("only the answer to a CONNECT")
    local flight = app:raw(CONNECT)
    assert.matches("^HTTP/1%.1 405 ", (flight:read()))
    flight:done()
  end)
end)

describe("a stream", function()
  it("gives a number of bytes, or what there is, and nil at the end", function()
    local got = {}
    serve(function(stream)
      got[1] = stream:read():await()
      got[2] = stream:read(4):await()
      got[3] = stream:read(2):await()
      got[4] = stream:read(10):await()
      got[5] = stream:read(10):await() == nil
      got[6] = stream:read():await() == nil
      stream:write("done")
    end)
    local flight = open("ab")
    flight:send("cd")
    flight:read()
    flight:send("ef12")
    flight:read()
    flight:send("rest"):finish()
    assert.equal("done", (flight:read()))
    assert.same({ "ab", "cdef", "12", "rest", true, true }, got)
    flight:done()
  end)

  it("gives lines and what comes before a delimiter", function()
    local got = {}
    serve(function(stream)
      got[1] = stream:read_line():await()
      got[2] = stream:read_until("--"):await()
      local value, err = stream:read_until("--"):try_await()
      got[3] = value == nil and err.code
      got[4] = stream:read_line():await()
      got[5] = stream:read_line():await() == nil
      got[6] = stream:read_until("--"):await() == nil
    end)
    local flight = open("a line\r\na -")
    flight:send("- last")
    flight:read()
    flight:finish()
    flight:read()
    assert.same({ "a line", "a ", "closed", " last", true, true }, got)
    flight:done()
  end)

  it("bounds what it looks through", function()
    local codes = {}
    serve(function(stream)
      for i, future in ipairs({ stream:read_line(5) }) do
        local _, err = future:try_await()
        codes[i] = err.code .. ": " .. err.message
      end
      local _, err = stream:read_until("x", 3):try_await()
      codes[2] = err.code
      codes[3] = stream:read(6):await()
    end)
    local flight = open("012345")
    flight:read()
    assert.same({ "limit: more came before the delimiter than may", "limit", "012345" }, codes)
    flight:done()
  end)

  it("checks counts and delimiters", function()
    local faults = {}
    serve(function(stream)
      for i, call in ipairs({
        { "read", 0 }, { "read", 2 ^ 30 }, { "read", "x" }, { "read_line", -1 },
        { "read_until", "" }, { "read_until", ("x"):rep(257) }, { "write", {} },
      }) do
        local ok, err = pcall(stream[call[1]], stream, call[2])
        faults[i] = not ok and err:match("^%S*stream_spec%.lua:%d+: (.*)") or tostring(err)
      end
    end)
    open():done()
    assert.matches("^read: an integer from 1 to 16777216 is wanted, not 0$", faults[1])
    assert.matches("^read: ", faults[2])
    assert.matches("^read: .* not x$", faults[3])
    assert.matches("^read_line: ", faults[4])
    assert.matches("^read_until: a delimiter of 1 to 256 bytes", faults[5])
    assert.matches("^read_until: ", faults[6])
    assert.matches("^stream:write: ", faults[7])
  end)

  it("is read by one at a time", function()
    local code
    serve(function(stream)
      local first = stream:read()
      local _, err = stream:read():try_await()
      code = err.code
      stream:write(first:await())
    end)
    local flight = open()
    flight:send("x")
    assert.equal("x", (flight:read()))
    assert.equal("protocol", code)
    flight:done()
  end)

  it("loses nothing to a read that was given up", function()
    serve(function(stream)
      local _, err = stream:read_line():timeout(1):try_await()
      stream:write(err.code .. " " .. stream:read_line():await())
    end)
    local flight = open("ha")
    app.clock:advance(2)
    flight:send("lf\n")
    assert.equal("timeout half", (flight:read()))
    flight:done()
  end)

  it("waits for a slow client, and for a slow script", function()
    local written = 0
    local piece = ("x"):rep(65536)
    serve(function(stream)
      for _ = 1, 32 do
        stream:write(piece)
        written = written + 1
      end
    end)
    local flight = open()
    flight:done()
    written = 0
    flight = app:raw("")
    flight:pause()
    flight:send(UPGRADE)
    app.clock:settle()
    assert.is_true(written < 20)
    flight:pause(false)
    local bytes, ended = flight:read()
    assert.equal(32 * 65536, #bytes:match("\r\n\r\n(.*)$"))
    assert.is_true(ended)
    flight:done()
  end)

  it("lets several write", function()
    local piece = ("x"):rep(300000)
    serve(function(stream, ctx)
      local other = ctx:spawn(function()
        stream:write(piece)
      end)
      stream:write(piece)
      other:await()
    end)
    local flight = app:raw("")
    flight:pause()
    flight:send(UPGRADE)
    app.clock:settle()
    flight:pause(false)
    assert.equal(600000, #(flight:read()):match("\r\n\r\n(.*)$"))
    flight:done()
  end)

  it("ends each direction by itself", function()
    local after
    serve(function(stream)
      stream:write("bye")
      stream:shutdown()
      local ok, err = pcall(stream.write, stream, "x")
      after = not ok and err.code
      after = after .. " " .. stream:read_line():await()
    end)
    local flight = open()
    assert.equal("bye", flight.first)
    local _, ended = flight:read()
    assert.is_true(ended)
    flight:send("still here\n")
    flight:read()
    assert.equal("closed still here", after)
    flight:done()
  end)

  it("closed by the script is closed for its reads and writes, and the request goes on", function()
    local told = {}
    serve(function(stream, ctx)
      local reading = stream:read()
      stream:write("bye"):close()
      told[1] = select(2, reading:try_await()).code
      told[2] = select(2, stream:read():try_await()).code
      told[3] = select(2, pcall(stream.write, stream, "x")).code
      ctx:sleep(5):await()
      told[4] = "slept"
    end)
    local flight = open()
    assert.equal("bye", flight.first)
    assert.equal("other", app:get("/other").body) -- its place is not given away meanwhile
    app.clock:advance(6)
    assert.same({ "closed", "closed", "closed", "slept" }, told)
    assert.equal("other", app:get("/other").body)
    flight:done()
  end)

  it("that ends closes the connection", function()
    serve(function(stream)
      stream:write(stream:read(2):await())
    end)
    local flight = open()
    flight:send("hi")
    local bytes, ended = flight:read()
    assert.equal("hi", bytes)
    assert.is_true(ended)
    flight:done()
  end)

  it("is cancelled when the client leaves", function()
    local why, later
    serve(function(stream, ctx)
      ctx:on_close(function(err)
        why = err.code .. ": " .. err.message
      end)
      local ok, err = pcall(function()
        return stream:read():await()
      end)
      later = not ok and err.code
      ctx:sleep(1):await() -- raises too
      later = "alive"
    end)
    open():disconnect()
    assert.equal("cancelled: the client left", why)
    assert.equal("cancelled", later)
  end)

  it("that fails is cut, and the failure logged", function()
    serve(function()
      error("lost my way")
    end)
    local flight = app:raw(UPGRADE)
    local _, ended = flight:read()
    assert.is_true(ended)
    assert_logged("the handler of GET /s failed: .*lost my way")
    flight:done()
  end)

  it("on which nothing moves is closed after timeouts.tunnel", function()
    local why
    serve(function(stream, ctx)
      ctx:on_close(function(err)
        why = err and err.code
      end)
      stream:read():await()
    end, { timeouts = { tunnel = 20 } })
    local flight = open()
    app.clock:advance(15)
    flight:send("")
    assert.is_nil(why)
    app.clock:advance(10)
    local _, ended = flight:read()
    assert.is_true(ended)
    assert.equal("cancelled", why)
    flight:done()
  end)

  it("obeys no handler's deadline", function()
    serve(echo_lines, { timeouts = { handler = 1, tunnel = 100 } })
    local flight = open()
    app.clock:advance(50)
    flight:send("x\n")
    assert.equal("x\n", (flight:read()))
    flight:disconnect()
  end)
end)
