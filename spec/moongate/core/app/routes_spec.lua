--- The table of routes.
local moongate = require("moongate")
local routes = require("moongate.core.app.routes")

describe("the table of routes", function()
  it("has methods, pattern, name, place and middleware in columns", function()
    local app = moongate.app()
    app:use(moongate.middleware.request_id())
    app:get("/", "home", function() end)
    app:route({ "PUT", "PATCH" }, "/users/:id", function() end)
    local text = routes.text(app:freeze())
    assert.matches("^METHOD +PATTERN +NAME +DECLARED AT +MIDDLEWARE\n"
      .. "GET        /           home  [%w_/.]+routes_spec.lua:%d+ +"
      .. "moongate/middleware/request_id.lua:%d+\n"
      .. "PUT,PATCH  /users/:id  %-     [%w_/.]+routes_spec.lua:%d+ +"
      .. "moongate/middleware/request_id.lua:%d+\n$", text)
  end)

  it("names places of scripts against the project, and tables that can be called", function()
    local callable = setmetatable({}, { __call = function() end })
    assert.matches("routes_spec.lua:%d+$", routes.place_of(callable))
    assert.matches("^moongate/", routes.place_of(moongate.middleware.cors({ origins = { "*" } })))
  end)
end)
