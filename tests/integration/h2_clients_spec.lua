--- Others' clients of HTTP/2.
local servers = require("support.server")
local process = require("support.process")
local wire = require("support.wire")
local json = require("dkjson")

describe("a server with http2", function()
  local server, url

  setup(function()
    local port = servers.free_port()
    server = servers.start({
      listen = { { address = "127.0.0.1:" .. port, http2 = true } },
    }, { wait_for = port })
    server.port = port
    url = "http://127.0.0.1:" .. port
  end)

  teardown(function()
    server:stop()
  end)

  local function run(...)
    local result = process.run({ ... })
    assert.equal(0, result.status, result.err)
    return result.out
  end

  it("serves curl, which knows it, asks to switch, or knows nothing", function()
    local format = "%{http_version} %{http_code}"
    assert.equal("hello\n2 200",
      run("curl", "-sS", "--http2-prior-knowledge", "-w", format, url .. "/text"))
    assert.equal("hello\n1.1 200", run("curl", "-sS", "--http2", "-w", format, url .. "/text"))
    assert.equal("hello\n1.1 200", run("curl", "-sS", "--http1.1", "-w", format, url .. "/text"))
  end)

  it("takes curl's uploads and sends it large answers", function()
    local curl = { "curl", "-sS", "--http2-prior-knowledge" }
    local folder = process.temp_folder()
    process.write_file(folder .. "/up", ("x"):rep(2 ^ 20))
    local sent = { unpack(curl) }
    for _, word in ipairs({ "--data-binary", "@" .. folder .. "/up", url .. "/large" }) do
      sent[#sent + 1] = word
    end
    assert.truthy(run(unpack(sent)):find("1048576", 1, true))
    process.remove_folder(folder)
    assert.equal("1024000", run("curl", "-sS", "--http2-prior-knowledge", "-o", "/dev/null", "-w",
      "%{size_download}", url .. "/big/1000"))
  end)

  it("logs them as HTTP/2.0", function()
    run("curl", "-sS", "--http2-prior-knowledge", url .. "/text?logged")
    process.wait_until("the line is logged", function()
      return server:access_log():find('"GET /text?logged HTTP/2.0" 200 6', 1, true)
    end)
  end)

  it("serves nghttp, with priorities and many at a time", function()
    local urls = {}
    for i = 1, 20 do
      urls[i] = url .. "/big/" .. i
    end
    local out = run("nghttp", "-ns", unpack(urls))
    local answers = 0
    for _ in out:gmatch(" 200 +[%d%.KM]+ /big/%d+") do
      answers = answers + 1
    end
    assert.equal(20, answers, out)
  end)

  it("serves h2load", function()
    local out = run("h2load", "-n2000", "-c10", "-m32", url .. "/text")
    assert.truthy(out:find("2000 succeeded, 0 failed, 0 errored, 0 timeout", 1, true), out)
    assert.truthy(out:find("status codes: 2000 2xx", 1, true), out)
  end)

  it("serves node's http2", function()
    local results = json.decode(run("node", "tests/integration/support/h2_node.js",
      tostring(server.port)))
    assert.same({ bytes = 6, status = 200 }, results[1])
    assert.same({ bytes = 1024000, status = 200 }, results[2])
    assert.equal(200, results[3].status)
    assert.equal(200, results[4].status)
    assert.equal(404, results[5].status)
  end)
end)

describe("a server with http2 and tls", function()
  it("lets ALPN choose", function()
    local folder = process.temp_folder()
    local key, pair = folder .. "/site.key", folder .. "/site.pem"
    local made = process.run({ "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
      "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
      "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out", pair })
    assert.equal(0, made.status, made.err)
    local port = servers.free_port()
    local server = servers.start({
      listen = { {
        address = "127.0.0.1:" .. port, http2 = true, tls = { cert = pair, key = key },
      } },
    }, { wait_for = port })
    local function ask(...)
      local result = process.run({
        "curl", "-sS", "-4", "--cacert", pair, "-w", "%{http_version}", ...
      })
      assert.equal(0, result.status, result.err)
      return result.out
    end
    local url = "https://localhost:" .. port .. "/text"
    assert.equal("hello\n2", ask("--http2", url))
    assert.equal("hello\n1.1", ask("--http1.1", url))
    assert.equal("421", ask("--http2", "-H", "Host: other.test", "-o", "/dev/null", "-w",
      "%{http_code}", url))
    server:stop()
    process.remove_folder(folder)
  end)
end)

describe("a server without http2", function()
  it("refuses the client's preface as a request that it cannot read", function()
    local server = servers.start()
    local conn = server:connect()
    conn:send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    local res = conn:read()
    assert.is_true(res.status == 400 or res.status == 505)
    assert.equal("", conn:take_rest())
    assert.equal("hello\n", server:request(wire.get("/text")).body)
    server:stop()
  end)
end)
