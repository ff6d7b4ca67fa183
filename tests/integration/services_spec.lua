--- What a reload lends to the new scripts: a service is another one only if the configuration asks
--- for another one.
local services = require("support.service")
local upstreams = require("support.upstream")

-- Rows in memory go with the database that has them.
local LINES = [[
app:get("/call", function(ctx) return ctx:http_request(ctx.query.url):await().body end)
app:get("/count", function()
  local kept = moongate.database("kept")
  kept:query("CREATE TABLE IF NOT EXISTS t (x)"):await()
  kept:query("INSERT INTO t VALUES (1)"):await()
  return tostring(kept:one("SELECT count(*) AS n FROM t"):await().n)
end)
]]

describe("a reload", function()
  local upstream, origin, service

  setup(function()
    upstream = upstreams.start()
  end)
  teardown(function()
    upstream:stop()
  end)

  before_each(function()
    origin = upstream:listen({ kind = "http" })
    service = services.start({
      workers = 1,
      database = { kept = "sqlite::memory:", other = "sqlite:var/one.db" },
    }, "one", LINES)
    assert.equal("1", service:body("/count"))
    service:body("/call?url=" .. origin:url("/echo"))
  end)
  after_each(function()
    service:stop()
  end)

  local function reload_with(changes)
    service:configure(changes)
    service:must_reload()
  end

  it("with another database keeps the client's connections, and the other databases", function()
    reload_with({ database = { kept = "sqlite::memory:", other = "sqlite:var/two.db" } })
    service:body("/call?url=" .. origin:url("/echo"))
    assert.equal(1, origin:seen().connections)
    assert.equal("2", service:body("/count"))
  end)

  it("with another client keeps the databases", function()
    reload_with({ http = { connections = 7 } })
    service:body("/call?url=" .. origin:url("/echo"))
    assert.equal(2, origin:seen().connections)
    assert.equal("2", service:body("/count"))
  end)
end)
