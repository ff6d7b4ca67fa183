--- Certificates of an ACME directory, which is Debian's pebble.
local pebbles = require("support.pebble")
local process = require("support.process")
local servers = require("support.server")
local socket = require("socket")
local tls = require("support.tls")

local PATIENCE = 120 -- seconds; a busy machine, and the wait behind a refusal (core/acme/plan.lua)
local pebble, server
after_each(function()
  local started = server
  server = nil
  pebble:stop()
  if started then
    started:stop()
  end
end)

local APP = [[
local app = require("moongate").app()
app:get("/", function() return "app" end)
app:get("/.well-known/acme-challenge/:token", function() return "the app's own" end)
return app
]]

local function acme(domain, more)
  local settings = { domains = { domain }, directory = pebble.directory, ca = pebble.ca }
  for key, value in pairs(more or {}) do
    settings[key] = value
  end
  return settings
end

local function start(settings, more)
  local config = {
    listen = {
      "127.0.0.1:" .. pebble.http_port,
      { address = "127.0.0.1:" .. pebble.tls_port, tls = settings },
    },
    workers = 2,
  }
  for key, value in pairs(more or {}) do
    config[key] = value
  end
  server = servers.start(config, { wait_for = pebble.tls_port, app = APP })
end

local function again()
  server.process = process.start({ servers.BINARY, "run", server.conf },
    server.folder .. "/stdout", server.folder .. "/stderr")
end

local function place(name)
  local folder = ("127.0.0.1-%d-dir"):format(pebble.port)
  return ("%s/var/acme/%s/%s"):format(server.folder, folder, name or "")
end

local function shown(name)
  local out = tls.s_client(pebble.tls_port, "", "-servername", name).out
  return out:match("issuer=([^\n]+)") or "", out:match("(%-%-%-%-%-BEGIN.-END CERTIFICATE)")
end

local function is_issued(name)
  return shown(name):find("Pebble", 1, true) ~= nil
end

-- What costs a process each time is not asked without a rest.
local function wait_calmly(what, condition)
  return process.wait_until(what, function()
    local result = condition()
    if not result then
      socket.sleep(0.1)
    end
    return result
  end, PATIENCE)
end

local function wait_for_certificate(name, other_than)
  local function kept()
    local pem = process.read_file(place(name .. ".pem")) or ""
    return pem:match("(%-%-%-%-%-BEGIN CERT.-END CERTIFICATE)")
  end
  local issued, fault = pcall(process.wait_until, name .. " is issued", function()
    local pem = kept()
    return pem and pem ~= other_than
  end, PATIENCE)
  assert(issued, tostring(fault) .. ":\n" .. server:stderr())
  return wait_calmly(name .. " is served", function()
    local issuer, pem = shown(name)
    return issuer:find("Pebble", 1, true) and pem ~= other_than and pem
  end)
end

local function says(text)
  process.wait_until("the log says: " .. text, function()
    return server:stderr():find(text)
  end, PATIENCE)
end

local function status(...)
  return process.run({ servers.BINARY, "status", server.conf, ... }, 30).out
end

local function mode(path)
  return process.run({ "stat", "-c", "%a", path }, 5).out:match("%d+")
end

local function children(name)
  return process.run({ "pgrep", "-P", tostring(server.process.pid), "-x", name }, 5).out
end

describe("ACME", function()
  it("gets a certificate, renews it, and keeps it while the directory is away", function()
    pebble = pebbles.prepare({ seconds = 5, refused_nonces = 50 })
    start({ acme = acme("a.test", { email = "me@a.test" }) })

    -- Nobody is there yet.
    assert.matches("CN = Moongate's throw%-away certificate", (shown("a.test")))
    says("a.test: no certificate yet, a self%-signed one is served until the directory")
    says("a.test: the directory cannot be reached: .*tried again in")
    assert.matches("a%.test: .*a self%-signed one.*cannot be reached", status())

    pebble:start()
    local first = wait_for_certificate("a.test")
    local second = wait_for_certificate("a.test", first)

    assert.equal("700", mode(place()))
    assert.equal("600", mode(place("a.test.pem")))
    assert.equal("600", mode(place("_account.pem")))
    local key = process.read_file(place("a.test.pem"))
    assert.matches("PRIVATE KEY", key)
    assert.not_equal(first, second)
    local found = status("--json")
    assert.matches('"domain":"a%.test"', found)
    assert.matches('"not_after":%d+', found)
    assert.matches("a%.test: until %d%d%d%d%-%d%d%-%d%d .*renewed", status())

    -- A reload keeps it, and whoever asks for it.
    local asks = children("moongate-acme")
    assert.matches("%d", asks)
    local reloaded = process.run({ servers.BINARY, "reload", server.conf }, 30)
    assert.equal(0, reloaded.status, reloaded.err)
    assert.is_true(is_issued("a.test"))
    assert.equal(asks, children("moongate-acme"))
    process.run({ "kill", "-KILL", asks:match("%d+") }, 5)
    says("the process that asks for certificates was killed[^\n]*it is started again")
    wait_calmly("another one asks", function()
      local others = children("moongate-acme")
      return others ~= asks and others:find("%d")
    end)

    -- What is there is served when it cannot be renewed, and told.
    pebble:halt()
    says("a.test: the directory cannot be reached: [^\n]*the one that is served ends")
    assert.is_true(is_issued("a.test"))
    assert.matches("cannot be reached", status())

    -- It has forgotten the account.
    local _, last = shown("a.test")
    pebble:start()
    wait_for_certificate("a.test", last)
    wait_calmly("the error is over", function()
      return not status():find("cannot be reached")
    end)
  end)

  it("shows over TLS whose a name is, to no client's certificate", function()
    pebble = pebbles.prepare():start()
    local folder = pebble.folder
    tls.make(folder, "ca")
    start({
      acme = acme("b.test", { challenge = "tls-alpn-01" }), client = "require",
      client_ca = folder .. "/ca.pem",
    })
    wait_for_certificate("b.test")
    -- Nothing may follow such a handshake, and none is answered when no challenge is under way.
    local run = tls.s_client(pebble.tls_port, "GET / HTTP/1.1\r\nHost: b.test\r\n\r\n",
      "-servername", "b.test", "-alpn", "acme-tls/1", "-quiet")
    assert.is_nil(run.out:find("HTTP/1.1", 1, true))
  end)

  it("goes on with an order after a restart", function()
    pebble = pebbles.prepare():start()
    start({ acme = acme("c.test") })
    local note = process.wait_until("an order is under way", function()
      return (process.read_file(place("c.test.json")) or ""):match('"order":"([^"]+)"')
    end)
    pebble.server:signal("STOP")
    server.process:destroy()
    assert.is_nil(process.read_file(place("c.test.pem")))
    pebble.server:signal("CONT")
    again()
    process.wait_until("the certificate is kept", function()
      return process.read_file(place("c.test.pem"))
    end)
    wait_for_certificate("c.test")
    assert.matches("^https://", note)
    assert.equal(1, pebble:count("POST /order%-plz %->"))
    assert.is_nil(process.read_file(place("c.test.next")))
  end)

  it("begins with an account that the directory's owner has made", function()
    local key = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"
    pebble = pebbles.prepare({ hmac_key = key }):start()
    start({ acme = acme("d.test") })
    says("d.test: [^\n]*external")
    assert.equal("the app's own", process.run({ "curl", "-s",
      ("http://127.0.0.1:%d/.well-known/acme-challenge/x"):format(pebble.http_port) }, 10).out)
    local text = process.read_file(server.conf)
    process.write_file(server.conf, (text:gsub('%["domains"%]',
      ('["key_id"] = "kid-1", ["hmac_key"] = %q, ["domains"]'):format(key))))
    local reloaded = process.run({ servers.BINARY, "reload", server.conf }, 30)
    assert.equal(0, reloaded.status, reloaded.err)
    wait_for_certificate("d.test") -- at once: other settings are tried at once
  end)

  it("asks nobody for anything unless it is wanted", function()
    pebble = pebbles.prepare()
    tls.make(pebble.folder, "e.test")
    start({ cert = pebble.folder .. "/e.test.pem", key = pebble.folder .. "/e.test.key" })
    assert.equal("", children("moongate-acme"))
    assert.is_nil(process.read_file(server.folder .. "/var/acme/lock"))
  end)
end)
