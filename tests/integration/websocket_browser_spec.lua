--- Chromium as a peer of WebSockets, over HTTP/1.1 and, with TLS, over HTTP/2 (RFC 8441): a page
--- opens them and tells what came of them.
local json = require("dkjson")
local process = require("support.process")
local servers = require("support.server")
local tls = require("support.tls")
local wire = require("support.wire")

local PAGE = "tests/integration/support/websocket_page.html"
local PATIENCE = 120 -- seconds that a browser may take to begin, on a machine that does much else

local APP = [[
local moongate = require("moongate")
local app = moongate.app()
local told = {}

local echo = {
  message = function(ws, data, kind)
    local code, reason = data:match("^close (%%d+) (.*)$")
    if code then
      return ws:close(tonumber(code), reason)
    elseif data == "fail" then
      error("oops")
    end
    ws:send(data, kind)
  end,
}
app:websocket("/echo", { protocols = { "echo.v1" } }, echo)
app:websocket("/deflate", { deflate = true }, echo)
app:websocket("/elsewhere", { origins = { "https://elsewhere.test" } }, echo)
app:websocket("/open", { origins = { "http://127.0.0.1:%d", "https://127.0.0.1:%d" } }, echo)

app:get("/page", function(ctx) return ctx:send_file("public/page.html") end)
app:post("/told", function(ctx)
  told[ctx.scheme] = ctx:body_json():await()
  return 204, ""
end)
app:get("/told", function() return told end)
return app
]]

describe("WebSockets of Chromium", function()
  local folder, server, browser, plain, secure, told

  setup(function()
    folder = process.temp_folder()
    tls.make(folder, "page.test", { alt = "IP:127.0.0.1" })
    plain, secure = servers.free_port(), servers.free_port()
    server = servers.start({
      listen = {
        "127.0.0.1:" .. plain,
        { address = "127.0.0.1:" .. secure, http2 = true,
          tls = { cert = folder .. "/page.test.pem", key = folder .. "/page.test.key" } },
      },
    }, { app = APP:format(plain, secure), wait_for = plain })
    server.port = plain
    process.make_folder(server.folder .. "/public")
    process.write_file(server.folder .. "/public/page.html", assert(process.read_file(PAGE)))
    browser = process.start({
      "chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
      "--no-first-run", "--disable-background-networking", "--ignore-certificate-errors",
      "--user-data-dir=" .. folder .. "/profile",
      ("http://127.0.0.1:%d/page?other=wss://127.0.0.1:%d&next=https://127.0.0.1:%d/page"):format(
        plain, secure, secure),
    }, folder .. "/out", folder .. "/err")
    told = process.wait_until("both pages have told", function()
      local all = json.decode(server:request(wire.get("/told")).body)
      return all.http and all.https and all
    end, PATIENCE)
  end)
  teardown(function()
    if browser then
      browser:destroy()
    end
    server:stop()
    process.remove_folder(folder)
  end)

  local MESSAGES = { "h\195\169llo \240\159\140\153", "0,255,128", 100000 }
  local REFUSED = { opened = false, messages = {}, code = 1006, reason = "", clean = false }

  for _, scheme in ipairs({ "http", "https" }) do
    describe("from a page over " .. scheme, function()
      it("are answered, and closed as the page says", function()
        local echo = told[scheme].echo
        assert.same(MESSAGES, echo.messages)
        assert.same({ "echo.v1", "", 4000, true },
          { echo.protocol, echo.extensions, echo.code, echo.clean })
      end)

      it("are compressed where that is agreed on", function()
        local deflate = told[scheme].deflate
        assert.same(MESSAGES, deflate.messages)
        assert.matches("permessage%-deflate", deflate.extensions)
        assert.equal(4000, deflate.code)
      end)

      it("are closed by the server", function()
        local closed, failed = told[scheme].closed, told[scheme].failed
        assert.same({ 4001, "go away", true }, { closed.code, closed.reason, closed.clean })
        assert.same({ 1011, true }, { failed.code, failed.clean })
      end)

      it("are refused to pages of other origins", function()
        assert.same(REFUSED, told[scheme].refused)
      end)
    end)
  end

  it("of a page over http are refused, or taken, by another host", function()
    assert.same(REFUSED, told.http.foreign)
    assert.same(MESSAGES, told.http.welcome.messages)
  end)

  it("go over HTTP/2 where the page came over it", function()
    process.wait_until("the access log has them", function()
      local log = server:access_log()
      return log:find('"GET /echo HTTP/1.1" 101 ', 1, true)
        and log:find('"GET /echo HTTP/2.0" 200 ', 1, true)
    end)
  end)
end)
