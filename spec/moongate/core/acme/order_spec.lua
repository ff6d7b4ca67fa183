local client_class = require("moongate.core.acme.client")
local order = require("moongate.core.acme.order")
local test = require("moongate.test")
local acme = dofile("spec/fixture/acme.lua")

local app, keeper, directory, state

local function wish_of(more)
  return setmetatable(more or {}, { __index = acme.WISH })
end

before_each(function()
  app = test.app(function() end)
  keeper = acme.keeper()
  directory = acme.directory(app, keeper)
  state = { saves = {} }
  function state:save()
    self.saves[#self.saves + 1] = self.order or false
  end
end)
after_each(function()
  app:assert_no_leaks()
end)

local function run(more)
  local wish = wish_of(more)
  return app:run(pcall, order.run, client_class.new(wish, keeper), wish, state)
end

describe("core/acme/order", function()
  it("proves the name, asks for the certificate and keeps it", function()
    assert.is_true(run())
    assert.same({ type = "dns", value = "a.test" }, directory.asked.identifiers[1])
    assert.same({ { "http-01", "a.test", "token.thumb" } }, keeper.shows)
    assert.is_nil(keeper.shown) -- not longer than need be
    assert.equal("csr-a.test", directory.csr)
    assert.not_nil(keeper.certificates["a.test"])
    assert.same({ "https://ca.test/order-1", false }, state.saves)
    assert.is_nil(directory.asked.replaces)
  end)

  it("uses the other challenge if that is wanted", function()
    assert.is_true(run({ challenge = "tls-alpn-01" }))
    assert.equal("tls-alpn-01", keeper.shows[1][1])
  end)

  it("says which challenges there are if the wanted one is not", function()
    directory.challenges = { "dns-01", "tls-alpn-01" }
    local ok, fault = run()
    assert.is_false(ok)
    assert.equal("the directory does not look at http-01 for a.test, but at dns-01, tls-alpn-01",
      tostring(fault))
  end)

  it("shows nothing where the name is believed already", function()
    directory.before = function(name)
      if name == "authz" then
        directory.status.authz, directory.status.order = "valid", "ready"
      end
    end
    assert.is_true(run())
    assert.same({}, keeper.shows)
  end)

  it("names the certificate that it replaces to a directory that wants to know", function()
    directory.window = {}
    state.replaces = "id-a.test"
    assert.is_true(run())
    assert.equal("id-a.test", directory.asked.replaces)
  end)

  it("tells why the name is not believed, and begins anew the next time", function()
    directory.before = function(name)
      if name == "authz" and directory.status.authz == "invalid" then
        return directory:object({
          status = "invalid",
          challenges = { {
            type = "http-01",
            error = { type = "urn:ietf:params:acme:error:connection", detail = "nobody is there" },
          } },
        })
      elseif name == "challenge" then
        directory.status = { order = "invalid", authz = "invalid" }
        return directory:object({})
      end
    end
    local ok, fault = run()
    assert.is_false(ok)
    assert.equal("nobody is there [connection]", tostring(fault))
    assert.is_nil(keeper.shown)
    assert.is_nil(state.order)
    directory.before = nil
    assert.is_true(run())
    assert.equal(2, directory.orders)
  end)

  it("does not keep what does not fit", function()
    directory.before = function(name)
      return name == "certificate" and "nonsense" or nil
    end
    local ok, fault = run()
    assert.same({ false, "it does not fit" }, { ok, tostring(fault) })
  end)

  for _, at in ipairs({ "authz", "challenge", "order-1", "finalize", "certificate" }) do
    it("goes on with the order after a restart at " .. at, function()
      directory.before = function(name)
        return name == at and { status = 502 } or nil
      end
      local ok, fault = run()
      assert.same({ false, "unreached" }, { ok, fault.kind })
      assert.equal("https://ca.test/order-1", state.order)
      assert.is_nil(keeper.shown)
      directory.before = nil
      assert.is_true(run()) -- a client that knows nothing
      assert.equal(1, directory.orders)
      assert.is_nil(state.order)
    end)
  end

  it("begins anew if the directory knows nothing of the order, or has given it up", function()
    for _, answer in ipairs({
      function() return directory:problem(404, "malformed") end,
      function() return { status = 404, body = "" } end, -- some say no more
      function() return directory:object({ status = "invalid" }) end,
    }) do
      state.order = "https://ca.test/order-1"
      local asked = false
      directory.before = function(name)
        if name == "order-1" and not asked then
          asked = true
          return answer()
        end
      end
      assert.is_true(run())
      assert.is_true(asked)
    end
    assert.equal(3, directory.orders)
  end)

  it("waits until all workers show it, but not for ever", function()
    keeper.is_shown = function()
      return app.clock:elapsed() > 1
    end
    assert.is_true(run())
    keeper.is_shown = function() return false end
    local ok, fault = run()
    assert.same({ false, "the master does not take the challenge" }, { ok, tostring(fault) })
  end)
end)
