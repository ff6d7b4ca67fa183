--- The HTTP client without a network; the rest: tests/integration/http_client_*_spec.lua.
local moongate = require("moongate")
local test = require("moongate.test")
local helpers = dofile("spec/fixture/helpers.lua")

local http = moongate.http
local app

before_each(function()
  app = test.app(function() end)
end)

after_each(function()
  app:assert_no_leaks()
end)

describe("moongate.http", function()
  it("has a function for each method, which takes the options of a request", function()
    for _, method in ipairs({ "get", "head", "post", "put", "patch", "delete", "options" }) do
      app:stub_http(method:upper() .. " http://a/?n=1", { body = method })
      local res = app:run(function()
        return http[method]("http://a/", { query = { n = 1 } }):await()
      end)
      assert.equal(method == "head" and "" or method, res.body)
    end
  end)

  it("leaves the caller's options alone", function()
    app:stub_http({ pattern = "." }, "x")
    local options = { headers = { A = "1" } }
    app:run(function()
      http.post("http://a/", options):await()
    end)
    assert.same({ headers = { A = "1" } }, options)
  end)

  it("wants options in a table, at the caller's line", function()
    helpers.refused(function()
      http.get("http://a/", "text")
    end, "http%.get: options are wanted as a table")
  end)
end)
