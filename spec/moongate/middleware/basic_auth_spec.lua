local moongate = require("moongate")
local middleware = moongate.middleware
local test = require("moongate.test")
local helpers = dofile("spec/fixture/helpers.lua")
local refused = helpers.refused

local app
before_each(function()
  app = test.app("spec/fixture/middleware.lua")
end)
after_each(function()
  app:assert_no_leaks()
end)

local function basic(user, password)
  local token = moongate.base64_encode(user .. ":" .. password)
  return { headers = { Authorization = "Basic " .. token } }
end

describe("basic_auth", function()
  it("lets a known user with the right password in", function()
    local res = app:get("/users", basic("ada", "lovelace"))
    assert.equal(200, res.status)
    assert.equal("ada", res:json().user)
  end)

  it("challenges everybody else", function()
    local wrong = {
      {}, basic("ada", "lovelacf"), basic("ada", ""), basic("eve", "lovelace"), basic("", ""),
      { headers = { Authorization = "Bearer abc" } }, { headers = { Authorization = "Basic %%%" } },
      { headers = { Authorization = "Basic " .. moongate.base64_encode("no colon") } },
    }
    for _, options in ipairs(wrong) do
      local res = app:get("/users", options)
      assert.equal(401, res.status)
      assert.equal('Basic realm="the inner room", charset="UTF-8"', res.headers["www-authenticate"])
    end
  end)

  it("asks a function that may await", function()
    assert.equal("bob", app:get("/checked", basic("bob", "a:b")):json().user)
    assert.equal(401, app:get("/checked", basic("bob", "a")).status)
    assert.near(0.2, app.clock:elapsed(), 0.001)
  end)

  it("wants users or a function", function()
    refused(function()
      middleware.basic_auth({ realm = "x" })
    end, "basic_auth: wanted is users")
    refused(function()
      middleware.basic_auth({ users = { ada = 7 } })
    end, "basic_auth%.users%.ada: a string is wanted, not 7")
  end)
end)
