local client_class = require("moongate.core.acme.client")
local json = require("moongate.json")
local test = require("moongate.test")
local acme = dofile("spec/fixture/acme.lua")

local app, keeper, directory, client

local function new_client(more)
  local wish = setmetatable(more or {}, { __index = acme.WISH })
  client = client_class.new(wish, keeper)
  return client
end

before_each(function()
  app = test.app(function() end)
  keeper = acme.keeper()
  directory = acme.directory(app, keeper)
  new_client()
end)
after_each(function()
  app:assert_no_leaks()
end)

local function post(...)
  return app:run(client.post, client, "https://ca.test/my", ...)
end

-- The fault that a call ends with.
local function fault_of(fn, ...)
  local ok, err = app:run(pcall, fn, ...)
  assert.is_false(ok)
  assert.is_true(client_class.is_fault(err), tostring(err))
  return err
end

describe("core/acme/client", function()
  it("makes an account once, and signs with its address from then on", function()
    new_client({ email = "me@a.test" })
    post({ a = 1 })
    post({ a = 2 })
    assert.same({ "dir", "account", "my", "my" }, directory.names)
    local account = json.decode(json.decode(directory.requests[2].body).payload)
    assert.same({ termsOfServiceAgreed = true, contact = { "mailto:me@a.test" } }, account)
    local head = json.decode(json.decode(directory.requests[3].body).head)
    assert.equal("https://ca.test/my", head.kid)
    assert.equal("ES256", head.alg)
    assert.is_nil(head.jwk)
    assert.equal("application/jose+json", directory.requests[3].headers["content-type"])
    assert.matches("^moongate/", directory.requests[3].headers["user-agent"])
    assert.same({ url = "https://ca.test/my", email = "me@a.test" },
      json.decode(keeper.notes._account))
  end)

  it("knows the account again, and tells of another address for mail", function()
    post({})
    new_client()
    post({})
    assert.equal(1, directory:count("account"))
    new_client({ email = "new@a.test" })
    app:run(client.account, client)
    assert.same({ contact = { "mailto:new@a.test" } }, directory.account)
    new_client()
    app:run(client.account, client)
    assert.equal(json.encode({ contact = json.array() }), json.encode(directory.account))
  end)

  it("begins anew with a directory that has forgotten the account", function()
    post({})
    local forgotten = true
    directory.before = function(name)
      if name == "my" and forgotten then
        return directory:problem(400, "accountDoesNotExist")
      elseif name == "account" then
        forgotten = false
      end
    end
    assert.equal(200, post({}).status)
    assert.equal(2, directory:count("account"))
  end)

  it("tries again with a fresh nonce as often as that is all that is wrong", function()
    post({})
    local left = 20
    directory.before = function()
      left = left - 1
      return left >= 0 and directory:problem(400, "badNonce") or nil
    end
    assert.equal(200, post({}).status)
    directory.before = function()
      return directory:problem(400, "badNonce")
    end
    assert.equal("badNonce", fault_of(client.post, client, "https://ca.test/my", {}).type)
  end)

  it("proves an account that the directory's owner has made", function()
    new_client({ key_id = "kid", hmac_key = "secret" })
    app:run(client.account, client)
    local binding = directory.account.externalAccountBinding
    assert.equal("secret", binding.key)
    assert.same({ alg = "HS256", kid = "kid", url = "https://ca.test/account" },
      json.decode(binding.head))
    assert.equal('{"kty":"EC"}', binding.payload)
  end)

  it("tells what the directory refuses, and when it may be asked again", function()
    post({})
    directory.before = function()
      return directory:problem(429, "rateLimited", { ["Retry-After"] = "3600" })
    end
    local fault = fault_of(client.post, client, "https://ca.test/my", {})
    assert.same({ "refused", "rateLimited", 3600 }, { fault.kind, fault.type, fault.retry_after })
    assert.equal("it says rateLimited [rateLimited]", tostring(fault))
    assert.is_true(client.blocked_until > require("moongate").now() + 3500)
    directory.before = function()
      return {
        status = 403, body = '{"type":"x","detail":"a\\nb","subproblems":[{"detail":"part"}]}',
      }
    end
    assert.equal("a b (part)", tostring(fault_of(client.post, client, "https://ca.test/my", {})))
  end)

  it("tells a directory that does not work from one that refuses", function()
    post({})
    directory.before = function()
      return { status = 503, headers = { ["Retry-After"] = "9" }, body = "<html>" }
    end
    local fault = fault_of(client.post, client, "https://ca.test/my", {})
    assert.same({ "unreached", "the directory answered 503", 9 },
      { fault.kind, fault.text, fault.retry_after })
    app:stub_http({ pattern = "." }, test.fail("connect", "refused"))
    fault = fault_of(client.post, client, "https://ca.test/my", {})
    assert.same({ "unreached", "the directory cannot be reached: https://ca.test:443: refused" },
      { fault.kind, fault.text })
  end)

  it("asks for a nonce if it has none", function()
    post({})
    directory.before = function(name)
      return name == "my" and { status = 200, body = "{}" } or nil -- without one
    end
    post({})
    assert.equal(0, directory:count("nonce"))
    post({})
    assert.equal(1, directory:count("nonce"))
  end)

  it("refuses what is no directory", function()
    directory.before = function()
      return { json = { meta = {} } }
    end
    assert.matches("https://ca.test/dir is no ACME directory: it has no newNonce",
      tostring(fault_of(client.account, client)))
    directory.before = function()
      return "<html>"
    end
    new_client()
    assert.matches("the directory answered 200", tostring(fault_of(client.account, client)))
  end)

  it("waits as it is told until something is decided, but not for ever", function()
    local looks = 0
    directory.before = function(name)
      if name == "order-1" then
        looks = looks + 1
        return directory:object({ status = looks < 3 and "processing" or "valid" },
          { ["Retry-After"] = "7" })
      end
    end
    local url = "https://ca.test/order-1"
    assert.equal("valid", app:run(client.poll, client, url, { processing = true }).status)
    assert.near(14, app.clock:elapsed(), 0.5)
    looks = -1000
    assert.matches("has not decided within 180 s",
      tostring(fault_of(client.poll, client, url, { processing = true })))
  end)
end)
