local test = require("moongate.test")

local ADDRESS = "127.0.0.1:11211"

describe("the server", function()
  local app, client

  before_each(function()
    app = test.app("lua/app.lua", { cache = "memory:1M" })
    client = app:stream_connect(ADDRESS)
  end)
  after_each(function()
    client:disconnect()
    app:assert_no_leaks()
  end)

  -- What it says to these lines.
  local function said(text)
    return (client:send(text):read())
  end

  it("stores and finds", function()
    assert.equal("STORED\r\n", said("set a 0 0 5\r\nhello\r\n"))
    assert.equal("VALUE a 0 5\r\nhello\r\nEND\r\n", said("get a b\r\n"))
    assert.equal("DELETED\r\n", said("delete a\r\n"))
    assert.equal("NOT_FOUND\r\n", said("delete a\r\n"))
    assert.equal("END\r\n", said("get a\r\n"))
  end)

  it("takes what comes in pieces, and several commands at once", function()
    assert.equal("", said("set a 0 0 4\r\nab"))
    assert.equal("STORED\r\nVALUE a 0 4\r\nabcd\r\nEND\r\n", said("cd\r\nget a\r\n"))
  end)

  it("forgets in time", function()
    said("set a 0 10 1\r\nx\r\n")
    app.clock:advance(11)
    assert.equal("END\r\n", said("get a\r\n"))
  end)

  it("answers what it does not know, and closes when told to", function()
    assert.equal("ERROR\r\n", said("what\r\n"))
    local text, ended = client:send("quit\r\n"):read()
    assert.equal("", text)
    assert.is_true(ended)
  end)

  it("closes a connection that is idle", function()
    app.clock:advance(301)
    local _, ended = client:read()
    assert.is_true(ended)
  end)
end)

describe("the client", function()
  local app

  before_each(function()
    app = test.app("lua/app.lua", { cache = "memory:1M" })
  end)
  after_each(function()
    app:close()
  end)

  it("keeps pages, over one connection", function()
    local connections, pages = 0, {}
    app:stub_tcp(ADDRESS, function(s)
      connections = connections + 1
      for line in function() return s:read_line():await() end do
        local name, size = line:match("^set (%S+) 0 3600 (%d+)$")
        if name then
          pages[name] = s:read(tonumber(size) + 2):await():sub(1, -3)
          s:write("STORED\r\n")
        else
          local page = pages[line:match("^get (%S+)$")]
          s:write(page and ("VALUE x 0 %d\r\n%s\r\nEND\r\n"):format(#page, page) or "END\r\n")
        end
      end
    end)
    assert.equal(404, app:get("/pages/moon").status)
    assert.equal(204, app:put("/pages/moon", { body = "<p>round</p>" }).status)
    assert.equal("<p>round</p>", app:get("/pages/moon").body)
    assert.equal(1, connections)
  end)

  it("waits for an answer no longer than a second", function()
    app:stub_tcp(ADDRESS, function(s)
      s:read_line():await()
      s:read():await()
    end)
    assert.equal(504, app:get("/pages/moon").status)
    assert.near(1, app.clock:elapsed(), 0.01)
  end)
end)
