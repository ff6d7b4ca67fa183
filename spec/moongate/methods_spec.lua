--- Methods beyond those of HTTP itself: routed once a route names them.
local test = require("moongate.test")

describe("a method of the app's own", function()
  local app
  before_each(function()
    app = test.app(function(a)
      a:route({ "PURGE", "PROPFIND" }, "/files/:name", function(ctx)
        return ctx.method .. " " .. ctx.params.name .. " " .. tostring(ctx)
      end)
      a:get("/files/:name", function(ctx)
        return ctx.method
      end)
      a:any("/any", function(ctx)
        return ctx.method
      end)
      a:group("/group", { function(ctx, next)
        ctx:header("X-Group", "yes")
        return next()
      end }, function(group)
        group:get("/x", function()
          return "x"
        end)
      end)
    end)
  end)
  after_each(function()
    app:assert_no_leaks()
  end)

  it("is routed, and told as ctx.method", function()
    assert.equal("PURGE a ctx (PURGE /files/:name)", app:request("PURGE", "/files/a").body)
    assert.equal("PROPFIND b ctx (PROPFIND /files/:name)", app:request("PROPFIND", "/files/b").body)
    assert.equal("PURGE", app:request("PURGE", "/any").body)
  end)

  it("is told by Allow, and is 405 elsewhere", function()
    local allow = "GET, HEAD, OPTIONS, PURGE, PROPFIND"
    local res = app:post("/files/a")
    assert.equal(405, res.status)
    assert.equal(allow, res.headers.allow)
    assert.equal(allow, app:options("/files/a").headers.allow)
    assert.equal(405, app:request("PURGE", "/group/x").status)
    assert.equal(404, app:request("PURGE", "/nowhere").status)
  end)

  it("is 501 if no route names it, behind the middleware of its place", function()
    for _, path in ipairs({ "/files/a", "/any", "/nowhere", "/group/x", "/group/y" }) do
      local res = app:request("BREW", path)
      assert.equal(501, res.status)
      assert.equal(not test._http2 and "close" or nil, res.headers.connection)
      assert.equal(path:find("^/group") and "yes" or nil, res.headers["x-group"])
    end
    assert.equal(501, app:request("purge", "/files/a").status)
    assert.same({}, app.logs) -- any client can have that
  end)
end)

describe("a pattern with percent codes", function()
  it("is the same as without", function()
    local app = test.app(function(a)
      a:get("/caf%C3%A9/:id", "cafe", function(ctx)
        return ctx.params.id
      end)
    end)
    assert.equal("7", app:get("/caf%c3%a9/7").body)
    app:assert_no_leaks()
  end)
end)
