--- TLS listeners, as openssl and curl see them.
local http = require("support.http")
local process = require("support.process")
local servers = require("support.server")
local tls = require("support.tls")

local APP = [[
local moongate = require("moongate")
local app = moongate.app()
app:get("/tls", function(ctx)
  return { scheme = ctx.scheme, tls = ctx.tls or false }
end)
app:get("/secret", function(ctx)
  local ok = pcall(function() assert(io.open(ctx.query.path)) end)
  return { readable = ok }
end)
return app
]]

local folder, server, port
setup(function()
  folder = process.temp_folder()
  tls.make(folder, "a.test", { alt = "DNS:a.test,DNS:*.wild.test,IP:127.0.0.1" })
  tls.make(folder, "rsa", { alt = "DNS:a.test", rsa = true })
  tls.make(folder, "b.test")
  tls.make(folder, "client", {
    subject = "/O=Moon/CN=ada", alt = "DNS:ada.test,email:ada@moon.test",
  })
  tls.make(folder, "stranger")
end)
teardown(function()
  process.remove_folder(folder)
end)

local function file(name)
  return folder .. "/" .. name
end

local function pair(name)
  return { cert = file(name .. ".pem"), key = file(name .. ".key") }
end

local function start(settings, options)
  port = servers.free_port()
  options = options or {}
  options.listen = {
    { address = "127.0.0.1:" .. port, tls = settings },
  }
  options.log = options.log
    or { level = "info", file = "stderr", access = "access.log", format = "json" }
  server = servers.start(options, { app = APP, wait_for = port })
  server.port = port
end

after_each(function()
  if server then
    server:stop()
    server = nil
  end
end)

local SITE = { certificates = {} }
before_each(function()
  SITE.ticket_keys = nil
  SITE.certificates = { pair("a.test"), pair("rsa"), pair("b.test") }
end)

local function shown_subject(...)
  return tls.s_client(port, "", ...).out:match("subject=CN = ([^\n]+)")
end

describe("TLS", function()
  it("1.3 and 1.2 are spoken, nothing older, nothing compressed, never renegotiated", function()
    start(SITE)
    assert.matches("TLSv1.3, Cipher is TLS_AES_128_GCM_SHA256", tls.s_client(port, "").out, 1, true)
    local out = tls.s_client(port, "", "-tls1_2").out
    assert.matches("ECDHE-ECDSA-AES128-GCM-SHA256", out, 1, true)
    assert.matches("Compression: NONE", out, 1, true)
    assert.not_equal(0, tls.s_client(port, "", "-tls1_1", "-cipher", "ALL:@SECLEVEL=0").status)
    local again = tls.s_client(port, "R\\n", "-tls1_2")
    assert.matches("no renegotiation", again.err .. again.out)
  end)

  it("prefers the server's order of ciphers, and has no weak ones", function()
    start(SITE)
    for _, words in ipairs({
      { "-cipher", "AES128-GCM-SHA256:AES128-SHA:@SECLEVEL=0" }, -- RSA's key exchange
      { "-cipher", "DHE-RSA-AES128-GCM-SHA256:@SECLEVEL=0" },
      { "-cipher", "ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES128-SHA256:@SECLEVEL=0" }, -- CBC
      { "-cipher", "aNULL:eNULL:@SECLEVEL=0" },
      { "-cipher", "DEFAULT@SECLEVEL=0", "-sigalgs", "ECDSA+SHA1:RSA+SHA1" },
      { "-groups", "secp224r1" },
    }) do
      assert.not_equal(0, tls.s_client(port, "", "-tls1_2", unpack(words)).status, words[2])
    end
    local out = tls.s_client(port, "", "-tls1_2", "-cipher",
      "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256").out
    assert.matches("Cipher is ECDHE-ECDSA-AES128-GCM-SHA256", out, 1, true)
  end)

  it("minimum = 1.3 refuses 1.2 in the handshake", function()
    start({ cert = file("a.test.pem"), key = file("a.test.key"), minimum = "1.3" })
    assert.not_equal(0, tls.s_client(port, "", "-tls1_2").status)
    assert.equal(0, tls.s_client(port, "", "-tls1_3").status)
  end)

  it("shows each name its certificate, wildcards too, and the first one to all others", function()
    start(SITE)
    assert.equal("a.test", shown_subject("-servername", "a.test"))
    assert.equal("b.test", shown_subject("-servername", "b.test"))
    assert.equal("b.test", shown_subject("-servername", "B.TEST"))
    assert.equal("a.test", shown_subject("-servername", "x.wild.test"))
    assert.equal("a.test", shown_subject("-servername", "other.test"))
    assert.equal("a.test", shown_subject("-noservername"))
  end)

  it("has an RSA certificate beside the ECDSA one for the same name", function()
    start(SITE)
    local out = tls.s_client(port, "", "-tls1_2", "-servername", "a.test", "-cipher", "aRSA").out
    assert.matches("Peer signature type: RSA", out, 1, true)
    out = tls.s_client(port, "", "-tls1_2", "-servername", "a.test", "-cipher", "aECDSA").out
    assert.matches("Peer signature type: ECDSA", out, 1, true)
  end)

  it("answers 421 for a name that is at home elsewhere", function()
    start(SITE)
    local function status(sni, host)
      return tls.curl("-o", "/dev/null", "-w", "%{http_code}", "--resolve",
        ("%s:%d:127.0.0.1"):format(sni, port), "-H", "Host: " .. host,
        ("https://%s:%d/tls"):format(sni, port)).out
    end
    assert.equal("200", status("a.test", "a.test"))
    assert.equal("200", status("a.test", "a.test:" .. port))
    assert.equal("200", status("a.test", "y.wild.test"))
    assert.equal("421", status("a.test", "b.test"))
    assert.equal("421", status("a.test", "nobody.test"))
    assert.equal("200", status("other.test", "other.test"))
    assert.equal("200", tls.curl("-o", "/dev/null", "-w", "%{http_code}",
      ("https://127.0.0.1:%d/tls"):format(port)).out)
  end)

  it("tells scripts: ctx.tls, ctx.scheme; and the access log", function()
    start(SITE)
    local told = http.json({ body = tls.get(port, "a.test").out })
    assert.equal("https", told.scheme)
    assert.equal("TLSv1.3", told.tls.version)
    assert.equal("TLS_AES_128_GCM_SHA256", told.tls.cipher)
    assert.equal("a.test", told.tls.server_name)
    assert.equal("http/1.1", told.tls.alpn)
    assert.is_false(told.tls.resumed)
    assert.is_nil(told.tls.client)
    process.wait_until("the access log has it", function()
      return server:access_log():find('"tls":"TLSv1.3"', 1, true)
    end)
  end)

  it("answers plain HTTP with a 400 in plain text that says so", function()
    start(SITE)
    local res = server:get("/tls")
    assert.equal(400, res.status)
    assert.matches("text/plain", res.headers["content-type"])
    assert.matches("speaks HTTPS", res.body)
  end)

  it("closes what shakes no hands within timeouts.handshake", function()
    start(SITE, { timeouts = { handshake = 0.2 } })
    local conn = server:connect()
    assert.is_true(conn:is_closed())
    conn:close()
    conn = server:connect()
    conn:send("\22\3\1\0\200\1") -- a hello that never comes whole
    assert.is_true(conn:is_closed())
    conn:close()
  end)

  it("logs handshakes that fail, calmly and not each", function()
    local tries = 60
    start(SITE)
    for _ = 1, tries do
      local conn = server:connect()
      conn:send("\22\3\1\0\5hello")
      conn:is_closed()
      conn:close()
    end
    local log = server:wait_for_log("handshake")
    local _, lines = log:gsub("info%s+[^\n]*handshake", "")
    assert.is_true(lines >= 1 and lines < tries, log)
    assert.is_nil(log:find("error ", 1, true))
    local status = process.run({ servers.BINARY, "status", server.conf }, 10).out
    local failed = tonumber(status:match("(%d+) TLS handshakes failed"))
    assert.is_true(failed and failed >= tries, status) -- the look whether it listens is one too
    assert.matches("3 certificates, the first expires in 29 days: " .. folder, status, 1, true)
  end)
end)

describe("certificates of clients", function()
  local CLIENT
  before_each(function()
    CLIENT = {
      cert = file("a.test.pem"), key = file("a.test.key"), client_ca = file("client.pem"),
    }
  end)

  local function with(name)
    return "--cert", file(name .. ".pem"), "--key", file(name .. ".key")
  end

  it("are required in the handshake", function()
    CLIENT.client = "require"
    start(CLIENT)
    assert.not_equal(0, tls.get(port, "a.test").status)
    assert.not_equal(0, tls.get(port, "a.test", with("stranger")).status)
    local client = http.json({ body = tls.get(port, "a.test", with("client")).out }).tls.client
    assert.equal("CN=ada,O=Moon", client.subject)
    assert.same({ "ada.test", "ada@moon.test" }, client.names)
    assert.matches("^%x+$", client.fingerprint)
    assert.equal(64, #client.fingerprint)
    local run = process.run({
      "openssl", "x509", "-in", file("client.pem"), "-noout", "-fingerprint", "-sha256",
    }, 10)
    assert.equal(run.out:match("=(%S+)"):gsub(":", ""):lower(), client.fingerprint)
    assert.is_true(client.not_after > os.time() + 29 * 86400)
  end)

  it("may be asked for only; a bad one is refused still", function()
    CLIENT.client = "request"
    start(CLIENT)
    assert.is_nil(http.json({ body = tls.get(port, "a.test").out }).tls.client)
    assert.equal("CN=ada,O=Moon",
      http.json({ body = tls.get(port, "a.test", with("client")).out }).tls.client.subject)
    assert.not_equal(0, tls.get(port, "a.test", with("stranger")).status)
  end)
end)

describe("sessions", function()
  local function session(name, version)
    local path = file(("session-%s%s"):format(name, version))
    tls.s_client(port, "GET /tls HTTP/1.0\\r\\n\\r\\n", "-ign_eof", version, "-servername", name,
      "-sess_out", path)
    return path
  end

  local function resumes(path, name, version)
    local out = tls.s_client(port, "GET /tls HTTP/1.0\\r\\n\\r\\n", "-ign_eof", version,
      "-servername", name, "-sess_in", path).out
    return out:find("\nReused, ") ~= nil
  end

  for _, version in ipairs({ "-tls1_2", "-tls1_3" }) do
    it("come back to any worker, also after reloads and deaths " .. version, function()
      start(SITE, { workers = 2 })
      local path = session("a.test", version)
      for _ = 1, 4 do
        assert.is_true(resumes(path, "a.test", version))
      end
      server.process:signal("HUP")
      server:wait_for_log("reloaded: generation 2")
      assert.is_true(resumes(path, "a.test", version))
      for pid in process.run({ "pgrep", "-P", tostring(server.pid) }, 5).out:gmatch("%d+") do
        process.run({ "kill", "-9", pid }, 5)
      end
      server:wait_for_log("worker 1 serves again")
      server:wait_for_log("worker 2 serves again")
      assert.is_true(resumes(path, "a.test", version))
    end)

    it("are not resumed under another name " .. version, function()
      start(SITE)
      local path = session("a.test", version)
      assert.is_false(resumes(path, "x.wild.test", version))
      assert.is_true(resumes(path, "a.test", version))
    end)
  end

  it("are shared by a fleet that has the same ticket_keys", function()
    local keys = process.run({ "openssl", "rand", "-hex", "80" }, 10).out
    process.write_file(file("tickets"), keys)
    SITE.ticket_keys = file("tickets")
    start(SITE)
    local path = session("a.test", "-tls1_3")
    server:stop()
    start(SITE)
    SITE.ticket_keys = nil
    assert.is_true(resumes(path, "a.test", "-tls1_3"))
  end)

  it("are forgotten when their key has been replaced three times", function()
    start(SITE, { timeouts = { ticket_keys = 0.2 } })
    local path = session("a.test", "-tls1_2")
    process.wait_until("its key is gone", function()
      return not resumes(path, "a.test", "-tls1_2")
    end)
  end)

  it("carry no early data", function()
    start(SITE)
    local out = tls.s_client(port, "GET /tls HTTP/1.0\\r\\n\\r\\n", "-ign_eof", "-tls1_3").out
    assert.matches("Max Early Data: 0", out, 1, true)
  end)
end)

describe("a crowd of half-open handshakes", function()
  it("leaves ordinary requests alive, and makes room when descriptors run out", function()
    start(SITE, { limits = { descriptors = 300 }, timeouts = { handshake = 60 } })
    local crowd = {}
    for i = 1, 600 do
      crowd[i] = server:connect()
      if i % 100 == 0 then
        assert.matches("TLSv1.3", tls.get(port, "a.test").out, 1, true)
      end
    end
    for _, conn in ipairs(crowd) do
      conn:close()
    end
  end)
end)
