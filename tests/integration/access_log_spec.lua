--- The access log.
local servers = require("support.server")
local process = require("support.process")
local wire = require("support.wire")
local json = require("dkjson")

local function log_of(format)
  return { level = "info", file = "stderr", access = "access.log", format = format }
end

local function lines_of(server, count)
  return process.wait_until(count .. " lines are logged", function()
    local lines = {}
    for line in server:access_log():gmatch("([^\n]*)\n") do
      lines[#lines + 1] = line
    end
    return #lines >= count and lines
  end)
end

describe("the access log", function()
  local server

  teardown(function()
    server:stop()
  end)

  describe("in combined format", function()
    setup(function()
      server = servers.start({ log = log_of("combined") })
    end)

    it("has a line for each request, whatever became of it", function()
      server:get("/text", "User-Agent: test \"1\"", "Referer: http://a.test/")
      server:get("/nowhere?a=1")
      server:request("GET /text HTTP/9.9\r\n\r\n")
      server:request(wire.head_of("HEAD", "/text") .. "\r\n")
      local lines = lines_of(server, 4)
      local head = '^127%.0%.0%.1 %- %- %[%d%d/%a%a%a/%d%d%d%d:%d%d:%d%d:%d%d [+-]%d%d%d%d%] '
      assert.truthy(lines[1]:match(head .. '"GET /text HTTP/1%.1" 200 6 "http://a%.test/" "test '))
      assert.truthy(lines[2]:match(head .. '"GET /nowhere%?a=1 HTTP/1%.1" 404 %d+ "%-" "%-"'))
      assert.truthy(lines[3]:match(' 505 ') or lines[3]:match(' 400 '))
      assert.truthy(lines[4]:match('"HEAD /text HTTP/1%.1" 200 '))
    end)

    it("cannot be forged by a field", function()
      local _, before = server:access_log():gsub("\n", "")
      server:get("/text", "User-Agent: \" 200 1\" \\ \127 \255\9x")
      local line = lines_of(server, before + 1)[before + 1]
      assert.is_nil(line:find("[%z\1-\31\127]"))
      assert.is_nil(line:find('" 200 1"', 1, true))
    end)
  end)
end)

describe("the access log in JSON", function()
  it("has one object a line with all that is known", function()
    local server = servers.start({ log = log_of("json") })
    local res = server:get("/echo/x?a=1", "User-Agent: \"quoted\"")
    local line = lines_of(server, 1)[1]
    local entry = assert(json.decode(line))
    assert.equal("GET", entry.method)
    assert.equal("/echo/x?a=1", entry.target)
    assert.equal(200, entry.status)
    assert.equal(#res.body, entry.bytes)
    assert.equal("127.0.0.1", entry.client_ip)
    assert.equal("moongate.test", entry.host)
    assert.equal("\"quoted\"", entry.user_agent)
    assert.equal(res.headers["x-request-id"], entry.request_id)
    assert.equal("/echo/*rest", entry.route)
    assert.is_number(entry.duration)
    assert.is_string(entry.time)
    server:stop()
  end)

  it("tells of a client that left, and who that was", function()
    local server = servers.start({ log = log_of("json") })
    local conn = server:connect()
    conn:send(wire.get("/wait/leaver"))
    server:wait_for_body("/pending/leaver", "yes")
    conn:reset()
    process.wait_until("the departure is logged", function()
      for line in server:access_log():gmatch("[^\n]+") do
        local entry = json.decode(line)
        if entry and entry.target == "/wait/leaver" then
          return entry.aborted == true and entry.client_ip == "127.0.0.1"
        end
      end
    end)
    server:stop()
  end)
end)

describe("without an access log", function()
  it("nothing is written", function()
    local server = servers.start({ log = { level = "info", file = "stderr", access = false } })
    assert.equal(200, server:get("/text").status)
    server.process:signal("TERM")
    server.process:wait()
    local out, err, file = server:stdout(), server:stderr(), server:access_log()
    server:kill()
    assert.equal("", out)
    assert.equal("", file)
    assert.is_nil(err:find("/text", 1, true))
  end)
end)

describe("the access log by default", function()
  it("goes to stdout and is complete when the server has stopped", function()
    local server = servers.start({ log = { level = "info" } })
    for _ = 1, 50 do
      server:get("/text")
    end
    server.process:signal("TERM")
    server.process:wait()
    local _, lines = server:stdout():gsub('"GET /text HTTP/1.1" 200', "")
    server:kill()
    assert.equal(50, lines)
  end)
end)

describe("the error log", function()
  it("goes to a file if that is asked for", function()
    local server = servers.start({ log = { level = "info", file = "error.log", access = false } })
    server:get("/error")
    process.wait_until("the error is in the file", function()
      local text = process.read_file(server.folder .. "/error.log")
      return text and text:find("raised on purpose", 1, true)
    end)
    server:stop()
  end)

  it("keeps to its level", function()
    local server = servers.start({ log = { level = "error", file = "stderr", access = false } })
    server:get("/error")
    local log = server:wait_for_log("raised on purpose")
    assert.is_nil(log:find("info", 1, true))
    server:stop()
  end)
end)
