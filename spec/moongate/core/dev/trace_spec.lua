--- What requests await; how it is told is in spec/moongate/core/app/dev_spec.lua.
local test = require("moongate.test")
local trace = require("moongate.core.dev.trace")

describe("the trace of a request", function()
  local app

  after_each(function()
    app:close()
  end)

  it("has the awaits that had to wait, in order, with the one that still does", function()
    local seen
    app = test.app(function(a)
      a:get("/", { timeout = 5 }, function(ctx)
        trace.follow(ctx)
        ctx:sleep(1):await()
        pcall(function() ctx:read_file("none.txt"):await() end)
        seen = trace.awaits(ctx)
        ctx:sleep(60):await()
      end)
    end)
    app:get("/")
    assert.same({ "sleep", "read_file", "sleep" }, { seen[1].what, seen[2].what, seen[3].what })
    assert.equal("1000.0 ms", trace.time(seen[1].seconds))
    assert.matches("trace_spec.lua:%d+$", seen[1].where)
    assert.matches("^sleep +1000%.0 ms  .*trace_spec.lua:%d+$", trace.lines(seen)[1])
  end)

  it("is empty of a request that is not followed, and does not go on to the next", function()
    local counts = {}
    app = test.app(function(a)
      a:get("/:how", function(ctx)
        if ctx.params.how == "followed" then
          trace.follow(ctx)
        end
        ctx:sleep(1):await()
        counts[#counts + 1] = #trace.awaits(ctx)
        return "x"
      end)
    end)
    app:get("/followed")
    app:get("/other")
    assert.same({ 1, 0 }, counts)
  end)

  it("keeps a hundred awaits", function()
    local count
    app = test.app(function(a)
      a:get("/", function(ctx)
        trace.follow(ctx)
        for _ = 1, 120 do
          ctx:sleep(0.001):await()
        end
        count = #trace.awaits(ctx)
        return "x"
      end)
    end)
    app:get("/")
    assert.equal(100, count)
  end)
end)
