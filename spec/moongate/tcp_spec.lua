local moongate = require("moongate")
local test = require("moongate.test")

local ADDRESS = "cache.test:11211"

describe("moongate.tcp", function()
  local app, handler

  before_each(function()
    app = test.app(function(a)
      a:get("/", function(ctx)
        return handler(ctx)
      end)
    end)
  end)
  after_each(function()
    app:assert_no_leaks()
  end)

  -- What the handler returned, or the code of its error.
  local function run(fn, server)
    if server then
      app:stub_tcp(ADDRESS, server)
    end
    local code
    handler = function(ctx)
      local ok, value = pcall(fn, ctx)
      code = not ok and (type(value) == "table" and value.code or value) or nil
      return ok and tostring(value) or "failed"
    end
    local body = app:get("/").body
    return not code and body or nil, code
  end

  it("connects, writes and reads", function()
    assert.equal("STORED", run(function()
      local s = moongate.tcp.connect(ADDRESS):await()
      s:write("set a 0 0 1\r\n"):write("x\r\n")
      local line = s:read_line():await()
      s:close()
      return line
    end, function(s)
      assert.equal("set a 0 0 1", s:read_line():await())
      assert.equal("x\r\n", s:read(3):await())
      s:write("STORED\r\n")
    end))
  end)

  it("ends with the coroutine that asked for it", function()
    local ended
    run(function()
      moongate.tcp.connect(ADDRESS):await():write("bye")
    end, function(s)
      assert.equal("bye", s:read(3):await())
      ended = s:read():await() == nil
    end)
    app.clock:settle()
    assert.is_true(ended)
  end)

  it("is cut off if the coroutine fails", function()
    local seen
    run(function()
      return moongate.spawn(function()
        moongate.tcp.connect(ADDRESS):await()
        error("oh")
      end):await()
    end, function(s)
      local _, err = s:read():try_await()
      seen = err.code
    end)
    app.clock:settle()
    assert.equal("closed", seen)
  end)

  it("is cut off if the client of the request leaves", function()
    local seen
    app:stub_tcp(ADDRESS, function(s)
      local _, err = s:read():try_await()
      seen = err.code
    end)
    handler = function()
      moongate.tcp.connect(ADDRESS):await():read():await()
    end
    local flight = app:start("GET", "/")
    app.clock:settle()
    flight:disconnect()
    assert.equal("closed", seen)
  end)

  it("lives on when it is detached", function()
    local pooled
    app:stub_tcp(ADDRESS, function(s)
      for line in function() return s:read_line():await() end do
        s:write(line:upper() .. "\n")
      end
    end)
    handler = function()
      pooled = pooled or moongate.tcp.connect(ADDRESS):await():detach()
      pooled:write("a\n")
      return pooled:read_line():await()
    end
    assert.equal("A", app:get("/").body)
    assert.equal("A", app:get("/").body)
    pooled:close()
    app.clock:settle()
  end)

  it("fails as the network does", function()
    app:stub_tcp(ADDRESS, test.fail("connect"))
    local _, code = run(function()
      return moongate.tcp.connect(ADDRESS):await()
    end)
    assert.equal("connect", code)
  end)

  it("waits no longer than it is told to, for a byte too", function()
    local _, code = run(function()
      return moongate.tcp.connect(ADDRESS):await():read():timeout(3):await()
    end, function(s)
      s:read():await()
    end)
    assert.equal("timeout", code)
    assert.near(3, app.clock:elapsed(), 0.01)
  end)

  it("is closed when nothing has moved for its idle time", function()
    local _, code = run(function()
      local s = moongate.tcp.connect(ADDRESS, { idle = 4 }):await()
      s:write("x")
      return s:read():await()
    end, function(s)
      s:read():await()
      moongate.sleep(3):await()
      s:write("y")
      s:read():await()
    end)
    assert.is_nil(code)
    _, code = run(function()
      local s = moongate.tcp.connect(ADDRESS, { idle = 4 }):await()
      return s:read():await()
    end, function(s)
      s:read():await()
    end)
    assert.equal("timeout", code)
  end)

  it("suspends a writer whose peer is slow", function()
    local written, read = 0, 0
    run(function()
      local s = moongate.tcp.connect(ADDRESS):await()
      for _ = 1, 64 do
        s:write(("x"):rep(65536))
        written = written + 65536
      end
      s:shutdown()
      s:read():await()
    end, function(s)
      moongate.sleep(1):await()
      assert.is_true(written < 1024 * 1024)
      for piece in function() return s:read():await() end do
        read = read + #piece
      end
    end)
    assert.equal(64 * 65536, read)
  end)

  it("looks through no more than max_line", function()
    local _, code = run(function()
      return moongate.tcp.connect(ADDRESS, { max_line = 10 }):await():read_line():await()
    end, function(s)
      s:write(("x"):rep(20) .. "\n")
      s:read():await()
    end)
    assert.equal("limit", code)
  end)

  it("fails the spec for an address that nobody stubs, by its name", function()
    local other = test.app(function(a)
      a:get("/", function()
        moongate.tcp.connect("else.test:1"):await()
      end)
    end)
    local ok, err = pcall(other.get, other, "/")
    other:close()
    assert.is_false(ok)
    assert.truthy(tostring(err):find("else.test:1", 1, true))
    assert.truthy(tostring(err):find("stub_tcp", 1, true))
  end)

  it("says what is wrong with what it is given", function()
    local cases = {
      { "host", nil, '"host:7000", "[::1]:7000", "unix:run/x.sock" is wanted, not "host"' },
      { "host:0", nil, 'is wanted, not "host:0"' },
      { "http://host:80", nil, "is wanted, not" },
      { ADDRESS, { timout = 1 }, "did you mean 'timeout'" },
      { ADDRESS, { tls = { cert = "a" } }, "cert and key belong together" },
      { ADDRESS, { tls = { sni = "a" } }, "tls" },
      { ADDRESS, { tls = { alpn = { first = "h2" } } }, "a list of protocols" },
      { "unix:/tmp/a\0b", nil, "holds a NUL" },
      { ADDRESS, { deny = "nowhere" }, "nowhere" },
      { ADDRESS, { deny = { private = true } }, "a list of networks and names" },
      { ADDRESS, { deny = { [1] = "private", [3] = "loopback" } }, "a list of networks and names" },
      { ADDRESS, { idle = 0 }, "idle" },
    }
    for _, case in ipairs(cases) do
      local _, err = run(function()
        return moongate.tcp.connect(case[1], case[2]):await()
      end)
      local text = type(err) == "string" and err or tostring(err)
      assert.truthy(text:find(case[3], 1, true), text)
    end
  end)

  it("may not be begun while the app is loading", function()
    local ok, err = pcall(test.app, function()
      moongate.tcp.connect(ADDRESS)
    end)
    assert.is_false(ok)
    assert.truthy(tostring(err):find("while the app is loading", 1, true))
  end)
end)
