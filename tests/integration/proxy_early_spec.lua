--- The proxy: an answer that comes while the upload still runs is relayed, in all framings, and the
--- connections are dealt with so that nothing of the one request is taken for another.
local proxy = require("support.proxy")
local upstreams = require("support.upstream")
local wire = require("support.wire")

local END, RESET = { ["end"] = true }, { reset = true }
local LENGTH = "HTTP/1.1 413 Too Large\r\nContent-Length: 4\r\n\r\nbig!"
local CHUNKED = "HTTP/1.1 401 Who\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nwho?\r\n0\r\n\r\n"
local CLOSING = "HTTP/1.1 413 Too Large\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbig!"
local UNTIL_CLOSE = "HTTP/1.1 413 Too Large\r\n\r\nbig!"

local upstream, raw, gateway

setup(function()
  upstream = upstreams.start()
  raw = upstream:listen({ kind = "raw" })
  raw:script("/good", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood")
  gateway = proxy.start({ raw }, { limits = { body = "64M" } })
end)
teardown(function()
  gateway:stop()
  raw:close()
  upstream:stop()
end)
before_each(function()
  raw:begin_anew()
end)

local MANY = ("x"):rep(1000000)

local UPLOADS = {
  ["with a length"] = function(target)
    return wire.head_of("POST", target, "Content-Length: 30000000") .. "\r\n", MANY
  end,
  ["in chunks"] = function(target)
    return wire.head_of("POST", target, "Transfer-Encoding: chunked") .. "\r\n",
      ("%x\r\n%s\r\n"):format(#MANY, MANY)
  end,
}

local ANSWERS = {
  ["with a length"] = { { LENGTH }, 413, "big!" },
  ["in chunks"] = { { CHUNKED }, 401, "who?" },
  ["that closes"] = { { CLOSING, END }, 413, "big!" },
  ["that ends with the connection"] = { { UNTIL_CLOSE, END }, 413, "big!" },
}

for how, prefix in pairs(proxy.PREFIXES) do
  describe("an early answer, " .. how .. ",", function()
    for upload, make in pairs(UPLOADS) do
      for answer, part in pairs(ANSWERS) do
        it(answer .. " to an upload " .. upload .. " is relayed", function()
          raw:script("/x", { part[1] }, { answer_at = "head" })
          local conn = gateway:connect()
          local head, piece = make(prefix .. "/x")
          conn:send(head)
          conn:send(piece)
          local res = conn:read("POST")
          assert.equal(part[2], res.status)
          assert.equal(part[3], res.body)
          conn:close()
          -- Nothing of the upload is taken for another request, by nobody.
          assert.equal("good", gateway:get(prefix .. "/good").body)
          for _, seen in ipairs(raw:seen().requests) do
            assert.truthy(seen.head:match("^POST /x ") or seen.head:match("^GET /good "), seen.head)
          end
        end)
      end

      it("before the head of an upload " .. upload .. " is whole at the upstream is relayed",
        function()
          raw:script("/x", { { LENGTH, { wait_ms = 20 }, RESET } }, { answer_at = "head" })
          local conn = gateway:connect()
          local head, piece = make(prefix .. "/x")
          conn:send(head)
          conn:send(piece)
          local res = conn:read("POST")
          assert.equal(413, res.status)
          conn:close()
        end)
    end

    it("to a small upload keeps both connections", function()
      raw:script("/x", LENGTH)
      local conn = gateway:connect()
      for _ = 1, 3 do
        assert.equal(413, conn:request(wire.post(prefix .. "/x", "small"), "POST").status)
      end
      conn:close()
      assert.equal(1, raw:seen().connections)
    end)

    it("is not waited for behind an upload that stands still", function()
      raw:script("/x", LENGTH, { answer_at = "head" })
      local conn = gateway:connect()
      conn:send(wire.head_of("POST", prefix .. "/x", "Content-Length: 100") .. "\r\nsome")
      local res = conn:read("POST")
      assert.equal(413, res.status)
      assert.equal("big!", res.body)
      conn:close()
    end)
  end)
end
