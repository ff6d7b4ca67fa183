--- What servers of specs answer, as bytes.
local reply = require("moongate.test.reply")
local helpers = dofile("spec/fixture/helpers.lua")

local function head(answer, method)
  return reply.head(reply.new(answer), method or "GET")
end

describe("a stub's answer", function()
  it("is the body of a 200, or says more", function()
    assert.equal("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi", head("hi"))
    assert.equal("HTTP/1.1 404 Not Found\r\nX-A: 1\r\nX-A: 2\r\ncontent-length: 0\r\n\r\n",
      head({ status = 404, headers = { ["X-A"] = { "1", 2 } } }))
    assert.equal("HTTP/1.1 200 OK\r\nset-cookie: a=1\r\nset-cookie: b=2\r\n"
      .. "content-type: application/json\r\ncontent-length: 3\r\n\r\n[1]",
      head({ json = { 1 }, cookies = { "a=1", "b=2" } }))
  end)

  it("keeps the type and the length that it says itself", function()
    assert.equal("HTTP/1.1 200 OK\r\nContent-Type: text/x\r\ncontent-length: 1\r\n\r\n1",
      head({ json = 1, headers = { ["Content-Type"] = "text/x" } }))
    assert.equal("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
      head({ body = "short", headers = { ["Content-Length"] = "9" } }))
  end)

  it("has no body where HTTP has none", function()
    assert.equal("HTTP/1.1 204 No Content\r\n\r\n", head({ status = 204 }))
    assert.equal("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n", head("hi", "HEAD"))
  end)

  it("is written in pieces by a function", function()
    local sent = {}
    local conn = { peer = { send = function(_, bytes)
      sent[#sent + 1] = bytes
    end, close = function()
      sent[#sent + 1] = "closed"
    end } }
    local response = reply.new({ body = function(out)
      out:write("abc"):write(""):write(12)
    end })
    assert.equal("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
      reply.head(response, "GET"))
    reply.write(conn, response)
    assert.same({ "3\r\nabc\r\n", "2\r\n12\r\n", "0\r\n\r\n" }, sent)
    sent = {}
    reply.write(conn, reply.new({ headers = { ["content-length"] = "3" }, body = function(out)
      out:write("abc")
      out:close()
      out:write("d")
    end }))
    assert.same({ "abc", "closed" }, sent)
  end)

  it("is refused at the spec's line", function()
    helpers.refused(function()
      reply.new({ statos = 1 })
    end, "the stub's answer: .*mean 'status'")
    helpers.refused(function()
      reply.new(7)
    end, "a stub of HTTP answers .* or a body, not number")
    helpers.refused(function()
      reply.new({ headers = { A = "1\r\nB: 2" } })
    end, "the stub's answer: a line break in the header field A")
  end)
end)
